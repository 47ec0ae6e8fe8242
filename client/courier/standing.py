"""What the courier's daemons say: kept in bounded logs, and summed up as the node's standing.

Guarantee: nothing that a daemon says gets onto a terminal; an operator reads fixed words.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from client.home import SiteHome
from common.config import build
from common.daemons.logs import Logs, cleaned
from common.errors import ConfigError
from common.trust.storing import read, replace

LOG_BYTES = 2**20  # of one log

STARTING, CONNECTED, REFUSED = "starting", "connected", "refused"
UNREACHABLE, ENDED, STOPPED = "unreachable", "ended", "stopped"
TOLD_BY = (  # words of Flower's SuperNode
    ("SuperNode ID:", CONNECTED),
    ("Connection successful after", CONNECTED),
    ("Connection attempt failed", UNREACHABLE),
    ("[code: 2004]", REFUSED),
    ("Invalid SuperNode authentication", REFUSED),
)
SAID = {
    STARTING: "starting the courier",
    CONNECTED: "connected to the centre",
    REFUSED: "the centre refuses this node; trying on (after a crash it may take a minute)",
    UNREACHABLE: "the centre cannot be reached; trying on (`mascaron-site doctor` finds out why)",
    ENDED: "the courier ended by itself and is started again; its log says why",
    STOPPED: "the courier has stopped",
}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How this node stands at the centre, as far as its supervisor has heard."""

    state: str
    since: float  # seconds since 1970

    @classmethod
    def load(cls, path: Path) -> "Standing | None":
        """What was last heard; None if nothing. ``ConfigError`` if the file is not readable."""
        content = read(path)
        if content is None:
            return None
        try:
            return build(cls, json.loads(content), str(path))
        except (ValueError, AttributeError, TypeError):
            raise ConfigError(f"{path} is damaged: remove it, `join` writes it anew") from None


class Listener:
    """Hears the daemons: writes their logs, keeps the standing, tells the operator of changes."""

    def __init__(
        self, home: SiteHome, wall: Callable[[], float], say: Callable[[str], None]
    ) -> None:
        self._home, self._wall, self._say = home, wall, say
        self._logs = Logs(home.logs, wall, LOG_BYTES)
        self._state = ""
        self._told = False  # whether this life of the SuperNode has told of anything yet

    def heard(self, name: str, line: str) -> None:
        """One line of the program ``name``; the supervisor's own words begin with "ended"."""
        plain = cleaned(line)
        self._logs.heard(name, plain)
        if name != "supernode":
            return
        state = next((state for words, state in TOLD_BY if words in plain), None)
        if state is not None:
            self._told = True
            self.stand(state)
        elif plain.startswith("ended with"):
            if not self._told or self._state == CONNECTED:
                self.stand(ENDED)
            self._told = False

    def stand(self, state: str) -> None:
        """Notes that the node stands at ``state``; the same one again is no news."""
        if state != self._state:
            self._state = state
            standing = Standing(state=state, since=self._wall())
            replace(self._home.standing, json.dumps(asdict(standing)).encode())
            self._say(SAID[state])
