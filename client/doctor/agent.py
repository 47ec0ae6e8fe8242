"""What can be wrong at the agent's door: its socket, or its port and the certificates of both ends.

Guarantee: what is looked at of keys is whose they are, never what is in them.
"""

import os
import socket
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from client.doctor.findings import Finding, Machine, visible, well, wrong
from client.ends import AGENT, LEAST_LIFE, End, ends, seconds_left
from client.home import SiteHome
from client.site_config import SiteConfig
from common.errors import SignatureError
from common.trust import storing
from common.trust.certificates import fingerprint, read_certificate

SECONDS = 2.0
SERVE = "start it with `mascaron-site serve`, which reads all faces first; its log tells the rest"


def check_door(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Who may speak to the agent."""
    if config.alone:
        return  # nobody relays anything for a site that is alone
    if config.agent is None:
        yield from _socket(home.socket(config))
        return
    for end in ends(home):
        name = f"certificate {end.certificate.name}"
        found = _end(end, machine.now())
        yield wrong(name, *found) if found else well(name)


def check_agent(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Whether the agent answers the way a courier asks."""
    if config.alone:
        return
    path = home.socket(config)
    if config.agent is None and os.path.lexists(path) and not os.access(path, os.R_OK | os.W_OK):
        return  # the check of the door tells
    reason = machine.ask_agent(home, config)
    if reason == "PROTOCOL_VERSION":
        remedy = "install the same release for both, then start both again"
        yield wrong("agent", "the agent speaks another version of the protocol", remedy)
    elif reason and config.agent is not None:
        yield _no_answer_at(config.agent, reason)
    elif reason:
        yield wrong("agent", f"the agent does not answer ({reason})", SERVE)
    else:
        yield well("agent")


def _socket(path: Path) -> Iterator[Finding]:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return  # the agent's check tells
    if not stat.S_ISSOCK(mode):
        yield wrong("socket", f"{path} is not a socket", f"remove it, then start the agent: {path}")
    elif mode & 0o007:
        yield wrong("socket", f"every user may speak to the agent at {path}", f"chmod o= {path}")
    elif not os.access(path, os.R_OK | os.W_OK):
        remedy = "start the agent with a group that the courier's user is in, or as this user"
        yield wrong("socket", f"this user may not speak to the agent at {path}", remedy)
    else:
        yield well("socket")


def _end(end: End, now: float) -> tuple[str, str] | None:
    """Cause and remedy, if something is wrong with the files of one end."""
    again = "start the agent again" if end.name == AGENT else "start `mascaron-site join` again"
    published = storing.read(end.published)
    if published is None:
        return f"there is no {end.published}", f"{again}: it makes one"
    try:
        left, known = seconds_left(published, now), fingerprint(read_certificate(published))
    except SignatureError:
        return f"{end.published} is not a certificate", f"remove it and {again}"
    if left < LEAST_LIFE:
        when = datetime.fromtimestamp(now + left, UTC).date()
        verb = "ended" if left < 0 else "ends"
        return f"{end.published} {verb} on {when}", f"{again}: it makes a new one"
    if not visible(end.folder.parent):
        return None  # of the other side of the house, whose user sees to it
    return _private(end, known, again)


def _private(end: End, known: str, again: str) -> tuple[str, str] | None:
    try:
        mode = stat.S_IMODE(end.key.lstat().st_mode)
    except FileNotFoundError:
        return f"there is no {end.key}", f"{again}: it makes one"
    if mode & 0o077:
        return f"others may read {end.key}", f"remove {end.folder} and {again}: it makes a new key"
    own = storing.read(end.certificate)
    if own is None or fingerprint(read_certificate(own)) != known:
        return f"{end.published} is not the certificate in {end.folder}", again
    return None


def _no_answer_at(address: str, reason: str) -> Finding:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
    except OSError:
        return wrong("agent", f"nothing listens at {address}: the agent does not run", SERVE)
    cause = f"what listens at {address} does not let this end in ({reason})"
    remedy = (
        "see the findings on certificates, start agent and courier again; if it stays, another "
        "program has the port: `ss -ltnp` names it, and agent in site.toml can name another port"
    )
    return wrong("agent", cause, remedy)
