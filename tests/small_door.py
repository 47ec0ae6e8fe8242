"""A home of a centre with a real CA and a server certificate for this machine, and free ports."""

import socket
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from common.trust.certificates import to_pem
from server.admission.authority import Authority, private_pem
from server.home import CentreConfig, CentreHome


def home_with_keys(folder: Path, now: float, port: int = 1) -> CentreHome:
    """A prepared home whose gateway is to listen on ``port`` of the loopback interface."""
    home = CentreHome(folder)
    home.prepare()
    config = CentreConfig(name="small", host="localhost", port=port, bind="127.0.0.1")
    home.settings.write_text(config.to_toml(), "utf-8")
    authority = Authority.make("small", now)
    key = ec.generate_private_key(ec.SECP384R1())
    for path, content in ((home.ca_key, authority.key_pem()), (home.server_key, private_pem(key))):
        path.touch(mode=0o600)
        path.write_bytes(content)
    home.ca.write_bytes(to_pem(authority.certificate))
    certificate = authority.issue_server(key.public_key(), ["localhost"], now)
    home.server_certificate.write_bytes(to_pem(certificate))
    return home


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
