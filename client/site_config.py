"""``[site]`` of `site.toml`: what a site is, as its operator wrote it down."""

import re
from dataclasses import dataclass
from pathlib import Path

from common.errors import ConfigError
from common.trust.roster import check_name

LOOPBACK = re.compile(r"127\.0\.0\.1|\[::1\]")  # by number: a name could be sent elsewhere
HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]+\])")


@dataclass(frozen=True, kw_only=True)
class SiteConfig:
    """``[site]`` of `site.toml`. Paths may be relative: they start at the site's home.

    A site without a centre is alone: it has a door, and takes no part in any training.
    """

    name: str  # of the site, as the roster knows it: never a person's
    centre: str = ""  # "host:port" of the gateway, the only address a site ever dials
    camera_type: str = ""
    people: int = 0  # as declared; stands for a count everywhere
    trunk: Path
    faces: Path | None = None  # who is trained on; without it, who agreed to that in the vault
    public: Path
    vault_passphrase_file: Path | None = None  # opens the vault in place of agent/vault.key
    vault_provider: str = ""  # "package.module:name" makes what does, such as a device: KeyProvider
    aligned: bool = False  # faces and public are folders of square, aligned crops already
    encoder: Path | None = None  # of sentences, for a words head; the built-in one unless named
    socket: Path | None = None  # of the agent; run/agent.sock unless said otherwise
    agent: str | None = None  # "127.0.0.1:port" in place of a socket, with mutual TLS

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.alone or self.camera_type or self.people:
            self._check_membership()
        if self.vault_provider and self.vault_passphrase_file is not None:
            raise ConfigError("one thing opens the vault: vault_provider or vault_passphrase_file")
        if self.agent is not None:
            self._check_agent(self.agent)

    def _check_membership(self) -> None:
        host, separator, port = self.centre.rpartition(":")
        if not separator or not HOST.fullmatch(host) or not _is_port(port):
            raise ConfigError(
                f"centre must be host:port, such as fl.example:8443, got {self.centre!r}"
            )
        if not 1 <= len(self.camera_type) <= 64 or not self.camera_type.isprintable():
            raise ConfigError("camera_type must be 1-64 printable characters")
        if self.people < 1:
            raise ConfigError(f"people must be at least 1, got {self.people}")

    def _check_agent(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        if not LOOPBACK.fullmatch(host) or not _is_port(port):
            raise ConfigError(
                "agent must be a port of this machine alone, 127.0.0.1:port or [::1]:port with "
                f"a port from 1 to 65535, got {address!r}"
            )
        if self.socket is not None:
            raise ConfigError("the agent has one door: say either socket or agent, not both")

    @property
    def alone(self) -> bool:
        """Whether the site belongs to no federation, nor ever asked to."""
        return not self.centre

    @property
    def host(self) -> str:
        """The gateway's name or address, without the brackets of IPv6; ``ConfigError`` if alone."""
        return self._address()[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self._address()[2])

    def check_member(self) -> None:
        """Raises ``ConfigError`` for a site that is alone."""
        if self.alone:
            raise ConfigError(
                "this site is alone: `mascaron-site init` with --token, --centre, --camera-type "
                "and --people asks a centre to let it in"
            )

    def _address(self) -> tuple[str, str, str]:
        self.check_member()
        return self.centre.rpartition(":")


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
