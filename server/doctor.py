"""What can be wrong with a centre: every check names the cause and what to do about it.

Checks read files, ask this machine and the centre's own daemons; they change nothing.
"""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.errors import HistoryError, MascaronError
from common.trust import storing
from common.trust.certificates import expiry, life_left, read_certificate
from common.wire import PROTOCOL
from server.admission.authority import CA_DAYS, RENEW_AT, SERVER_DAYS, load_private
from server.commands.status import seen
from server.home import CentreConfig, CentreHome
from server.release.seen import seen_by_sites
from server.standing import federation_of, roster_of

State = Literal["well", "doubtful", "wrong"]

DAY = 86400.0
UNSEEN = 14 * DAY  # without an answer, after which a site is doubtful
SPACE, LEAST_SPACE = 2 * 2**30, 200 * 2**20  # bytes of free disk
FLWR = "1.41."
NEW_FEDERATION = "make a new federation: every site has to join it"
RENEW = "`mascaron-admin renew`: a running gateway shows the new one by itself"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a check found; ``remedy`` is empty where nothing is wrong."""

    check: str
    state: State
    told: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a check may ask of the world, so that a test can answer.

    ``well(port, host)``: whether what listens there shows our certificate and says it is healthy.
    ``spoken(port, host)``: the version of the protocol that the gateway there tells, or None.
    ``free(host, port)``: whether one could listen there. ``superlink``: its port while the centre
    serves, else None.
    """

    now: float  # seconds since 1970
    well: Callable[[int, str], bool]
    spoken: Callable[[int, str], object]
    free: Callable[[str, int], bool]
    space: Callable[[Path], int]  # bytes
    flwr: str  # version installed, empty for none
    superlink: int | None


def examine(home: CentreHome, machine: Machine) -> list[Finding]:
    """All findings, whatever fails: a check that cannot be made is a finding too."""
    findings: list[Finding] = []
    first = (_centre, _open, _certificate, _clock, _disk, _flower, _daemons)
    for check in (*first, _roster, _sites, _releases):
        try:
            findings += check(home, machine)
        except MascaronError as error:
            findings.append(
                _wrong(check.__name__.strip("_"), str(error), "the cause says what to do")
            )
        except (OSError, ValueError) as error:
            told = f"cannot be checked: {type(error).__name__}"
            findings.append(_wrong(check.__name__.strip("_"), told, "run as the centre's user"))
        if not home.ca.exists():
            break  # no centre, so nothing else to say of it
    return findings


def _centre(home: CentreHome, machine: Machine) -> Iterator[Finding]:
    federation = federation_of(home)
    home.config()
    yield _well("centre", f"federation {federation[:16]}..., settings can be read")


def _open(home: CentreHome, machine: Machine) -> Iterator[Finding]:
    """Keys, token and the folders they lie in: for their owner only."""
    secrets = [home.folder, home.keys, *sorted(home.keys.glob("*.key")), home.token, home.secret]
    there = [path for path in secrets if path.exists()]
    exposed = [path for path in there if stat.S_IMODE(path.stat().st_mode) & 0o077]
    for path in exposed:
        mode = "700" if path.is_dir() else "600"
        yield _wrong("keys", f"others may read {path}", f"chmod {mode} {path}, then ask who did")
    if not exposed:
        yield _well("keys", "keys and token are private")


def _certificate(home: CentreHome, machine: Machine) -> Iterator[Finding]:
    certificate = read_certificate(storing.read(home.server_certificate) or b"")
    ca, left = read_certificate(storing.read(home.ca) or b""), life_left(certificate, machine.now)
    if left < 0:
        yield _wrong("certificate", f"the server's expired on {expiry(certificate)}", RENEW)
    elif left < RENEW_AT:
        yield _doubtful("certificate", f"the server's expires on {expiry(certificate)}", RENEW)
    else:
        yield _well("certificate", f"the server's lasts until {expiry(certificate)}")
    if life_left(ca, machine.now) < 0:
        told = "the federation's CA has expired: no certificate counts any more"
        yield _wrong("authority", told, NEW_FEDERATION)
    elif life_left(ca, machine.now) < SERVER_DAYS / CA_DAYS:  # shorter than a certificate
        yield _doubtful("authority", f"the CA itself expires on {expiry(ca)}", NEW_FEDERATION)
    if certificate.issuer != ca.subject or not _pair(home, certificate):
        told = f"{home.server_certificate} is not of this CA, or not of {home.server_key}"
        yield _wrong("certificate", told, "restore all of keys/ from one backup")
    yield _host(certificate, home.config())


def _host(certificate: x509.Certificate, config: CentreConfig) -> Finding:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = {str(name.value) for name in names}
    if config.host in known:
        return _well("host", f"the certificate names {config.host}")
    told = f"sites dial {config.host}, and the certificate names {', '.join(sorted(known))}"
    return _wrong("host", told, f"{RENEW}; or write the right host into centre.toml")


def _clock(home: CentreHome, machine: Machine) -> Iterator[Finding]:
    """A clock that went back is seen beside what was written before."""
    ca = read_certificate(storing.read(home.ca) or b"")
    written = [home.roster, home.ca, home.server_certificate, *home.heads.glob("*.json")]
    latest = max((path.stat().st_mtime for path in written if path.exists()), default=0.0)
    behind = max(latest, ca.not_valid_before_utc.timestamp()) - machine.now
    if behind > 60:
        told = f"the clock is at least {behind / 60:.0f} minutes behind what was written earlier"
        yield _wrong("clock", told, "let the clock be set by NTP (`timedatectl`)")
    else:
        yield _well("clock", "not behind anything written so far")


def _disk(home: CentreHome, machine: Machine) -> Iterator[Finding]:
    free = machine.space(home.folder)
    told = f"{free / 2**20:.0f} MiB are free at {home.folder}"
    remedy = f"free some, or move the centre (`mascaron-admin backup`); {home.logs} may be emptied"
    if free < LEAST_SPACE:
        yield _wrong("disk", f"{told}: the next checkpoint may not fit", remedy)
    elif free < SPACE:
        yield _doubtful("disk", told, remedy)
    else:
        yield _well("disk", told)


def _flower(home: CentreHome, machine: Machine) -> Iterator[Finding]:
    remedy = f'pip install "flwr>={FLWR}0,<1.42" with the Python of mascaron-admin'
    if not machine.flwr:
        yield _wrong("flower", "flwr is not installed", remedy)
    elif not machine.flwr.startswith(FLWR):
        told = f"flwr is {machine.flwr}, and every other minor speaks differently"
        yield _wrong("flower", told, remedy)
    else:
        yield _well("flower", f"flwr {machine.flwr}")


def _daemons(home: CentreHome, machine: Machine) -> Iterator[Finding]:
    """While it serves, both must answer; while it does not, its port must be free."""
    config = home.config()
    if machine.superlink is None:
        if machine.free(config.bind, config.port):
            yield _doubtful("serve", "the centre does not serve", "start `mascaron-admin serve`")
        else:
            told = f"another program listens on port {config.port}"
            finder = f"`ss -ltnp sport = :{config.port}` names it"
            yield _wrong("ports", told, f"stop it ({finder}), or set another port in centre.toml")
        return
    if machine.well(machine.superlink, "127.0.0.1"):
        yield _well("superlink", f"answers on port {machine.superlink} of this machine")
    else:
        told = "the SuperLink does not answer"
        yield _wrong("superlink", told, f"see {home.logs / 'superlink.log'}; start serve again")
    if machine.well(config.port, config.bind):
        yield _well("gateway", f"answers on port {config.port}")
        yield _protocol(machine.spoken(config.port, config.bind))
    else:
        told = f"the gateway does not answer on port {config.port}"
        yield _wrong("gateway", told, f"see {home.logs / 'gateway.log'}; start serve again")


def _protocol(spoken: object) -> Finding:
    """A gateway that was started before an update goes on speaking as it did."""
    if spoken == PROTOCOL:
        return _well("protocol", f"the gateway speaks version {PROTOCOL}")
    version = "no known version" if spoken is None else f"version {spoken}"
    told = f"the gateway speaks {version} of the protocol, and {PROTOCOL} is installed here"
    remedy = "start `mascaron-admin serve` again, with the release that the sites have"
    return _wrong("protocol", told, remedy)


def _roster(home: CentreHome, machine: Machine) -> Iterator[Finding]:
    try:
        roster = roster_of(home)
    except MascaronError as error:
        remedy = "restore the home from a backup; sites keep the roster they know meanwhile"
        yield _wrong("roster", f"{home.roster}: {error}", remedy)
        return
    yield _well("roster", f"number {roster.number}, {len(roster.admitted)} sites admitted")


def _sites(home: CentreHome, machine: Machine) -> Iterator[Finding]:
    """Admitted sites that answered no run for long, or never."""
    for site in roster_of(home).admitted:
        last = seen(home, site.name)
        if last is None:
            told = f"{site.name} has never answered a run"
        elif machine.now - last > UNSEEN:
            told = f"{site.name} last answered a run {(machine.now - last) / DAY:.0f} days ago"
        else:
            continue
        yield _doubtful(
            "site", told, "ask its operator for `mascaron-site doctor`; revoke it if it is gone"
        )


def _releases(home: CentreHome, machine: Machine) -> Iterator[Finding]:
    """The history is this centre's, and no site saw another one, or more of it."""
    if not home.history.exists():
        return
    try:
        found = seen_by_sites(home, machine.now)
    except HistoryError as error:
        remedy = (
            f"put the `history.json` of the site that saw most into {home.releases}; if no backup "
            "was restored here, somebody else signs with the centre's key: make a new federation"
        )
        yield _wrong("releases", str(error), remedy)
        return
    told = f"{len(found.agreeing)} sites saw this history, {len(found.silent)} said nothing"
    yield _well("releases", told)


def _pair(home: CentreHome, certificate: x509.Certificate) -> bool:
    """Whether the server's key is the one that is certified."""
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    own = load_private(home.server_key).public_key().public_bytes(*form)
    return own == certificate.public_key().public_bytes(*form)


def _well(check: str, told: str) -> Finding:
    return Finding(check=check, state="well", told=told)


def _doubtful(check: str, told: str, remedy: str) -> Finding:
    return Finding(check=check, state="doubtful", told=told, remedy=remedy)


def _wrong(check: str, told: str, remedy: str) -> Finding:
    return Finding(check=check, state="wrong", told=told, remedy=remedy)
