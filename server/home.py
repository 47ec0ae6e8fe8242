"""Where a centre keeps everything, and what its administrator wrote down in `centre.toml`."""

import ipaddress
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from common.config import load
from common.errors import ConfigError, DeploymentError

DEFAULT = Path("~/.mascaron/centre")
VARIABLE = "MASCARON_CENTRE"
PORT = 8443
PRIVATE = 0o700
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")


@dataclass(frozen=True, kw_only=True)
class CentreConfig:
    """`centre.toml`: the federation's name and where sites reach its gateway."""

    name: str
    host: str  # as sites dial it: a name or an address, which the server certificate holds
    port: int = PORT
    bind: str = "0.0.0.0"  # noqa: S104 - the gateway is there to be reached; address it listens on

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= 64 or not self.name.isprintable():
            raise ConfigError("name must be 1 to 64 printable characters")
        if not _is_host(self.host) or not _is_host(self.bind):
            raise ConfigError("host and bind must be a host name or an IP address, without a port")
        if not 1 <= self.port <= 65535:
            raise ConfigError(f"port must be in [1, 65535], got {self.port}")

    def to_toml(self) -> str:
        """The file this was read from."""
        values = {"name": self.name, "host": self.host, "port": self.port, "bind": self.bind}
        return "".join(
            f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()
        )


@dataclass(frozen=True)
class CentreHome:
    """The folder of one centre: every path that some room of `server` reads or writes.

    Guarantee: after ``prepare`` nobody but its user can enter it.
    """

    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "centre.toml"

    @property
    def token(self) -> Path:
        return self.folder / "token"

    @property
    def roster(self) -> Path:
        return self.folder / "roster.json"

    @property
    def revocations(self) -> Path:
        return self.folder / "crl.pem"

    @property
    def heads(self) -> Path:
        """The last ledger head of each site, ``<site>.json``."""
        return self.folder / "heads"

    @property
    def commitments(self) -> Path:
        """The last word to each site on its audit log, ``<fingerprint of the identity>.json``."""
        return self.folder / "commitments"

    @property
    def releases(self) -> Path:
        """Releases, ``<digest>.release``, and the history of what was put in force."""
        return self.folder / "releases"

    @property
    def history(self) -> Path:
        return self.releases / "history.json"

    @property
    def witnesses(self) -> Path:
        """What each site last said of the history it was shown, ``<site>.json``."""
        return self.folder / "witnesses"

    @property
    def gates(self) -> Path:
        """The administrator's own gates for releases; without it, those shipped."""
        return self.folder / "gates.toml"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def ca_key(self) -> Path:
        return self.keys / "ca.key"

    @property
    def ca(self) -> Path:
        return self.keys / "ca.crt"

    @property
    def server_key(self) -> Path:
        return self.keys / "server.key"

    @property
    def server_certificate(self) -> Path:
        return self.keys / "server.crt"

    @property
    def centre_key(self) -> Path:
        return self.keys / "centre.key"

    @property
    def waiting(self) -> Path:
        return self.folder / "waiting"

    @property
    def certificates(self) -> Path:
        return self.folder / "certificates"

    @property
    def charters(self) -> Path:
        return self.folder / "charters"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def superlink(self) -> Path:
        return self.folder / "superlink"

    @property
    def secret(self) -> Path:
        """Shared by the SuperLink and the SuperExec that starts ServerApps."""
        return self.superlink / "secret"

    @property
    def nodes(self) -> Path:
        """One file a node key that the SuperLink is to know."""
        return self.superlink / "nodes"

    @property
    def flwr_home(self) -> Path:
        return self.superlink / "flwr-home"

    @property
    def launchers(self) -> Path:
        """Executables that stand before Flower's on the PATH."""
        return self.superlink / "bin"

    @property
    def app(self) -> Path:
        """The folder of the bundle; Flower wants its name to be letters and digits."""
        return self.superlink / "app"

    @property
    def lock(self) -> Path:
        """Held by the one `serve` of this home."""
        return self.superlink / "lock"

    @property
    def state(self) -> Path:
        """What the running `serve` last said of its daemons."""
        return self.superlink / "state.json"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def config(self) -> CentreConfig:
        """`centre.toml`; ``ConfigError`` naming the file and the key that is wrong."""
        return load(CentreConfig, self.settings)

    def charter(self, run: str) -> Path:
        """The folder of the charter of ``run``."""
        return self.charters / run

    def run(self, run: str) -> Path:
        """The folder of checkpoints of ``run``."""
        return self.runs / run

    def prepare(self) -> None:
        """Makes the folders that are not there and closes them to all others.

        Raises ``DeploymentError`` if a folder cannot be made or belongs to somebody else.
        """
        rooms = (self.heads, self.keys, self.waiting, self.certificates, self.charters, self.runs)
        flower = (self.superlink, self.nodes, self.flwr_home, self.launchers, self.logs)
        for folder in (self.folder, *rooms, *flower):
            _folder(folder)


def _folder(path: Path) -> None:
    try:
        path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise DeploymentError(f"{path} is not a folder: remove what is there")
        if found.st_uid != os.geteuid():
            raise DeploymentError(f"{path} belongs to another user: run as its owner")
        if stat.S_IMODE(found.st_mode) != PRIVATE:
            path.chmod(PRIVATE)
    except OSError as error:
        raise DeploymentError(f"cannot make the folder {path}: {error.strerror}") from None


def _is_host(text: str) -> bool:
    try:
        return bool(_HOST.fullmatch(text)) or bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False
