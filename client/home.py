"""Where a site keeps everything, and what its operator wrote down in `site.toml`."""

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from client.site_config import SiteConfig
from common.config import load
from common.errors import ConfigError, DeploymentError

DEFAULT = Path("~/.mascaron/site")
VARIABLE = "MASCARON_SITE"
PRIVATE, SHARED = 0o700, 0o755


@dataclass(frozen=True)
class SiteHome:
    """The folder of one site: every path that some room of `client` reads or writes.

    Guarantee: what the agent keeps (identity, ledger, features) is in ``agent``, closed to all but
    its user; what the courier needs is in ``courier``; neither needs to read the other's.
    """

    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "site.toml"

    @property
    def policy(self) -> Path:
        return self.folder / "policy.toml"

    @property
    def agent(self) -> Path:
        return self.folder / "agent"

    @property
    def identity_key(self) -> Path:
        return self.agent / "identity.key"

    @property
    def identity_public(self) -> Path:
        """What the rows of the door's log are checked by; written when the key itself goes."""
        return self.agent / "identity.pub"

    @property
    def ledger_key(self) -> Path:
        return self.agent / "ledger.key"

    @property
    def ledger(self) -> Path:
        return self.agent / "ledger.db"

    @property
    def features(self) -> Path:
        return self.agent / "features"

    @property
    def vault(self) -> Path:
        """Sealed templates (vault.db), the keyring and the slot of its epoch's key."""
        return self.agent / "vault"

    @property
    def vault_key(self) -> Path:
        """Opens the keyring, where no device does; beside the vault, so not in copies of it."""
        return self.agent / "vault.key"

    @property
    def callers(self) -> Path:
        """Who may ask at the door, and for what: digests of their tokens."""
        return self.agent / "callers.json"

    @property
    def operator_token(self) -> Path:
        """By which the operator's own commands ask at the door."""
        return self.agent / "operator.token"

    @property
    def audit(self) -> Path:
        """What happened at the door, row by row."""
        return self.agent / "audit.db"

    @property
    def commitments(self) -> Path:
        """Heads of that record which the centre countersigned; the process that asks the centre
        writes here, and nowhere in the agent's folder."""
        return self.trust / "commitments.jsonl"

    @property
    def releases(self) -> Path:
        """Tails that decide at the door, or did, or may, and their thresholds."""
        return self.agent / "releases"

    @property
    def vouched(self) -> Path:
        """The history of releases that the agent goes by, and which tails were vouched for."""
        return self.agent / "vouched.json"

    @property
    def door_tls(self) -> Path:
        """The door's own end of its port, where it has one: door.key and door.crt."""
        return self.agent / "door"

    @property
    def callers_certificates(self) -> Path:
        """One file (.crt) of each caller that is let in at the door's port."""
        return self.agent / "callers"

    @property
    def runs(self) -> Path:
        """One sealed file a run: who of the vault takes part in it."""
        return self.agent / "runs"

    @property
    def accepted(self) -> Path:
        """One file a charter that the operator accepted by hand, named by its digest."""
        return self.agent / "accepted"

    @property
    def agent_tls(self) -> Path:
        """The agent's end of its port, where it has one: agent.key and agent.crt."""
        return self.agent / "tls"

    @property
    def courier(self) -> Path:
        return self.folder / "courier"

    @property
    def courier_tls(self) -> Path:
        """The courier's end: courier.key, courier.crt and a link to the agent's certificate."""
        return self.courier / "tls"

    @property
    def node_key(self) -> Path:
        return self.courier / "node.key"

    @property
    def node_public(self) -> Path:
        return self.courier / "node.pub"

    @property
    def superexec_secret(self) -> Path:
        return self.courier / "superexec.secret"

    @property
    def flwr_home(self) -> Path:
        return self.courier / "flwr-home"

    @property
    def bin(self) -> Path:
        """The whole PATH of the courier: nothing but our launcher, under Flower's names."""
        return self.courier / "bin"

    @property
    def logs(self) -> Path:
        return self.courier / "logs"

    @property
    def standing(self) -> Path:
        """What the supervisor last saw of the SuperNode; read by `doctor`."""
        return self.courier / "standing.json"

    @property
    def courier_lock(self) -> Path:
        """Held while a courier runs."""
        return self.courier / "lock"

    @property
    def trust(self) -> Path:
        return self.folder / "trust"

    @property
    def ca(self) -> Path:
        return self.trust / "ca.crt"

    @property
    def centre_key(self) -> Path:
        return self.trust / "centre.pub"

    @property
    def roster(self) -> Path:
        return self.trust / "roster.json"

    @property
    def history(self) -> Path:
        """What the centre put in force, for whom and why: entries as it signed them."""
        return self.trust / "releases.json"

    @property
    def split_view(self) -> Path:
        """Proof that the centre signed two histories, if it ever did: both entries."""
        return self.trust / "split-view.json"

    @property
    def fetched(self) -> Path:
        """Releases that the centre signed, each in a file of its digest."""
        return self.trust / "releases"

    @property
    def certificate(self) -> Path:
        return self.trust / "site.crt"

    @property
    def agent_certificate(self) -> Path:
        """Whom a courier takes for the agent at its port."""
        return self.trust / "agent.crt"

    @property
    def courier_certificate(self) -> Path:
        """Whom the agent lets in at its port; not the courier's to write."""
        return self.trust / "courier.crt"

    @property
    def door_certificate(self) -> Path:
        """Whom a camera takes for the door at its port: to be copied to it."""
        return self.trust / "door.crt"

    @property
    def fabs(self) -> Path:
        """The allow-list: SHA-256 of every bundle that may start a courier here."""
        return self.trust / "fabs"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def check(self) -> None:
        """Raises ``ConfigError`` where `init` never was, or this user may not look."""
        try:
            self.settings.stat()
        except FileNotFoundError:
            raise ConfigError(
                f"there is no site at {self.folder}, for it has no {self.settings.name}: "
                "`mascaron-site init` makes one; --home, or MASCARON_SITE, names another place"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"cannot look at {self.settings}: {error.strerror}; run as the site's user, or let "
                "this user into the folders above it"
            ) from None

    def check_agent(self) -> None:
        """Raises as ``check``, and ``DeploymentError`` for who may not look into ``agent``."""
        self.check()
        if os.path.lexists(self.agent) and not os.access(self.agent, os.R_OK | os.X_OK):
            raise DeploymentError(
                f"this user may not look into {self.agent}: type this as the agent's user"
            )

    def config(self) -> SiteConfig:
        """`site.toml` with absolute paths; ``ConfigError`` naming file and key if it is wrong."""
        self.check()
        read = load(SiteConfig, self.settings, "site")
        base = self.folder.absolute()
        named = ("faces", "socket", "vault_passphrase_file", "encoder")
        optional = {key: getattr(read, key) for key in named}
        return replace(
            read,
            trunk=base / read.trunk.expanduser(),
            public=base / read.public.expanduser(),
            **{key: base / path.expanduser() for key, path in optional.items() if path is not None},
        )

    def socket(self, config: SiteConfig) -> Path:
        """Where the agent listens, absolute."""
        return config.socket or self.run.absolute() / "agent.sock"

    def door_socket(self) -> Path:
        """Where the door is, for programs of this machine; absolute."""
        return self.run.absolute() / "door.sock"

    def agent_address(self, config: SiteConfig) -> str:
        """Where the agent answers, as gRPC dials it."""
        return config.agent or f"unix://{self.socket(config)}"

    def prepare(self) -> None:
        """Makes the folders that are not there and narrows their modes; what is in them stays.

        Raises ``DeploymentError`` if a folder cannot be made or is a link to somewhere else.
        """
        for folder in (self.folder, self.trust, self.run):
            make_folder(folder, SHARED)
        for folder in (self.agent, self.features, self.accepted):
            make_folder(folder, PRIVATE)
        self.prepare_courier()

    def prepare_courier(self) -> None:
        """The part of ``prepare`` that a courier's user may do."""
        for folder in (self.courier, self.flwr_home, self.bin, self.logs):
            make_folder(folder, PRIVATE)


def make_folder(path: Path, mode: int) -> None:
    """Makes the folder, or narrows the one there; ``DeploymentError`` if that cannot be done.

    A link in its place is never followed, since root does this in a folder of the courier's too.
    """
    made = False
    try:
        with suppress(FileExistsError):
            path.mkdir(mode=PRIVATE, parents=True)
            made = True
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            found = stat.S_IMODE(os.fstat(descriptor).st_mode)
            os.fchmod(descriptor, mode if made else mode & found)  # never wider than it was made
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise DeploymentError(f"{path} is not a folder: remove what is there") from None
        raise DeploymentError(
            f"cannot make the folder {path}: {error.strerror}; run as the owner of what is above it"
        ) from None
