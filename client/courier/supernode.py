"""The courier's two daemons: how Flower's SuperNode and SuperExec are started at a site.

The SuperNode talks to the gateway, and on loopback to the SuperExec, which starts our launcher for
every message. Only public options of Flower are used here.

Guarantee: TLS is checked against the federation's CA and nothing else; the node proves itself by
its own key; nobody without the secret takes a task from the SuperNode; nothing is installed,
reported or looked up outside; PATH holds our launcher and no other program.
Leaks: on loopback Flower speaks plain HTTP, so that root of this machine can read the centre's
messages; the centre learns when this node is online.
"""

import re
import secrets
import socket
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from client.home import SiteHome
from client.site_config import SiteConfig
from common.daemons.supervisor import Daemon
from common.daemons.surroundings import UNBUFFERED, scrubbed
from common.errors import ConfigError, DeploymentError
from common.trust.nodes import load_node_key, node_text
from common.trust.storing import PUBLIC, read, replace

LOOPBACK = "127.0.0.1"
SUPERNODE, SUPEREXEC = "supernode", "superexec"
UNFIT = re.compile(r"[\x00-\x1f\x7f\"']")  # what a value in --node-config cannot hold


def make_node_key(home: SiteHome) -> str:
    """The public line of this node, made with its key if there is none yet.

    ``courier/node.key`` is an EC P-384 key as OpenSSH writes it, mode 0600; the line, also in
    ``courier/node.pub``, is what `flwr supernode register` reads. The key never leaves.
    """
    if not home.node_key.exists():
        form = serialization.PrivateFormat.OpenSSH
        key = ec.generate_private_key(ec.SECP384R1())
        pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        replace(home.node_key, pem)
    try:
        line = node_text(load_node_key(read(home.node_key) or b"").public_key())
    except ConfigError as error:
        raise ConfigError(f"{home.node_key}: {error}") from None
    replace(home.node_public, f"{line}\n".encode(), PUBLIC)
    return line


def make_secret(home: SiteHome) -> None:
    """A new secret for this start: what the SuperExec shows to be given a task."""
    replace(home.superexec_secret, secrets.token_bytes(32))


def daemons(home: SiteHome, config: SiteConfig, outer: Mapping[str, str]) -> tuple[Daemon, ...]:
    """Both, the SuperNode first, on a port of loopback that is free now; it leads the SuperExec.

    ``outer`` is the caller's environment, of which next to nothing is passed on.
    """
    port = _free_port()
    extra = {
        **UNBUFFERED,
        "PATH": str(home.bin.absolute()),
        "HOME": str(home.courier.absolute()),
        "FLWR_HOME": str(home.flwr_home.absolute()),
    }
    environment = scrubbed(outer, extra)
    folder = home.courier.absolute()
    return (
        Daemon(
            name=SUPERNODE,
            leads=True,
            command=supernode_command(home, config, port),
            environment=environment,
            folder=folder,
        ),
        Daemon(
            name=SUPEREXEC,
            command=superexec_command(home, port),
            environment=environment,
            folder=folder,
        ),
    )


def supernode_command(home: SiteHome, config: SiteConfig, port: int) -> tuple[str, ...]:
    """How the SuperNode is started, with its own address at ``port`` of loopback."""
    return (
        *_flower("flower-supernode"),
        *("--superlink", config.centre),
        *("--root-certificates", str(home.ca.absolute())),
        *("--auth-supernode-private-key", str(home.node_key.absolute())),
        *("--isolation", "process"),
        *("--superexec-auth-secret-file", str(home.superexec_secret.absolute())),
        *("--host", LOOPBACK, "--port", str(port)),
        *("--node-config", node_config(home, config)),
    )


def superexec_command(home: SiteHome, port: int) -> tuple[str, ...]:
    """How the SuperExec is started; ``--insecure`` is for loopback, where the secret guards."""
    return (
        *_flower("flower-superexec"),
        *("--runtime-api-address", f"{LOOPBACK}:{port}", "--insecure"),
        *("--superexec-auth-secret-file", str(home.superexec_secret.absolute())),
    )


def node_config(home: SiteHome, config: SiteConfig) -> str:
    """Where the courier dials the agent, as Flower carries it; ``ConfigError`` if it cannot."""
    told = {"agent-address": home.agent_address(config)}
    if config.agent is not None:
        told["agent-tls"] = str(home.courier_tls.absolute())
    if unfit := [value for value in told.values() if UNFIT.search(value)]:
        raise ConfigError(
            "the path of the socket, or of the home, must not hold quotes or control characters: "
            f"{unfit[0]!r}"
        )
    return " ".join(f'{name}="{value}"' for name, value in told.items())


def _flower(name: str) -> tuple[str, ...]:
    """An isolated interpreter on a console script of this environment."""
    script = Path(sysconfig.get_path("scripts")) / name
    if not script.is_file():
        raise DeploymentError(
            f"there is no {name} beside this interpreter: pip install 'mascaron[courier]'"
        )
    return sys.executable, "-I", str(script)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
