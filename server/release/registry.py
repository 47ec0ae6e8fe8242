"""Releases on the centre's disk, named by content, and the one file that says which is in force.

A release is written first and never changed but for its signature. Then `history.json` is replaced,
whole: that one rename is the promotion or the rollback, and before it nothing happened.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import DeploymentError, ReleaseError
from common.evidence.bundle import ENDING, Release, check_size, parse_release
from common.evidence.history import History, parse_history
from common.locks import locked
from common.trust import storing
from common.trust.keys import PublicKey
from server.home import CentreHome
from server.standing import federation_of, public_key

LEAST_PREFIX = 6  # of a digest, to name a release by
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{1,64}")


class Registry:
    """Reads and writes ``home.releases``.

    Guarantee: what ``get`` returns is, byte for byte, what its name says; what ``history`` returns
    was signed by this centre. Changes are made one at a time, by whichever process.
    Leaks: who can write in the folder can take files away, or put an older history back: sites that
    saw more refuse it then.
    """

    def __init__(self, home: CentreHome) -> None:
        self._home = home

    @property
    def federation(self) -> str:
        return federation_of(self._home)

    def put(self, release: Release) -> None:
        """Keeps ``release``; one that is signed takes the place of the same without signature."""
        self._home.releases.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._home.releases / (release.digest + ENDING)
        if release.signature or not path.exists():
            storing.replace(path, release.to_bytes())

    def get(self, digest: str) -> Release:
        """The release called ``digest``; ``ReleaseError`` if there is none, or it was altered."""
        known = _DIGEST.fullmatch(digest) is not None
        content = storing.read(self._home.releases / (digest + ENDING)) if known else None
        if content is None:
            raise ReleaseError(f"there is no release {digest[:12]}")
        check_size(len(content))
        release = parse_release(content)
        if release.digest != digest:
            raise ReleaseError(f"release {digest[:12]} was altered: build it again")
        return release

    def size_of(self, digest: str) -> int:
        """Bytes of the file of a release; ``DeploymentError`` if it is not there."""
        try:
            return (self._home.releases / (digest + ENDING)).stat().st_size
        except OSError as error:
            raise DeploymentError(f"release {digest[:12]}: {error.strerror}") from None

    def piece(self, digest: str, offset: int, most: int) -> bytes:
        """At most ``most`` bytes of the file of a release, from ``offset`` on."""
        try:
            with (self._home.releases / (digest + ENDING)).open("rb") as file:
                file.seek(offset)
                return file.read(most)
        except OSError as error:
            raise DeploymentError(f"release {digest[:12]}: {error.strerror}") from None

    def find(self, prefix: str) -> str:
        """The one release whose digest begins with ``prefix``; ``ReleaseError`` for none or two."""
        if not _PREFIX.fullmatch(prefix) or len(prefix) < LEAST_PREFIX:
            raise ReleaseError(f"name a release by {LEAST_PREFIX} or more letters of its digest")
        found = [digest for digest in self.digests() if digest.startswith(prefix)]
        if len(found) != 1:
            raise ReleaseError(
                f"{len(found)} releases begin with {prefix}: `mascaron-admin release show` lists "
                "them"
            )
        return found[0]

    def digests(self) -> list[str]:
        """All releases that are here, sorted."""
        names = (path.name.removesuffix(ENDING) for path in self._files())
        return sorted(name for name in names if _DIGEST.fullmatch(name))

    def history(self) -> History:
        """What was put in force, verified; empty before the first promotion."""
        federation, content = self.federation, storing.read(self._home.history)
        if content is None:
            return History(federation)
        return parse_history(content.decode("utf-8", "replace"), self._centre, federation)

    def write(self, history: History) -> None:
        """Puts ``history`` in force. Only inside ``changing``: this is the moment that counts."""
        history.check_extends(self.history().head)
        storing.replace(self._home.history, history.to_json().encode())

    @contextmanager
    def changing(self) -> Iterator[History]:
        """The history, while no other process may change it."""
        self._home.releases.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self._home.releases / "lock", "a change of releases", patient=True):
            yield self.history()

    @property
    def _centre(self) -> PublicKey:
        return public_key(self._home)

    def _files(self) -> Iterator[Path]:
        folder = self._home.releases
        return iter(folder.glob(f"*{ENDING}") if folder.is_dir() else ())
