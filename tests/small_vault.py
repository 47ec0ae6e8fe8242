"""A small vault with people in it, for tests: cheap keys, features from seeds, and its bytes."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from client.vault.consent import Consent
from client.vault.core import VaultPlace
from client.vault.disk import Disk
from client.vault.identity import PersonId, TemplateId
from client.vault.labels import Told
from client.vault.providers import FileKeyProvider
from client.vault.records import NewTemplate
from client.vault.store import Vault

TRUNK, OTHER = "1a" * 32, "2b" * 32
NOW, LATER = 1_000.0, 2_000.0
SITE = "north"
DIM = 24


def consent(*purposes: str, expires: float = LATER) -> Consent:
    chosen = frozenset(purposes or ("verify", "identify"))
    return Consent(purposes=chosen, text_hash="cd" * 32, given=1.0, expires=expires)


def person(number: int) -> PersonId:
    return PersonId(number.to_bytes(2, "big") * 8)


def template(number: int, trunk: str = TRUNK) -> NewTemplate:
    drawn = np.random.default_rng(number).standard_normal(DIM).astype(np.float16)
    return NewTemplate(trunk=trunk, feature=drawn, quality=0.5)


def provider(folder: Path) -> FileKeyProvider:
    path = folder.with_name(f"{folder.name}.kek")
    return FileKeyProvider(path) if path.exists() else FileKeyProvider.create(path)


def place(folder: Path, disk: Disk | None = None, site: str = SITE) -> VaultPlace:
    return VaultPlace(
        folder=folder, provider=provider(folder), site=site, random=os.urandom, disk=disk or Disk()
    )


def enrol(vault: Vault, numbers: Iterable[int]) -> None:
    """Person n, with templates n and n + 1000."""
    for n in numbers:
        vault.enrol(person(n), [template(n), template(n + 1000)], consent(), now=NOW, label=f"L{n}")


def filled(folder: Path, numbers: Iterable[int]) -> None:
    with Vault.create(place(folder)) as vault:
        enrol(vault, numbers)


def content(vault: Vault, trunk: str = TRUNK) -> dict[bytes, bytes]:
    """What the vault returns: by template, whose, which numbers, by what consent and labels."""
    return {
        bytes(stored.template): bytes(stored.person)
        + stored.feature.tobytes()
        + repr((stored.quality, vault.consent(stored.person), vault.label(stored.person))).encode()
        + repr(said(vault, stored.person, stored.template)).encode()
        for stored in vault.templates(trunk)
    }


def said(vault: Vault, who: PersonId, template: TemplateId) -> Told | None:
    """The labels of one template."""
    found = vault.labels.of([who], now=NOW).get(template)
    return None if found is None else found.table()


def enrolled(vault: Vault) -> set[int]:
    """Numbers of the people who have all that they were enrolled with."""
    found: dict[PersonId, set[bytes]] = {}
    for stored in vault.templates(TRUNK):
        found.setdefault(stored.person, set()).add(stored.feature.tobytes())
    numbers = {int.from_bytes(bytes(p)[:2], "big") for p in vault.people(now=NOW)}
    for n in numbers:
        assert found.pop(person(n)) == {template(i).feature.tobytes() for i in (n, n + 1000)}
    assert not found, "templates of nobody"
    return numbers


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def windows(secret: bytes, size: int = 16) -> set[bytes]:
    return {secret[i : i + size] for i in range(len(secret) - size + 1)}
