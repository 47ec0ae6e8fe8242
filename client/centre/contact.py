"""How a site reaches its centre: HTTPS to the gateway, believed by the CA its token pinned.

Guarantee: before anything but a public certificate is read or sent, the server has shown a
certificate of the pinned CA for the very host that was dialled, over TLS 1.2 or later.
Leaks: to the network, that this address talks to that one, and when.
"""

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from typing import Any

from common.errors import AdmissionError, DeploymentError, SignatureError
from common.trust.certificates import der, moment, read_certificate
from common.trust.refusals import refused
from common.trust.token import Token

SECONDS = 15.0
LONGEST = 8 * 2**20  # bytes of an answer; a roster of thousands of sites is shorter
CA_PATH, PATH = "/mascaron/v1/ca", "/mascaron/v1/"
_EXPIRED, _EARLY, _HOST, _ADDRESS = 10, 9, 62, 64  # what OpenSSL calls these failures


@dataclass(frozen=True, slots=True)
class Centre:
    """The gateway at ``host`` and ``port``, and the PEM certificate of the CA it must be of."""

    host: str
    port: int
    ca: bytes

    def ask(self, name: str, body: bytes) -> dict[str, Any]:
        """The answer to one request of admission.

        Raises ``AdmissionError`` with the centre's code if it refuses, ``DeploymentError`` if it
        cannot be reached or is not the centre of this federation.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks chain and host
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
        context.load_verify_locations(cadata=self.ca.decode("ascii", "replace"))
        status, content = _exchange(self.host, self.port, context, ("POST", PATH + name, body))
        return _read(status, content, f"{self.host}:{self.port}")


def fetch_ca(host: str, port: int, token: Token) -> bytes:
    """The CA certificate of the federation in PEM, from a server nobody vouches for yet.

    Raises ``AdmissionError`` unless it is the one that ``token`` was made for.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the token's pin is what checks this one answer
    status, content = _exchange(host, port, context, ("GET", CA_PATH, None))
    if status != 200:
        raise _no_gateway(f"{host}:{port}", f"it answers {status}")
    try:
        pinned = token.pins(der(read_certificate(content)))
    except SignatureError:
        raise _no_gateway(f"{host}:{port}", "it shows no CA certificate") from None
    if not pinned:
        raise AdmissionError(
            f"the centre at {host}:{port} is not the one this token is of; compare the address and "
            "the token with the administrator's, and if both are right, somebody is in between"
        )
    return content


def _exchange(
    host: str, port: int, context: ssl.SSLContext, asked: tuple[str, str, bytes | None]
) -> tuple[int, bytes]:
    """Status and body of one request; every way to fail has its cause and remedy."""
    where = f"{host}:{port}"
    method, path, body = asked
    connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        content = answer.read(LONGEST + 1)
    except ssl.SSLCertVerificationError as error:
        raise _distrusted(host, where, error.verify_code) from None
    except ssl.SSLError:
        raise DeploymentError(
            f"{where} does not speak TLS as a centre does: check the port"
        ) from None
    except socket.gaierror:
        raise DeploymentError(f"no host is called {host}: check its spelling and DNS") from None
    except ConnectionRefusedError:
        raise DeploymentError(
            f"nothing listens at {where}: check the port, and that `mascaron-admin serve` runs"
        ) from None
    except TimeoutError:
        raise DeploymentError(
            f"{where} does not answer within {SECONDS:.0f} s: check the address and the firewalls"
        ) from None
    except http.client.HTTPException:  # one kind of which is an OSError
        raise _no_gateway(where, "it breaks off, or does not speak HTTP") from None
    except OSError as error:
        why = error.strerror or "the connection broke off"
        raise DeploymentError(
            f"cannot reach {where} ({why}): check the address and the network"
        ) from None
    finally:
        connection.close()
    if len(content) > LONGEST:
        raise _no_gateway(where, "its answer is too long")
    return answer.status, content


def _distrusted(host: str, where: str, code: int) -> DeploymentError:
    told = {
        _EXPIRED: "has expired by this machine's clock: set the clock by NTP (`timedatectl "
        "set-ntp true`); if it is right, the administrator runs `mascaron-admin renew`",
        _EARLY: "is not in force yet by this machine's clock: set the clock by NTP (`timedatectl "
        "set-ntp true`)",
    }
    for mismatch in (_HOST, _ADDRESS):
        told[mismatch] = (
            f"is not for {host}: use the address that `mascaron-admin init` printed, or let the "
            f"administrator run `mascaron-admin renew --alt-name {host}`"
        )
    other = (
        "is not of this federation's CA: another server is there, or somebody is in between; "
        "compare the address with the administrator's"
    )
    return DeploymentError(f"the certificate of {where} {told.get(code, other)}")


def _read(status: int, content: bytes, where: str) -> dict[str, Any]:
    try:
        table = json.loads(content) if content else None
    except (ValueError, RecursionError):
        table = None
    if isinstance(table, dict) and status == 200:
        return table
    if isinstance(table, dict) and isinstance(table.get("refused"), str):
        raise refused(table["refused"], _clock(table))
    if status in (429, 503):
        raise refused("UNAVAILABLE")
    raise _no_gateway(where, f"it answers {status}")


def _clock(table: dict[str, Any]) -> str:
    """The centre's time, where it matters."""
    now = table.get("now")
    if table["refused"] != "CLOCK_SKEW" or type(now) is not int or not 0 <= now < 2**33:
        return ""
    return f" (the centre's says {moment(now).isoformat()})"


def _no_gateway(where: str, found: str) -> DeploymentError:
    return DeploymentError(
        f"no gateway of mascaron is at {where} ({found}): check host and port, and that both ends "
        "have the same release"
    )
