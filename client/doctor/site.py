"""What can be wrong with a site on its own machine: processor, disk, keys, membership, node."""

import os
import stat
from collections.abc import Iterator

from client.centre.admission import known_roster
from client.centre.renewal import LATE
from client.courier.standing import (
    CONNECTED,
    ENDED,
    REFUSED,
    STARTING,
    STOPPED,
    UNREACHABLE,
    Standing,
)
from client.doctor.findings import (
    INIT,
    JOIN,
    SET_CLOCK,
    Check,
    Finding,
    Machine,
    visible,
    well,
    wrong,
)
from client.home import SiteHome
from client.launcher import read_allowed
from client.site_config import SiteConfig
from common.config import load
from common.errors import ConfigError
from common.locks import is_locked
from common.trust import storing
from common.trust.certificates import expiry, life_left, read_certificate

LEAST_SPACE = 100 * 2**20  # bytes
PATIENCE = 180.0  # seconds; Flower takes up to a minute to let a node that crashed in again
X86 = ("x86_64", "amd64", "i686")
ASK = "run `mascaron-site admission` as the agent's user"


def check_processor(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """PyTorch and onnxruntime need AVX on x86, and end with SIGILL where it is missing."""
    flags = machine.processor.read_text("utf-8").split()
    if machine.architecture.lower() in X86 and "avx" not in flags:
        remedy = "let the virtual machine pass the host's processor through, or use another one"
        yield wrong("processor", "this processor does not offer AVX", remedy)
    else:
        yield well("processor")


def check_disk(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """The ledger must be written before anything is released."""
    if machine.space(home.folder) < LEAST_SPACE:
        cause = f"less than {LEAST_SPACE // 2**20} MiB are free where {home.folder} is"
        yield wrong("disk", cause, "make room there: without it no release can be entered")
    else:
        yield well("disk")


def check_keys(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Keys are there, and nobody but their owner reads them."""
    if not visible(home.agent) and not visible(home.courier):
        cause = "this user is neither the agent's nor the courier's, and sees little of the site"
        yield wrong("user", cause, f"run as the owner of {home.agent}, then of {home.courier}")
    of_member = () if config.alone else (home.ledger_key, home.node_key)
    for path in (home.identity_key, *of_member):
        name = f"key {path.name}"
        if not visible(path.parent):
            continue  # of the other side of the house, whose user sees to it
        try:
            mode = stat.S_IMODE(path.lstat().st_mode)
        except FileNotFoundError:
            remedy = f"{INIT}, or put the file back from where you keep a copy"
            yield wrong(name, f"there is no {path}", remedy)
            continue
        if mode & 0o077:
            yield wrong(name, f"others may read {path}", f"chmod 600 {path}")
        else:
            yield well(name)


def check_trust(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """What the federation is known by, and which bundles may start a courier."""
    if config.alone:
        return  # there is nobody to trust
    if not home.ca.exists():
        yield wrong("trust", f"there is no {home.ca}: this site has not met its centre", INIT)
    elif not home.fabs.exists():
        yield wrong("trust", f"there is no {home.fabs}: every bundle is refused", JOIN)
    else:
        read_allowed(home.fabs)
        yield well("trust")


def check_admission(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Whether this site is a member of its federation, and until when."""
    name, content = "admission", storing.read(home.certificate)
    if content is None:
        if home.ca.exists():  # else the check of trust tells
            remedy = f"read the fingerprint to the administrator, then {ASK}"
            yield wrong(name, "this site is not admitted, or has not heard of it yet", remedy)
        return
    certificate = read_certificate(content)
    left, day = life_left(certificate, machine.now()), expiry(certificate)[:10]
    if left > 1:
        cause = "this site's certificate is not in force yet by this machine's clock"
        yield wrong(name, cause, SET_CLOCK)
    elif left < 0:
        again = f"let the administrator run `mascaron-admin admit` again, then {ASK}"
        remedy = f"if the clock is right, {again}"
        yield wrong(name, f"this site's certificate ended on {day} by this clock", remedy)
    elif left < LATE:
        remedy = f"{ASK}; a timer should do it once a day, see deploy/systemd"
        yield wrong(name, f"this site's certificate ends on {day}, and nobody renewed it", remedy)
    else:
        yield well(name)


def check_faces(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Whether the folder or pack of faces can be read; not what is in it."""
    if not visible(home.agent):
        return  # the courier's user, who must not read faces
    path = config.faces
    if path is None:
        return  # who is trained on is in the vault
    needed = os.R_OK | (os.X_OK if path.is_dir() else 0)
    if not path.exists():
        yield wrong("faces", f"there is nothing at {path}", f"correct faces in {home.settings}")
    elif not os.access(path, needed):
        remedy = f"let the agent's user read it: chmod -R u+rX {path}, or chown it"
        yield wrong("faces", f"this user may not read {path}", remedy)
    else:
        yield well("faces")


def check_policy(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Without what it allows nobody trains, and a door describes nobody and takes no labels."""
    if not visible(home.agent) or (config.alone and not os.path.lexists(home.policy)):
        return  # the courier's user, or a door that nothing was written for
    from client.agent.opening import open_policy
    from client.policy import SitePolicy

    try:
        if config.alone:
            load(SitePolicy, home.policy)
        else:
            open_policy(home, config)
    except ConfigError as error:
        remedy = f"correct {home.policy} and start `mascaron-site serve` again"
        yield wrong("policy", str(error), remedy)
    else:
        yield well("policy")


def check_node(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Whether the centre knows this node, and takes it."""
    if config.alone:
        return  # it needs no courier
    roster, mine = known_roster(home), visible(home.courier)
    entry = roster.site(config.name) if roster else None
    line = storing.read(home.node_public) if mine else None
    if entry is not None and entry.state == "revoked":
        yield wrong("node", "the roster says that this site is revoked", "ask the administrator")
        return
    if entry is not None and line is not None and entry.node.split()[:2] != _words(line):
        remedy = f"put the old {home.node_key.name} back, or {INIT} and let it be admitted again"
        yield wrong("node", "the centre registered another node key than this home's", remedy)
        return
    if not mine:
        return  # the agent's user, who does not look into the courier's folder
    runs = is_locked(home.courier_lock)  # one that was killed had no time to say so
    yield _standing_found(Standing.load(home.standing) if runs else None, machine.now())


def _standing_found(standing: Standing | None, now: float) -> Finding:
    state = standing.state if standing else STOPPED
    lasted = now - standing.since if standing else 0.0
    if state == CONNECTED or (state in (STARTING, REFUSED, ENDED) and lasted < PATIENCE):
        return well("node")
    told = {
        STOPPED: ("the courier is not running", JOIN),
        STARTING: ("the courier starts and does not connect", "look into courier/logs"),
        ENDED: ("the courier ends again and again", "look into courier/logs"),
        UNREACHABLE: ("the courier does not reach the centre", "see the finding on the gateway"),
        REFUSED: (
            "the SuperLink does not know this node: its registration is stale",
            "let the administrator run `mascaron-admin doctor` and admit this site again",
        ),
    }
    unknown = ("the courier's standing is unknown", "start `mascaron-site join` again")
    return wrong("node", *told.get(state, unknown))


def _words(line: bytes) -> list[str]:
    return line.decode("ascii", "replace").split()[:2]


ON_THIS_MACHINE: tuple[Check, ...] = (
    check_processor,
    check_disk,
    check_keys,
    check_trust,
    check_admission,
    check_faces,
    check_policy,
)
