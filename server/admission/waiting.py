"""The waiting room: sites that asked to be admitted, until the administrator looks at them."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from common.config import build
from common.errors import MascaronError
from common.trust import storing
from common.trust.admission import Envelope, SiteRequest, read_request
from common.trust.keys import PublicKey
from common.trust.refusals import refused
from server.home import CentreHome

PLACES = 256
PATIENCE = 14 * 86400.0  # seconds a request waits


@dataclass(frozen=True, slots=True)
class Waiting:
    """One site that waits, as it signed itself in."""

    request: SiteRequest
    arrived: float  # unix seconds

    @property
    def fingerprint(self) -> str:
        return self.request.identity.fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    arrived: float
    envelope: Envelope


class WaitingRoom:
    """One file a site in `waiting/`, named by the fingerprint of its key.

    Guarantee: it holds at most 256 sites, each for 14 days; a file that was altered is not read.
    """

    def __init__(self, home: CentreHome) -> None:
        self._folder = home.waiting

    def put(self, envelope: Envelope, request: SiteRequest, now: float) -> None:
        """Lets a site wait; asked again, the site keeps its place and what it says last counts.

        Raises ``AdmissionError`` if the room is full.
        """
        path = self._path(request.identity)
        known = self._read(path)
        if known is not None and known.request == request:
            return
        if known is None and sum(1 for _ in self.all(now)) >= PLACES:
            raise refused("WAITING_ROOM_FULL")
        arrived = now if known is None else known.arrived
        table = {"arrived": arrived, "envelope": asdict(envelope)}
        storing.replace(path, json.dumps(table).encode())

    def all(self, now: float) -> Iterator[Waiting]:
        """Everybody who waits, in the order of fingerprints. Whoever waited too long is let go."""
        for path in sorted(self._folder.glob("*.json")):
            found = self._read(path)
            if found is None or now - found.arrived > PATIENCE:
                storing.remove(path)
            else:
                yield found

    def find(self, identity: PublicKey, now: float) -> Waiting | None:
        """The request of ``identity``, if it waits."""
        found = self._read(self._path(identity))
        return found if found is not None and now - found.arrived <= PATIENCE else None

    def leave(self, identity: PublicKey) -> None:
        """Takes ``identity`` out of the room, if it is there."""
        storing.remove(self._path(identity))

    def _path(self, identity: PublicKey) -> Path:
        return self._folder / f"{identity.fingerprint}.json"

    def _read(self, path: Path) -> Waiting | None:
        content = storing.read(path)
        if content is None:
            return None
        try:
            file = build(_File, json.loads(content), "request")
            found = Waiting(read_request(file.envelope), file.arrived)
        except (MascaronError, ValueError):
            return None
        return found if path.stem == found.fingerprint else None
