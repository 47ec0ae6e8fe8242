"""The operator's desk: charters that wait for a decision, and those the operator accepted."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import CharterError
from common.trust import storing
from common.trust.signed import Signed

MOST_WAITING = 50  # then new ones are only refused: the disk is not the centre's to fill
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Desk:
    """Files in ``waiting`` (the agent writes) and ``accepted`` (the operator does), by digest.

    Guarantee: a charter counts as accepted only while a file of its digest, of mode 0600 and of
    the same user as the folder, lies in ``accepted``; the digest covers words and signature.
    Leaks: nothing to the centre but CHARTER_PENDING.
    """

    waiting: Path
    accepted: Path

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
            table = {"charter": signed.to_json(), "initial": dict(initial)}
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
        content = storing.read(self._waiting(digest))
        if content is None:
            raise CharterError(
                f"no charter {digest} waits here: see `mascaron-site charter list`, which shows "
                "what the centre offered while the agent ran"
            )
        try:
            table = json.loads(content)
            return Signed.from_json(table["charter"]), dict(table["initial"])
        except (ValueError, KeyError, TypeError):
            raise CharterError(f"{self._waiting(digest)} is damaged: remove it") from None

    def _waiting(self, digest: str) -> Path:
        return self.waiting / f"{_checked(digest)}.json"

    def _decision(self, digest: str) -> Path:
        return self.accepted / _checked(digest)


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise CharterError("a charter is named by 64 of 0-9 and a-f")
    return digest
