"""`mascaron-site serve`: the agent of one site, until it is asked to stop."""

import contextlib
import grp
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from client.home import SiteConfig, SiteHome
from client.vault.hardening import unreadable
from common.daemons.users import NUMBER
from common.errors import ConfigError
from common.trust.keys import SigningKey

if TYPE_CHECKING:
    from client.serving.listening import Door

LOOK = 1.0  # seconds between two looks for an admission
ASK = 10  # looks between two questions to the centre


def serve_site(home: SiteHome, group: str | None, say: Callable[[str], None]) -> None:
    """Opens the site in ``home`` and answers until SIGTERM, then drains.

    ``group`` may connect to the socket besides this user. Before the site is admitted it waits for
    that. ``say`` is told a line of progress, and the address as soon as it is answered at.
    Raises ``ConfigError``, ``DeploymentError``, ``LedgerError``, ``TrunkError`` or
    ``DataSetError``, whose messages name nobody.
    Guarantee: this process leaves no core file, and processes of the same user that are not its
    parent cannot read its memory (Linux).
    Leaks: logs hold reasons and numbers of rounds, at most so many lines a minute.
    """
    from client.agent.jobs import Jobs
    from client.agent.main import serve
    from client.agent.opening import open_site
    from client.agent.service import AgentService
    from client.agent.training import Training
    from client.centre.renewal import Means, Renewal
    from client.privacy.entropy import OsEntropy

    close_to_others()
    _limit_logs()
    home.check_agent()
    config = home.config()
    SigningKey.load(home.identity_key)
    address, door = _door(home, config, group)
    if not await_admission(home, say):
        return
    site = open_site(home, say)
    renewal = Renewal(home, Means(clock=time.time, say=say))
    with contextlib.closing(site.ledger), renewal:
        training = Training(site.facts, site.policy, site.ledger, OsEntropy())
        running = serve(AgentService(training, Jobs()), address, door)
        try:
            running.wait_for_signal(lambda: say(f"serving at {running.address}"), site.tidy)
        finally:
            site.tidy(0.0)


def await_admission(home: SiteHome, say: Callable[[str], None], every: float = LOOK) -> bool:
    """Looks every ``every`` seconds whether trust/ is there, and asks the centre now and then.

    False if SIGTERM came before. No face was read yet: this is what `mascaron-site admission` does.
    """
    from client.agent.opening import ADMISSION, is_admitted

    if is_admitted(home):
        return True
    asked, looks, said = threading.Event(), 0, ""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in numbers}
    say(f"waiting for admission: {ADMISSION} fetches it, or this, where it reaches the centre")
    try:
        while not is_admitted(home):
            news = _ask(home) if looks % ASK == 0 else said
            if news != said:
                say(news)
            looks, said = looks + 1, news
            if not is_admitted(home) and asked.wait(every):
                return False
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    say("admitted: the faces are read now, which takes a while the first time")
    return True


def _ask(home: SiteHome) -> str:
    """What the centre says of this site's request; "" if it cannot be asked from here."""
    from client.centre.admission import fetch
    from common.errors import DeploymentError, MascaronError

    try:
        fetch(home, time.time)
    except DeploymentError:  # an agent need not have a network
        return ""
    except MascaronError as error:
        return f"{error.reason}: {error}"
    return "the centre has the request: read the fingerprint to its administrator"


def close_to_others() -> None:
    """No core file, no attaching debugger, new files for this user only."""
    os.umask(0o077)
    unreadable()


def _limit_logs() -> None:
    """One handler for all loggers of the process: a library's are as hostile as what it is sent."""
    from client.serving.quiet import OwnWords, RateLimit

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    for narrowed in (RateLimit(), OwnWords()):
        handler.addFilter(narrowed)
    logging.root.handlers = [handler]
    logging.getLogger("client").setLevel(logging.INFO)


def _door(home: SiteHome, config: SiteConfig, name: str | None) -> "tuple[str, Door]":
    from client.ends import agent_end, make_ends
    from client.serving.listening import Door

    if config.agent is not None:
        if name is not None:
            raise ConfigError(f"--group opens a socket, and {home.settings} says agent: drop one")
        make_ends(home, time.time())
        return config.agent, Door(tls=agent_end(home))
    socket, group = home.socket(config), None
    if name is not None:
        group = _group(name)
        _open_folder(socket.parent, group)
    return f"unix:{socket}", Door(group=group)


def _group(name: str) -> int:
    """Of that name or number; a number need not be in the system's list."""
    if NUMBER.fullmatch(name):
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"there is no group {name!r} here: groupadd {name}") from None


def _open_folder(folder: Path, group: int) -> None:
    """Lets ``group`` reach what is in ``folder`` by name, and nobody else."""
    try:
        os.chown(folder, -1, group)
        folder.chmod(0o710)
    except OSError as error:
        raise ConfigError(
            f"cannot open {folder} to group {group}: {error.strerror}; add this user to the group"
        ) from None
