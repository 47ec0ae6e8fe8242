"""What a person agreed to, for how long, and by which words: nobody is enrolled without it."""

import json
import math
import re
from collections.abc import Collection
from dataclasses import dataclass

from common.errors import ConsentError, VaultError

PURPOSES = frozenset({"verify", "identify", "training", "text", "labels"})
_HASH = re.compile(r"[0-9a-f]{64}")
_LATEST = 253_402_300_800.0  # the year 10,000: beyond any term that a person can agree to


@dataclass(frozen=True, kw_only=True, slots=True)
class Consent:
    """One person's word. ``ConsentError`` for a purpose that there is not, or a term without end.

    ``text_hash`` is the SHA-256 of the words the person was shown; times are Unix seconds.
    """

    purposes: frozenset[str]
    text_hash: str
    given: float
    expires: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "purposes", frozenset(self.purposes))
        if not self.purposes or not self.purposes <= PURPOSES:
            raise ConsentError(f"consent is for some of {', '.join(sorted(PURPOSES))}")
        if not _HASH.fullmatch(self.text_hash):
            raise ConsentError("text_hash must be the SHA-256 of the words, in hexadecimal")
        if not (math.isfinite(self.given) and 0 <= self.given < self.expires < _LATEST):
            raise ConsentError("consent has a day on which it was given and a later one it ends on")

    def covers(self, purpose: str | None, now: float) -> bool:
        """Whether it holds at ``now``, for ``purpose`` (None: for any). At ``expires`` it is over.

        ``ConsentError`` for a purpose that there is not, whatever was agreed to.
        """
        if purpose is not None and purpose not in PURPOSES:
            raise ConsentError(f"there is no such purpose; take {', '.join(sorted(PURPOSES))}")
        return self.given <= now < self.expires and (purpose is None or purpose in self.purposes)


def to_bytes(consent: Consent) -> bytes:
    """The one spelling of ``consent`` that is sealed."""
    table = {
        "expires": consent.expires,
        "given": consent.given,
        "purposes": sorted(consent.purposes),
        "text_hash": consent.text_hash,
    }
    return json.dumps(table, sort_keys=True).encode()


def from_bytes(content: bytes) -> Consent:
    """What ``to_bytes`` made; ``VaultError`` for anything else."""
    try:
        table = json.loads(content)
        purposes: Collection[str] = table.pop("purposes")
        return Consent(purposes=frozenset(purposes), **table)
    except (ValueError, TypeError, KeyError, AttributeError, ConsentError):
        raise VaultError("a record of consent is not one") from None
