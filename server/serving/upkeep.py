"""What a running centre does daily: it follows its roster, and renews its certificate."""

from collections.abc import Callable
from dataclasses import dataclass, field

from common.daemons.supervisor import Supervisor
from common.errors import MascaronError
from common.locks import is_locked
from common.trust.storing import read
from server.admission.opening import make_ready
from server.home import CentreHome
from server.runs.progress import LOCK
from server.serving.superlink import SUPERLINK, follow_nodes

DAY = 86400.0  # seconds


@dataclass(kw_only=True)
class Upkeep:
    """A chore of the supervisor; ``port`` is the SuperLink's, ``say`` takes a line for the log.

    Guarantee: a site that was revoked, or let its certificate expire, is shut out within a day
    also where nobody restarts the centre; a failure here stops nothing, and is told.
    Leaks: a SuperLink keeps its old certificate while a run is under way, which ends with it. The
    gateway, which sites meet, takes a new one by itself.
    """

    home: CentreHome
    port: int
    now: Callable[[], float]  # seconds since 1970
    say: Callable[[str], None]
    _shown: bytes | None = field(init=False)  # by the SuperLink

    def __post_init__(self) -> None:
        self._shown = self._certificate()

    def __call__(self, supervisor: Supervisor) -> None:
        """Puts right what the roster says, then starts a SuperLink with an old certificate anew."""
        try:
            make_ready(self.home, self.now())
            follow_nodes(self.home, self.port)
        except MascaronError as error:
            self.say(f"{error.reason}: {error}")
        newest = self._certificate()
        if self._shown != newest and not self._runs():
            self.say(f"the certificate was renewed: {SUPERLINK} starts again")
            self._shown = newest
            supervisor.renew(SUPERLINK)

    def _certificate(self) -> bytes | None:
        return read(self.home.server_certificate)

    def _runs(self) -> bool:
        return any(is_locked(folder / LOCK) for folder in self.home.runs.iterdir())
