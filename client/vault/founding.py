"""Where a site's vault lies and what opens it, from its `site.toml`; and the vault's beginning."""

import os

from client.home import SiteHome
from client.site_config import SiteConfig
from client.vault.core import DATABASE, KEYRING, VaultPlace
from client.vault.disk import DISK, Disk
from client.vault.identity import Random
from client.vault.providers import (
    FileKeyProvider,
    KeyProvider,
    PassphraseProvider,
    plugged_in,
)
from client.vault.store import Vault
from common.errors import ConfigError


def vault_place(
    home: SiteHome, config: SiteConfig, random: Random = os.urandom, disk: Disk = DISK
) -> VaultPlace:
    """The vault of ``home``, to be opened by what `site.toml` says, or else by a key file.

    ``ConfigError`` if the file that opens it is missing, if others may read it, or if the provider
    that is named cannot be made.
    """
    provider = _provider(home, config, random)
    return VaultPlace(
        folder=home.vault, provider=provider, site=config.name, random=random, disk=disk
    )


def found_vault(home: SiteHome, config: SiteConfig, random: Random = os.urandom) -> None:
    """Makes the key and an empty vault, where there is none yet; what a crash left is finished.

    Guarantee: no key is made for a vault that has one: a missing key file is an error, never
    another key beside what only the old one opens.
    """
    keyring, database = (home.vault / name for name in (KEYRING, DATABASE))
    begun = os.path.lexists(keyring)
    if begun and os.path.lexists(database):
        return
    by_file = not config.vault_provider and config.vault_passphrase_file is None
    if by_file and not begun and not os.path.lexists(home.vault_key):
        FileKeyProvider.create(home.vault_key, random)
    place = vault_place(home, config, random)
    (Vault(place) if begun else Vault.create(place)).close()


def _provider(home: SiteHome, config: SiteConfig, random: Random) -> KeyProvider:
    if config.vault_provider:
        return plugged_in(config.vault_provider)
    if config.vault_passphrase_file is not None:
        return PassphraseProvider(config.vault_passphrase_file, random=random)
    if not os.path.lexists(home.vault_key):
        raise ConfigError(
            f"there is no {home.vault_key}: put it back from where you keep a copy, or, for a site "
            "that never had one, run `mascaron-site init`"
        )
    return FileKeyProvider(home.vault_key, random)
