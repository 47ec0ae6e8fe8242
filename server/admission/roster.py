"""The roster on the centre's disk: the one file that says who is in the federation.

Everything else about a site (revocation list, waiting room, Flower's registrations) follows from
it and is put right after it, so a crash leaves the old federation or the new one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import DeploymentError
from common.locks import locked
from common.trust import storing
from common.trust.certificates import fingerprint, read_certificate
from common.trust.keys import SigningKey
from common.trust.roster import Roster, read_roster
from common.trust.signed import Signed
from server.home import CentreHome


class RosterBook:
    """Reads and replaces `roster.json`, signed by the centre's key.

    Guarantee: changes are made one at a time, by whichever process, and numbered without a gap.
    """

    def __init__(self, home: CentreHome) -> None:
        self._home = home
        self._key = SigningKey.load(home.centre_key)
        self.federation = fingerprint(read_certificate(storing.read(home.ca) or b""))

    def signed(self) -> Signed:
        """As sites get it; ``DeploymentError`` if there is none."""
        content = storing.read(self._home.roster)
        if content is None:
            raise DeploymentError(f"there is no {self._home.roster}: restore it from a backup")
        return Signed.from_json(content.decode("utf-8", "replace"))

    def read(self, signed: Signed | None = None) -> Roster:
        """The roster in force, or in ``signed``; ``SignatureError`` if the file was altered."""
        founding = Roster(federation=self.federation)
        return read_roster(signed or self.signed(), self._key.public, founding)

    def write(self, roster: Roster) -> None:
        """Puts ``roster`` in force. Only inside ``changing``: this is the moment that counts."""
        storing.replace(self._home.roster, roster.sign(self._key).to_json().encode())

    @contextmanager
    def changing(self) -> Iterator[Roster]:
        """The roster, while no other process may change it."""
        with locked(self._home.folder / "roster.lock", "a change of the roster", patient=True):
            yield self.read()
