"""`mascaron-site serve`: door and agent of one site, until they are asked to stop."""

import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from client.home import SiteHome
from client.serving.stopping import Stopping
from client.site_config import SiteConfig
from client.vault.hardening import give_back_freed, harden
from common.errors import ConfigError, MascaronError
from common.trust.keys import SigningKey

if TYPE_CHECKING:
    from client.serving.listening import Door
    from client.vault.store import Vault

LOOK = 1.0  # seconds between two looks for an admission
ASK = 10  # looks between two questions to the centre

Say = Callable[[str], None]


def serve_site(home: SiteHome, group: str | None, say: Say) -> None:
    """Opens the site in ``home`` and answers until SIGTERM, then drains.

    The door answers first, and at once; the courier is answered as soon as the site is admitted,
    and ``group`` may connect to its socket besides this user. A site that is alone has no courier.
    ``say`` is told a line of progress, and each address as soon as it is answered at.
    Raises ``ConfigError``, ``DeploymentError``, ``LedgerError``, ``TrunkError``, ``DataSetError``
    and what ``open_door`` does; no message names anybody. Where there is a door, what only training
    needs ends training alone: ledger, policy, faces, the courier's way in.
    Guarantee: this process leaves no core file, and processes of the same user that are not its
    parent cannot read its memory (Linux).
    Leaks: logs hold reasons and numbers of rounds, at most so many lines a minute.
    """
    os.environ["GRPC_VERBOSITY"] = "NONE"  # read once, when it is loaded: a line for each stranger
    from client.door.answering import answering

    home.check_agent()
    config = home.config()
    if config.alone and group is not None:
        raise ConfigError("--group is of the courier's socket, and this site is alone: drop it")
    close_to_others()
    _limit_logs()
    SigningKey.load(home.identity_key)
    way = None if config.alone else _door(home, config, group)
    with Stopping() as stopping, answering(home, say) as vault:
        if way is None:
            stopping.wait()
        elif await_admission(home, say, stopping):
            try:
                _serve_agent(home, way, (vault, say), stopping)
            except MascaronError as error:
                if vault is None:
                    raise  # nobody would be answered at all
                say(f"no training: {error.reason}: {error}; mend it and start this again")
                stopping.wait()


def _serve_agent(
    home: SiteHome, way: "tuple[str, Door]", given: "tuple[Vault | None, Say]", stopping: Stopping
) -> None:
    """Answers the courier, of a site that was admitted; what is read first is read until asked to
    stop."""
    from client.agent.jobs import Jobs
    from client.agent.main import serve
    from client.agent.opening import open_site
    from client.agent.service import AgentService
    from client.agent.training import Training
    from client.centre.renewal import Means, Renewal
    from client.privacy.entropy import OsEntropy

    vault, say = given
    with stopping.at_once():
        site = open_site(home, say, vault)
    renewal = Renewal(home, Means(clock=time.time, say=say))
    with contextlib.closing(site.ledger), renewal:
        training = Training(site.facts, site.policy, site.ledger, OsEntropy())
        try:
            with serve(AgentService(training, Jobs()), *way) as running:
                say(f"serving at {running.address}")
                stopping.wait(site.tidy)
        finally:
            site.tidy(0.0)


def await_admission(home: SiteHome, say: Say, stopping: Stopping, every: float = LOOK) -> bool:
    """Looks every ``every`` seconds whether trust/ is there, and asks the centre now and then.

    False if somebody asked to stop before. No face was read yet for training: this is what
    `mascaron-site admission` does.
    """
    from client.agent.opening import ADMISSION, is_admitted

    if is_admitted(home):
        return True
    looks, said = 0, ""
    say(f"waiting for admission: {ADMISSION} fetches it, or this, where it reaches the centre")
    while not is_admitted(home):
        news = _ask(home) if looks % ASK == 0 else said
        if news != said:
            say(news)
        looks, said = looks + 1, news
        if not is_admitted(home) and stopping.pause(every):
            return False
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
    harden()
    give_back_freed()


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
    from client.serving.listening import Door, group_of

    if config.agent is not None:
        if name is not None:
            raise ConfigError(f"--group opens a socket, and {home.settings} says agent: drop one")
        make_ends(home, time.time())
        return config.agent, Door(tls=agent_end(home))
    socket, group = home.socket(config), None
    if name is not None:
        group = group_of(name)
        _open_folder(socket.parent, group)
    return f"unix:{socket}", Door(group=group)


def _open_folder(folder: Path, group: int) -> None:
    """Lets ``group`` reach what is in ``folder`` by name, and nobody else."""
    try:
        os.chown(folder, -1, group)
        folder.chmod(0o710)
    except OSError as error:
        raise ConfigError(
            f"cannot open {folder} to group {group}: {error.strerror}; add this user to the group"
        ) from None
