"""The two ends of the agent's port: whose key lies where, and how each learns of the other.

Each end is made where its user alone reads (agent/tls, courier/tls); the certificates, which are
public, lie in trust/, where both read.

Guarantee: a key is made with the rights of the owner of its folder and never leaves it; root does
nothing in a folder of the courier's that the courier could not do. The courier cannot choose whom
the agent lets in: trust/ is not its to write.
Leaks: to users of this machine, that there is an agent at this port.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import grpc

from client.home import PRIVATE, SiteHome, make_folder
from client.serving.tls import Tls, make_end
from client.site_config import SiteConfig
from common.daemons.users import acting_as
from common.errors import DeploymentError, SignatureError
from common.trust import storing
from common.trust.certificates import read_certificate, to_pem

LEAST_LIFE = 30 * 86400.0  # seconds; an end with less left is made anew when its side starts
MOST = 65536  # bytes of a certificate
AGENT, COURIER = "agent", "courier"


@dataclass(frozen=True)
class End:
    """One end's files: its private ``folder``, and where its certificate is ``published``."""

    name: str
    folder: Path
    published: Path

    @property
    def key(self) -> Path:
        return self.folder / f"{self.name}.key"

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.crt"


def ends(home: SiteHome) -> tuple[End, End]:
    """The agent's end, and the courier's."""
    return (
        End(AGENT, home.agent_tls, home.agent_certificate),
        End(COURIER, home.courier_tls, home.courier_certificate),
    )


def make_ends(home: SiteHome, now: float) -> None:
    """Makes and publishes what is missing or soon over, of each end that is this user's or, for
    root, anybody's.

    ``now`` is in seconds since 1970. Raises ``DeploymentError`` if a file cannot be written.
    """
    for end in ends(home):
        side = end.folder.parent
        if not side.is_dir() or os.geteuid() not in (0, side.stat().st_uid):
            continue  # the other side's, whose user makes it
        with acting_as(side.stat().st_uid, side.stat().st_gid):
            certificate = _made(end, now)
            if end.name == COURIER:
                _link(home)
        if storing.read(end.published) != certificate:
            _publish(end, certificate)


def agent_end(home: SiteHome) -> Tls:
    """What the agent listens with."""
    mine, theirs = ends(home)
    return Tls(key=mine.key, certificate=mine.certificate, peer=theirs.published)


def own_end(home: SiteHome) -> Tls:
    """How this user dials the agent: as the courier, or else as the agent's own user.

    Raises ``DeploymentError`` for a user who may read neither key.
    """
    agent, courier = ends(home)
    for end in (courier, agent):
        if os.access(end.key, os.R_OK):
            return Tls(key=end.key, certificate=end.certificate, peer=agent.published)
    raise DeploymentError(
        f"this user may read neither {agent.key} nor {courier.key}: run as the agent's user or the "
        "courier's; if they are not there yet, start `mascaron-site serve`"
    )


def channel_to(home: SiteHome, config: SiteConfig) -> grpc.Channel:
    """A channel to the agent of ``home``, as this user may open one; raises as ``own_end``."""
    address = home.agent_address(config)
    if config.agent is None:
        return grpc.insecure_channel(address)
    return own_end(home).channel(address)


def _made(end: End, now: float) -> bytes:
    """The certificate of ``end``, made anew where it has to be."""
    make_folder(end.folder, PRIVATE)
    found = _kept(end)
    if found is None or seconds_left(found, now) < LEAST_LIFE:
        make_end(end.folder, end.name, lambda: now)
        found = _kept(end)
    if found is None:
        raise DeploymentError(f"cannot read {end.certificate}: remove it, and start again")
    return found


def _kept(end: End) -> bytes | None:
    """The certificate with its key beside it, as PEM of ours; None if there is none."""
    try:
        with end.certificate.open("rb") as file:
            content = file.read(MOST)
        return to_pem(read_certificate(content)) if end.key.is_file() else None
    except (OSError, SignatureError):
        return None


def seconds_left(pem: bytes, now: float) -> float:
    """Until the certificate ends; negative if it has. ``SignatureError`` if it is none."""
    return read_certificate(pem).not_valid_after_utc.timestamp() - now


def _link(home: SiteHome) -> None:
    """Puts the agent's certificate beside the courier's, always the newest one."""
    place = home.courier_tls / home.agent_certificate.name
    if place.is_symlink():
        return
    try:
        place.unlink(missing_ok=True)
        place.symlink_to(Path("..", "..", home.trust.name, home.agent_certificate.name))
    except OSError as error:
        raise DeploymentError(f"cannot make {place}: {error.strerror}") from None


def _publish(end: End, certificate: bytes) -> None:
    try:
        storing.replace(end.published, certificate, storing.PUBLIC)
    except DeploymentError:
        who = "`mascaron-site join --prepare` as root" if end.name == COURIER else "as its owner"
        raise DeploymentError(
            f"the {end.name} has a new certificate, which this user may not put into "
            f"{end.published.parent}: run {who}, then start the {end.name} again"
        ) from None
