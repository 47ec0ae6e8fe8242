"""What can be wrong between a site and its gateway: address, port, certificate, clock, version.

The connection is looked at twice: once believing nobody, to read the date and the version that the
other side tells, and once as the courier connects, to learn why it would not.

Guarantee: nothing of the site is sent; what an unverified server tells is shown as its word only.
Leaks: to the network, that this address looks at that one.
"""

import email.utils
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from client.doctor.findings import SET_CLOCK, Finding, Machine, well, wrong
from client.home import SiteHome
from client.site_config import SiteConfig
from common import wire
from common.trust import storing

SECONDS = 10.0
HELLO, LONGEST = "/mascaron/v1/hello", 65536
MOST_SKEW = 120.0  # seconds; the centre refuses a node whose clock is five minutes off
EXPIRED, EARLY, HOSTS = 10, 9, (62, 64)  # what OpenSSL calls these failures


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What an unverified look at the gateway showed."""

    date: float | None  # seconds since 1970, by its own clock
    status: int
    hello: dict[str, Any]


def check_centre(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """The gateway's address, and if it is one: its certificate, our clock, our version."""
    if config.alone:
        return
    try:
        sight = _look(config)
    except (OSError, http.client.HTTPException) as error:
        yield _unreached(error, config)
        return
    yield well("gateway")
    ca = storing.read(home.ca)
    if ca is not None:  # else the check of trust tells
        yield _certificate(ca, config)
    yield _clock(sight, machine.now())
    yield _version(sight, config)


def _look(config: SiteConfig) -> Sight:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only to read what it says of itself
    connection = http.client.HTTPSConnection(
        config.host, config.port, timeout=SECONDS, context=context
    )
    try:
        connection.request("GET", HELLO)
        answer = connection.getresponse()
        content = answer.read(LONGEST)
    finally:
        connection.close()
    date = email.utils.parsedate_to_datetime(answer.headers["Date"]) if _dated(answer) else None
    return Sight(
        date=date.timestamp() if date else None, status=answer.status, hello=_table(content)
    )


def _dated(answer: http.client.HTTPResponse) -> bool:
    return email.utils.parsedate_tz(answer.headers.get("Date", "")) is not None


def _table(content: bytes) -> dict[str, Any]:
    try:
        table = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}


def _unreached(error: Exception, config: SiteConfig) -> Finding:
    where = config.centre
    settings = "compare centre in site.toml with the administrator's"
    if isinstance(error, socket.gaierror):
        return wrong("gateway", f"no host is called {config.host}", f"{settings}; check DNS")
    if isinstance(error, ssl.SSLError | http.client.HTTPException | ConnectionResetError):
        cause = f"what listens at {where} does not speak HTTPS: a wrong port"
        return wrong("gateway", cause, settings)
    if isinstance(error, ConnectionRefusedError):
        cause = f"nothing listens at {where}: a wrong port, or the centre is down"
        return wrong("gateway", cause, f"{settings}; ask whether `mascaron-admin serve` runs")
    if isinstance(error, TimeoutError):
        cause = f"{where} does not answer within {SECONDS:.0f} s"
        return wrong("gateway", cause, f"{settings}; let firewalls pass this port outwards")
    why = getattr(error, "strerror", None) or type(error).__name__
    return wrong("gateway", f"{where} cannot be reached: {why}", f"{settings}; check the network")


def _certificate(ca: bytes, config: SiteConfig) -> Finding:
    """As the courier connects: by the federation's CA, and for the host that was dialled."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca.decode("ascii", "replace"))
    try:
        with (
            socket.create_connection((config.host, config.port), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=config.host),
        ):
            return well("certificate")
    except ssl.SSLCertVerificationError as error:
        return wrong("certificate", *_distrusted(error.verify_code, config.host))
    except OSError as error:
        cause = f"the connection broke off while TLS was agreed on: {type(error).__name__}"
        return wrong("certificate", cause, "try again; then look for a proxy in between")


def _distrusted(code: int, host: str) -> tuple[str, str]:
    if code == EXPIRED:
        cause = "the centre's certificate has expired by this machine's clock"
        return cause, "if the clock is right, the administrator runs `mascaron-admin renew`"
    if code == EARLY:
        return "the centre's certificate is not valid yet by this machine's clock", SET_CLOCK
    if code in HOSTS:
        cause = f"the centre's certificate is not for {host}"
        return cause, "use the address that the administrator gave, or let it be added there"
    cause = "the certificate is not by this federation's CA: another server, or one in between"
    return cause, "compare the address with the administrator's; do not go on before it is clear"


def _clock(sight: Sight, now: float) -> Finding:
    if sight.date is None or abs(now - sight.date) <= MOST_SKEW:
        return well("clock")
    ahead = "ahead of" if now > sight.date else "behind"
    cause = f"this machine's clock is {abs(now - sight.date):.0f} s {ahead} the centre's"
    return wrong("clock", cause, f"{SET_CLOCK}; or ask whether the centre's clock is right")


def _version(sight: Sight, config: SiteConfig) -> Finding:
    protocol = sight.hello.get("protocol") if sight.status == 200 else None
    if protocol == wire.PROTOCOL:
        return well("protocol")
    if type(protocol) is int:
        cause = f"the centre speaks version {protocol} of the protocol, this site {wire.PROTOCOL}"
        return wrong("protocol", cause, "install the release that the administrator names")
    cause = f"what answers at {config.centre} is not a gateway of mascaron"
    return wrong("protocol", cause, "compare centre in site.toml with the administrator's")
