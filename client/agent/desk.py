"""The operator's desk: charters that wait for a decision, and those the operator accepted."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common.errors import CharterError
from common.trust import storing
from common.trust.signed import Signed

MOST_WAITING = 50  # then new ones are only refused: the disk is not the centre's to fill
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Price:
    """What the plan of a charter costs by itself: ``epsilon`` at ``delta``."""

    epsilon: float
    delta: float


@dataclass(frozen=True, slots=True)
class Desk:
    """Files in ``waiting`` (the agent writes) and ``accepted`` (the operator does), by digest.

    Guarantee: a charter counts as accepted only while a file of its digest, of mode 0600 and of
    the same user as the folder, lies in ``accepted``; the digest covers words and signature.
    Leaks: nothing to the centre but CHARTER_PENDING.
    """

    waiting: Path
    accepted: Path
    price: Callable[[Signed], Price] | None = None  # of a charter, told by the agent as it waits

    def approved(self, digest: str) -> bool:
        """Whether the operator accepted the charter of this digest."""
        try:
            found, folder = self._decision(digest).lstat(), self.accepted.stat()
        except FileNotFoundError:
            return False
        return found.st_uid == folder.st_uid and not found.st_mode & 0o077

    def wait(self, digest: str, signed: Signed, initial: Mapping[str, str]) -> None:
        """Keeps a charter for the operator to see, while there is room on the desk."""
        path = self._waiting(digest)
        if not path.exists() and len(list(self.waiting.glob("*.json"))) < MOST_WAITING:
            table: dict[str, Any] = {"charter": signed.to_json(), "initial": dict(initial)}
            if self.price is not None:
                table["price"] = asdict(self.price(signed))
            storing.replace(path, json.dumps(table).encode())

    def digests(self) -> list[str]:
        """Of every charter that was ever put on the desk."""
        return sorted(path.stem for path in self.waiting.glob("*.json"))

    def accept(self, digest: str) -> None:
        """The operator's word. Raises ``CharterError`` for a digest that is not on the desk."""
        self.charter(digest)
        storing.replace(self._decision(digest), b"accepted by the operator\n")

    def charter(self, digest: str) -> tuple[Signed, dict[str, str]]:
        """The charter of this digest and its arrays'; ``CharterError`` if it is not here."""
        table = self._table(digest)
        try:
            return Signed.from_json(table["charter"]), dict(table["initial"])
        except (ValueError, KeyError, TypeError):
            raise self._damaged(digest) from None

    def told_price(self, digest: str) -> Price | None:
        """What the agent reckoned when it put the charter here, so that a list of many needs no
        accountant; None if it did not. ``CharterError`` as ``charter`` raises it."""
        try:
            price = Price(**self._table(digest)["price"])
        except (KeyError, TypeError):
            return None
        figures = price.epsilon, price.delta
        return price if all(type(x) is float and math.isfinite(x) for x in figures) else None

    def _table(self, digest: str) -> dict[str, Any]:
        content = storing.read(self._waiting(digest))
        if content is None:
            raise CharterError(
                f"no charter {digest} waits here: see `mascaron-site charter list`, which shows "
                "what the centre offered while the agent ran"
            )
        try:
            table = json.loads(content)
        except ValueError:
            raise self._damaged(digest) from None
        if not isinstance(table, dict):
            raise self._damaged(digest)
        return table

    def _damaged(self, digest: str) -> CharterError:
        return CharterError(f"{self._waiting(digest)} is damaged: remove it")

    def _waiting(self, digest: str) -> Path:
        return self.waiting / f"{_checked(digest)}.json"

    def _decision(self, digest: str) -> Path:
        return self.accepted / _checked(digest)


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise CharterError("a charter is named by 64 of 0-9 and a-f")
    return digest
