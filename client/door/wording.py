"""Which heads a door reads by at this moment: those of the release that decides, or its own file.

A release brings the heads that its run trained, and keeps them: they are read from its promotion
on, and a rollback brings back those of before, to the bit. Of them are read the kinds that
`[release] heads` of `policy.toml` takes; any other kind is read by the file that `[door] heads` of
`site.toml` names, if it has one. What the policy denies is said by neither.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from client.door.words import Words, words_of
from common.errors import ModelError, ReleaseError
from common.heads.heads import Heads
from common.heads.heads_file import parse_heads


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class Brought:
    """Heads that came with a release; ``name`` is the SHA-256 of their file."""

    name: str
    heads: Heads

    @classmethod
    def of(cls, content: bytes, trunk: str) -> "Brought":
        """Those in the file ``content``; ``ReleaseError`` for none, or not of ``trunk``."""
        try:
            heads = parse_heads(content, "the heads of the release")
        except ModelError as error:
            raise ReleaseError(str(error)) from None
        if heads.trunk != trunk:
            raise ReleaseError("the heads of the release are of another trunk than its tail")
        return cls(name=hashlib.sha256(content).hexdigest(), heads=heads)


class Wording:
    """Chooses between a release's heads, of which it takes ``kinds``, and the site's ``own``."""

    def __init__(
        self,
        own: Words | None = None,
        kinds: Collection[str] = (),
        denied: tuple[str, ...] = (),
    ) -> None:
        self._own, self._kinds, self._denied = own, frozenset(kinds), denied
        self._last: tuple[Brought, Words | None] | None = None

    def now(self, brought: Brought | None) -> Words | None:
        """What is read by while the release decides that ``brought`` these; None for nothing.

        ``ModelError`` where the encoder of their words is not at this site.
        """
        if brought is None:
            return self._own
        last = self._last
        if last is None or last[0] is not brought:
            last = self._last = brought, self._made(brought)
        return last[1] or self._own

    def check(self, brought: Brought | None) -> None:
        """``ReleaseError`` where ``brought`` could not be read here."""
        try:
            self.now(brought)
        except ModelError as error:
            raise ReleaseError(
                f"{error}; or leave words out of [release] heads in policy.toml"
            ) from None

    def _made(self, brought: Brought) -> Words | None:
        """What is read of ``brought``, and of the site's own beside it; None for nothing."""
        heads = brought.heads.only(self._kinds)
        if heads is None:
            return None
        rest = None
        if self._own is not None and self._own.heads.trunk == heads.trunk:
            rest = self._own.heads.only(set(self._own.heads.kinds).difference(heads.kinds))
        return words_of(brought.name, heads, self._denied, rest)
