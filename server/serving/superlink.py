"""The daemons of a centre: the SuperLink on loopback, the SuperExec beside it, the gateway before.

The SuperLink keeps its state in memory. Its database would hold every update of every site in
plain text, and its file is never cut; what it would save is no run (Flower ends those with the
SuperLink) but only the registration of nodes, which the folder ``nodes`` of the home restores.

Guarantee: no update of a site is on the centre's disk but in what ServerApp writes; secrets are in
files of mode 0600 and never on a command line; nothing is installed or fetched while it runs.
Leaks: while a task runs, its token is on the command line of `flwr-serverapp`, as Flower has it:
users of this machine see it. They reach the loopback port anyway, so let there be none.
"""

import json
import os
import secrets
import shutil
import ssl
import sys
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from common.bundle import write_app
from common.daemons.supervisor import Daemon
from common.daemons.surroundings import UNBUFFERED, scrubbed
from common.errors import DeploymentError
from common.trust.nodes import node_text, read_node
from common.trust.storing import PRIVATE, read, replace
from server.home import CentreHome
from server.serving.control import Control
from server.serving.launcher import write_launchers

SUPERLINK, GATEWAY = "superlink", "gateway"
CONNECTION = "centre"  # its name in Flower's own config.toml
KEPT = ("HOME", "TMPDIR", "OMP_NUM_THREADS")  # beside what every daemon keeps
LOOPBACK = "127.0.0.1"
HEALTH_SECONDS, LONGEST = 3.0, 65536  # of an answer, bytes of it


def environment(home: CentreHome, given: Mapping[str, str]) -> dict[str, str]:
    """What a daemon or Flower's command line gets of the environment ``given``.

    The centre's own launchers stand first on the PATH, its own packages on Python's.
    """
    path = (home.launchers, Path(sys.executable).parent, "/usr/local/bin", "/usr/bin", "/bin")
    extra = {
        **UNBUFFERED,
        "FLWR_HOME": str(home.flwr_home.absolute()),
        "PATH": os.pathsep.join(map(str, path)),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    return scrubbed(given, extra, KEPT)


def prepare(home: CentreHome, port: int) -> None:
    """Writes what Flower reads: the secret, the bundle, and where the SuperLink is."""
    for path in (home.ca, home.server_certificate, home.server_key):
        if not path.is_file():
            raise DeploymentError(f"{path} is not there: run `mascaron-admin init` first")
    home.prepare()
    if not read(home.secret):
        replace(home.secret, secrets.token_bytes(32))
    home.secret.chmod(PRIVATE)
    shutil.rmtree(home.app, ignore_errors=True)
    write_app(home.app)
    write_launchers(home)
    settings = (
        f'[superlink]\ndefault = "{CONNECTION}"\n[superlink.{CONNECTION}]\n'
        f'address = "127.0.0.1:{port}"\nroot-certificates = {_quoted(home.ca.absolute())}\n'
    )
    replace(home.flwr_home / "config.toml", settings.encode())


def daemons(home: CentreHome, port: int, door: int, given: Mapping[str, str]) -> tuple[Daemon, ...]:
    """In the order in which they start. The SuperLink takes ``port`` of the loopback interface;
    ``door`` is the file descriptor on which the gateway listens, ``given`` the environment."""
    python = (sys.executable, "-P", "-m")
    make = partial(Daemon, environment=environment(home, given), folder=home.superlink)
    return (
        make(
            name=SUPERLINK,
            command=_superlink(home, port),
            healthy=lambda: is_well(home, port),
            ready=lambda: follow_nodes(home, port),
        ),
        make(name="superexec", command=_superexec(home, port)),
        make(
            name=GATEWAY,
            command=(*python, "server.commands.gateway", str(home.folder), str(port), str(door)),
            healthy=lambda: is_well(home, home.config().port, home.config().bind),
            keep=(door,),
        ),
    )


def _superlink(home: CentreHome, port: int) -> tuple[str, ...]:
    return (
        _script("flower-superlink"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--ssl-ca-certfile", str(home.ca.absolute())),
        *("--ssl-certfile", str(home.server_certificate.absolute())),
        *("--ssl-keyfile", str(home.server_key.absolute())),
        "--enable-supernode-auth",
        *("--isolation", "process"),
        *("--superexec-auth-secret-file", str(home.secret.absolute())),
        "--disable-runtime-dependency-installation",
    )


def _superexec(home: CentreHome, port: int) -> tuple[str, ...]:
    return (
        _script("flower-superexec"),
        *("--runtime-api-address", f"127.0.0.1:{port}"),
        *("--root-certificates", str(home.ca.absolute())),
        *("--superexec-auth-secret-file", str(home.secret.absolute())),
        *("--parent-pid", str(os.getpid())),
    )


def follow_nodes(home: CentreHome, port: int) -> None:
    """Makes the SuperLink let in the node keys that are in the home, and no others.

    It is asked before the home is read: whoever is admitted or revoked meanwhile stays so.
    """
    with Control(home, port) as control:
        known = {node.key for node in control.nodes()}
        kept = sorted(home.nodes.glob("*.pub"))
        wanted = {node_text(read_node(line)) for path in kept if (line := _line(path))}
        for key in sorted(wanted - known):
            control.register(key)
        for key in sorted(known - wanted):
            control.unregister(key)


def _line(path: Path) -> str:
    return (read(path) or b"").decode("ascii", "replace")


def is_well(home: CentreHome, port: int, host: str = LOOPBACK) -> bool:
    """Whether what listens there shows our certificate and says that it is healthy."""
    return _asked(home, port, host, "/health") is not None


def spoken(home: CentreHome, port: int, host: str) -> object:
    """The version of the protocol that the gateway there speaks; None if it does not say."""
    try:
        told = json.loads(_asked(home, port, host, "/mascaron/v1/hello") or b"{}")
    except ValueError:
        return None
    return told.get("protocol") if isinstance(told, dict) else None


def _asked(home: CentreHome, port: int, host: str, path: str) -> bytes | None:
    """What is answered there, by whoever has our certificate, if the answer is 200."""
    try:
        context = ssl.create_default_context(cafile=str(home.ca))
        if host in ("0.0.0.0", "::"):  # noqa: S104 - everywhere, so here too
            host = "localhost"
        connection = HTTPSConnection(host, port, timeout=HEALTH_SECONDS, context=context)
        with closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read(LONGEST) if answer.status == 200 else None
    except (OSError, HTTPException):
        return None


def _script(name: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise DeploymentError(f"{path} is not there: install mascaron[centre] with this Python")
    return str(path)


def _quoted(path: Path) -> str:
    """As a string of TOML."""
    return json.dumps(str(path), ensure_ascii=False)
