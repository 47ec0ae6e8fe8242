"""`mascaron-site join`: waits for admission, then runs the courier until asked to stop."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from client.courier import standing
from client.courier.standing import Listener
from client.courier.supernode import daemons, make_secret
from client.ends import make_ends
from client.home import SiteHome
from client.launcher import allow_own_bundle, write_launchers
from client.site_config import SiteConfig
from common.daemons.leash import confine
from common.daemons.supervisor import Care, Chore, Patience, Supervisor
from common.daemons.users import OsUser, become, hand_over
from common.errors import AdmissionError, DeploymentError, MascaronError
from common.locks import locked

PATIENCE = Patience(longest_pause=15.0, stop=10.0)


class Admission(Protocol):
    """How the site stands with its federation; see `client.centre.admission`."""

    @property
    def state(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def node_known(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a command is given of the world."""

    fetch: Callable[[SiteHome], Admission]  # asks the centre how the site stands
    say: Callable[[str], None]  # one line of progress
    sleep: Callable[[float], None] = time.sleep
    patience: Patience = PATIENCE
    every: float = 5.0  # seconds between two questions to the centre before admission
    again: float = 86400.0  # and after it


def join_command(home: SiteHome, user: str | None, around: Surroundings) -> dict[str, Any]:
    """Runs the courier of ``home``, as the OS user ``user`` if this process is root.

    Returns when the process is asked to stop. Raises ``AdmissionError`` if the site is revoked,
    ``DeploymentError`` if the courier cannot be started.
    """
    config = home.config()
    config.check_member()
    courier = OsUser.named(user) if user else None
    _await_admission(home, around)
    _prepare(home, config, courier)
    if courier is not None and os.geteuid() != courier.uid:
        become(courier)
    around.say(f"the courier runs as {'uid ' + str(os.geteuid()) if user is None else user}")
    confine()
    os.umask(0o077)
    _check_readable(home, config)
    with locked(home.courier_lock, "a courier of this home"):
        make_secret(home)
        write_launchers(home)
        listener = Listener(home, time.time, around.say)
        listener.stand(standing.STARTING)
        chores = _renewal(home, around)
        care = Care(heard=listener.heard, patience=around.patience, chores=chores)
        supervisor = Supervisor(lambda: daemons(home, config, os.environ), care)
        try:
            stopped = supervisor.run()
        finally:
            listener.stand(standing.STOPPED)
    return {"site": config.name, "stopped": stopped, "restarts": supervisor.restarts}


def prepare_command(home: SiteHome, user: str | None) -> dict[str, Any]:
    """What root does once, where something else than this command starts the courier as ``user``.

    The courier's folder becomes that user's, and this release's bundle is allowed: afterwards the
    courier needs to write nowhere else. Raises ``DeploymentError`` before `init`.
    """
    config = home.config()
    config.check_member()
    _prepare(home, config, OsUser.named(user) if user else None)
    return {"site": config.name, "prepared": str(home.courier)}


def _prepare(home: SiteHome, config: SiteConfig, courier: OsUser | None) -> None:
    home.prepare_courier()
    if not home.node_key.exists():
        raise DeploymentError(f"there is no {home.node_key}: run `mascaron-site init` again")
    allow_own_bundle(home)
    if config.agent is not None:
        make_ends(home, time.time())
    if courier is not None and os.geteuid() != courier.uid:
        hand_over(home.courier, courier)


def _await_admission(home: SiteHome, around: Surroundings) -> None:
    """Returns once the centre says the site is admitted, under the node key it has."""
    if not os.access(home.identity_key, os.R_OK):
        around.say(
            "taking the admission from trust/, since the identity is the agent's: its user asks "
            "with `mascaron-site admission`"
        )
        while not home.roster.exists():  # the last that an admission writes
            around.sleep(around.every)
        return
    said = ""
    while True:
        admission, news = _ask(home, around)
        if admission is not None and admission.state == "revoked":
            raise _revoked(admission)
        if admission is not None and admission.state == "admitted":
            break
        if news != said:
            around.say(news)
        if admission is None and home.certificate.exists():
            return
        said = news
        around.sleep(around.every)
    _check_node(home, admission)
    around.say("admitted")


def _renewal(home: SiteHome, around: Surroundings) -> tuple[Chore, ...]:
    """Asks the centre once a day, which renews a certificate that is due; or says who has to."""
    if not os.access(home.identity_key, os.R_OK):
        around.say(
            "the identity is the agent's, so its user renews the certificate: by a timer that runs "
            "`mascaron-site admission` once a day, or `mascaron-site serve` does where it reaches "
            "the centre"
        )
        return ()

    def again(supervisor: Supervisor) -> None:
        try:
            admission, news = _ask(home, around)
        except MascaronError as error:
            admission, news = None, f"{error.reason}: {error}"
        if admission is None:
            around.say(news)
        elif admission.state == "revoked":
            raise _revoked(admission)
        else:
            _check_node(home, admission)

    return (Chore(every=around.again, do=again),)


def _check_node(home: SiteHome, admission: Admission) -> None:
    if not admission.node_known:
        raise AdmissionError(
            f"the centre knows this site by another node key than {home.node_public}: put the old "
            "node.key back, or ask the administrator to admit the new one after `init`"
        )


def _revoked(admission: Admission) -> AdmissionError:
    return AdmissionError(f"the centre has revoked this site: {admission.reason}")


def _ask(home: SiteHome, around: Surroundings) -> tuple[Admission | None, str]:
    """How the site stands, or None if the centre cannot be asked; and what to tell of it."""
    try:
        return around.fetch(home), "waiting for the administrator to admit this site"
    except DeploymentError as error:
        before = "; it admitted this site before" if home.certificate.exists() else ""
        return None, f"the centre cannot be asked{before}: {error}"


def _check_readable(home: SiteHome, config: SiteConfig) -> None:
    if config.agent is not None and not home.agent_certificate.exists():
        raise DeploymentError(
            f"there is no {home.agent_certificate}: start the agent once, `mascaron-site serve`"
        )
    for path in (home.ca, home.fabs, home.node_key, Path(sys.executable), Path(__file__)):
        if not os.access(path, os.R_OK):
            raise DeploymentError(
                f"the courier's user may not read {path}: let that user into the folders above it "
                "(chmod o+x), or keep it where all may read, such as below /opt or /var/lib"
            )
