"""What the courier's daemons say: kept in rotated logs, and summed up as the node's standing.

Guarantee: no control character and no key or token of theirs gets into a log or onto a terminal,
and the logs stay below a few megabytes whatever the centre makes the daemons say.
"""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

from client.home import SiteHome
from common.config import build
from common.errors import ConfigError
from common.trust.storing import read, replace

LOG_BYTES, OLD_LOGS = 2**20, 3
LONGEST_LINE = 500
SECRET = re.compile(r"[0-9A-Za-z+_=-]{40,}")  # hashes, tokens and keys, not words
UNPRINTABLE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x1f\x7f-\x9f]")

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
        self._handlers: dict[str, RotatingFileHandler] = {}
        self._state = ""
        self._told = False  # whether this life of the SuperNode has told of anything yet

    def heard(self, name: str, line: str) -> None:
        """One line of the program ``name``; the supervisor's own words begin with "ended"."""
        plain = cleaned(line)
        self._handler(name).emit(logging.makeLogRecord({"msg": plain}))
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

    def close(self) -> None:
        """Closes the logs."""
        for handler in self._handlers.values():
            handler.close()

    def _handler(self, name: str) -> RotatingFileHandler:
        if name not in self._handlers:
            handler = RotatingFileHandler(
                self._home.logs / f"{name}.log",
                maxBytes=LOG_BYTES,
                backupCount=OLD_LOGS,
                encoding="utf-8",
            )
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            self._handlers[name] = handler
        return self._handlers[name]


def cleaned(line: str) -> str:
    """A line fit for a log: no control characters, no long key or token, not too long."""
    plain = UNPRINTABLE.sub("", line)
    return SECRET.sub(lambda found: f"{found[0][:8]}...", plain)[:LONGEST_LINE].rstrip()
