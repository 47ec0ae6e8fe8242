"""What can be wrong with a site's door: vault, token, socket, releases, consents, log, memory.

Guarantee: a finding says of people that there are some to be asked again, never who or how many.
Leaks: opening a vault that no agent has open finishes what a crash left half done, as any start of
the agent would.
"""

import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

from client.doctor.findings import INIT, Check, DoorTold, Finding, Machine, visible, well, wrong
from client.home import SiteHome
from client.site_config import SiteConfig
from common.config import read_toml
from common.errors import AuditError, ConfigError, MascaronError, SealedError, VaultRollbackError
from common.locks import is_locked

SOON = 30 * 86400.0  # seconds: time to ask people again
SERVE = "start it with `mascaron-site serve`"
RESTORE = "`mascaron-site vault restore` brings back the last backup"
CALIBRATE = "`mascaron-site calibrate` finds thresholds, or says how many people are missing"


def check_vault(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Whether the vault opens, and whose consent runs out soon where no agent has it."""
    from client.vault.core import DATABASE, LOCK
    from client.vault.founding import vault_place
    from client.vault.store import Vault

    if not visible(home.agent):
        return  # the courier's user, who must not open it
    if not (home.vault / DATABASE).exists():
        yield wrong("vault", f"there is no vault at {home.vault}", INIT)
        return
    try:
        place = vault_place(home, config)
        if is_locked(home.vault / LOCK):  # the agent has opened it
            yield well("vault")
            return
        with Vault(place) as vault:
            yield well("vault")
            now = machine.now()
            yield _consents(bool(vault.expired(now)), bool(vault.expired(now + SOON)))
    except SealedError as error:
        remedy = "put back the key or passphrase file that it had, or the newest keyring"
        yield wrong("vault", str(error), f"{remedy}; else {RESTORE}")
    except VaultRollbackError as error:
        remedy = "put back the newest keyring and database together"
        yield wrong("vault", str(error), f"{remedy}; else {RESTORE}")
    except ConfigError as error:
        yield wrong("vault", str(error), "the cause says what to do")
    except MascaronError as error:
        yield wrong("vault", str(error), RESTORE)


def check_token(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Whether the operator's own commands can say who they are, and nobody else as they."""
    if not visible(home.agent):
        return
    for path in (home.operator_token, home.callers):
        try:
            mode = stat.S_IMODE(path.lstat().st_mode)
        except FileNotFoundError:
            yield wrong("callers", f"there is no {path}", INIT)
            return
        if mode & 0o077:
            yield wrong("callers", f"others may read {path}", f"chmod 600 {path}")
            return
    yield well("callers")


def check_recognition(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Whether the door answers to its operator, and decides."""
    if not visible(home.agent):
        return
    path = home.door_socket()
    if os.path.lexists(path):
        mode = path.lstat().st_mode
        if not stat.S_ISSOCK(mode) or mode & 0o007:
            cause = f"every user may speak to the door at {path}, or it is no socket"
            yield wrong("door", cause, f"remove {path} and start the agent again")
            return
    told = machine.ask_door(home, config)
    if told.reason:
        cause = f"the door does not answer its operator ({told.reason})"
        yield wrong("door", cause, f"{SERVE}; its log tells the rest")
        return
    if told.enrolled and not told.active:
        cause = "people are enrolled, and no release decides who is who"
        yield wrong("door", cause, "`mascaron-site release stage FILE`, then promote it")
    elif told.enrolled and not told.calibrated:
        yield wrong("door", "the release that decides has no thresholds", CALIBRATE)
    elif told.outgrown:
        cause = "more people are enrolled than the thresholds of searches were found for"
        yield wrong("door", cause, CALIBRATE)
    else:
        yield well("door")
    yield from _heads(home, told)
    if told.first_end is not None:
        now = machine.now()
        yield _consents(told.first_end <= now, told.first_end <= now + SOON)


def check_audit(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Whether the log of the door is as it was written."""
    from client.audit.reading import verify_file
    from client.centre.admission import countersigned
    from common.trust.keys import SigningKey

    beside = home.audit.with_name(f"{home.audit.name}.head")
    if not visible(home.agent) or not (home.audit.exists() or beside.exists()):
        return  # the door begins one when it opens
    key = SigningKey.load(home.identity_key)
    remedy = (
        "put the newest audit.db back, with its .head; if there is none, keep a copy as evidence, "
        "move it away, and `mascaron-site audit acknowledge` begins another"
    )
    try:
        seen = countersigned(home, key.public)
    except AuditError as error:
        yield wrong("audit", str(error), remedy)
        return
    verdict = verify_file(home.audit, key.public, config.name, seen.heads)
    if verdict.broken is None:
        yield well("audit")
        return
    cause = f"the audit log is broken at record {verdict.broken}: {verdict.why}"
    yield wrong("audit", cause, remedy)


def check_memory(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Whether keys and faces in memory may be written to a swap device."""
    endless = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    if endless or not _swaps(machine.swaps):
        yield well("memory")
        return
    cause = "this machine swaps, and a process started as this user may not lock its memory"
    yield wrong("memory", cause, "LimitMEMLOCK=infinity in the agent's unit, or turn off swap")


def _consents(over: bool, soon: bool) -> Finding:
    if over:
        cause = "a consent has run out: the person answers to nothing any more"
        return wrong("consents", cause, f"{SERVE}: it erases whose consent is over")
    if soon:
        cause = f"a consent runs out within {SOON / 86400:.0f} days"
        return wrong("consents", cause, "`mascaron-site people` says whose: renew it, or let it go")
    return well("consents")


def _heads(home: SiteHome, told: DoorTold) -> Iterator[Finding]:
    """Whether a door that is let describe faces has heads to do it by, and which."""
    rules = read_toml(home.settings).get("door", {})
    if not (rules.get("describe") or rules.get("search")):
        return
    if told.heads:
        yield well("heads", f"faces are described by {told.heads}")
        return
    cause = "describe or search is switched on in site.toml, and no heads are read"
    remedy = "name a file as [door] heads there, or promote a release that brings some"
    yield wrong("heads", cause, f"{remedy}; [release] heads in policy.toml says which it may bring")


def _swaps(path: Path) -> bool:
    """Whether a swap device is on; not so where there is no such list."""
    try:
        return len(path.read_text("utf-8").splitlines()) > 1
    except OSError:
        return False


def check_sight(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Whether the network and the public people, whom strangers are judged by, are there."""
    if not visible(home.agent):
        return
    wanted = {
        "trunk": (config.trunk, "a network and its trunk.toml"),
        "public": (config.public, "a pack or folder of public faces"),
    }
    for key, (path, what) in wanted.items():
        if path.exists():
            yield well(key)
        else:
            remedy = f"put {what} there, or correct {key} in {home.settings}"
            yield wrong(key, f"there is nothing at {path}", remedy)


AT_THE_DOOR: tuple[Check, ...] = (
    check_sight,
    check_vault,
    check_token,
    check_recognition,
    check_audit,
    check_memory,
)
