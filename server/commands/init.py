"""`mascaron-admin init`, `renew` and `token`: the federation's own keys."""

from collections.abc import Sequence
from typing import Any

from common.errors import DeploymentError
from common.trust import storing
from common.trust.certificates import expiry, read_certificate
from common.trust.token import Token
from server.admission.authority import renew_server
from server.admission.founding import found, new_token
from server.home import PORT, CentreConfig, CentreHome
from server.standing import INIT, federation_of


def init_command(
    home: CentreHome, address: str, name: str, hosts: Sequence[str], now: float
) -> dict[str, Any]:
    """Makes a federation reached at ``address`` (host or host:port); the token is in the answer.

    Raises ``ConfigError`` for an address or name nobody can mean, or a folder that has one.
    """
    host, port = split_address(address)
    config = CentreConfig(name=name, host=host, port=port)
    token = found(home, config, hosts, now)
    return {
        "federation": federation_of(home),
        "token": token.text,
        "centre": joined(host, port),
        "home": str(home.folder),
        "next": f"mascaron-admin serve --home {home.folder}",
    }


def renew_command(home: CentreHome, hosts: Sequence[str], now: float) -> dict[str, Any]:
    """A new server certificate for the names it had and ``hosts``."""
    federation_of(home)
    renew_server(home, now, hosts, due=False)
    made = read_certificate(storing.read(home.server_certificate) or b"")
    return {"expires": expiry(made), "next": "nothing: a running gateway shows it by itself"}


def token_command(home: CentreHome, *, replace: bool) -> dict[str, Any]:
    """The token in force, or a new one in its place."""
    federation = federation_of(home)
    if replace:
        return {"federation": federation, "token": new_token(home).text}
    content = storing.read(home.token)
    if content is None:
        raise DeploymentError(f"{home.folder} has no token: {INIT}")
    return {"federation": federation, "token": Token.parse(content.decode("utf-8", "replace")).text}


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address."""
    bare = address.count(":") > 1 and not address.startswith("[")
    host, separator, port = (address, "", "") if bare else address.rpartition(":")
    if not separator or address.endswith("]"):
        return address.strip("[]"), PORT
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    return host.strip("[]"), number  # 0 is refused with the port's range


def joined(host: str, port: int) -> str:
    """``host:port`` as a site types it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
