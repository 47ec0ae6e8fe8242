"""Database and keyring brought together after whatever happened: a crash, or somebody's old copy.

Each change goes: keyring (with its intent) -> database (with the next generation) -> counter in the
keyring. So only three pairs of generations are honest; any other is a copy from before.
"""

from collections.abc import Collection

from client.vault.identity import PersonId
from client.vault.keyring import Keyring
from client.vault.tables import Head, Tables, tombstone
from common.errors import VaultError, VaultRollbackError


def agree(tables: Tables, keyring: Keyring, site: str) -> None:
    """Finishes what was begun; ``VaultRollbackError`` unless the two were written together."""
    if tables.empty:
        _begin(tables, keyring)
        return
    tables.upgrade()
    tables.verify()
    reached, seen, intent = tables.head.generation, keyring.generation, keyring.intent
    if reached < seen or intent.generation > reached + 1:
        raise VaultRollbackError("the vault's database is older than its keyring: a copy was put")
    if reached > seen + 1:
        raise VaultRollbackError("the vault's keyring is older than its database: a copy was put")
    if keyring.torn and reached == seen:  # only a generation that was reached is ever noted
        raise VaultError("a counter of the vault's keyring was altered")
    if intent.generation == reached + 1:
        _finish(tables, keyring, site)
    elif keyring.people() != tables.people() or keyring.epoch != tables.head.epoch:
        raise VaultRollbackError("the vault's keyring and its database are of different days")
    elif reached == seen + 1:
        tables.rebuild()  # it may have been what has to be gone from every page
        keyring.settle(reached)


def drop(tables: Tables, keyring: Keyring, site: str, persons: Collection[PersonId]) -> None:
    """Takes away the rows of ``persons``, whose keys are gone, and every trace in the log."""
    epoch = keyring.epoch
    with tables.change(epoch):
        tables.insert("tombstone", (epoch, b""))  # that there was such an epoch
        for person in persons:
            tables.delete("labels", person)
            tables.delete("template", person)
            if tables.delete("person", person):
                tables.insert("tombstone", (epoch, tombstone(site, person)))
    tables.clean()
    keyring.settle(tables.head.generation)


def _begin(tables: Tables, keyring: Keyring) -> None:
    if keyring.people() or keyring.generation or keyring.intent.generation or keyring.epoch != 1:
        raise VaultRollbackError("the vault's database is empty, and its keyring is not")
    tables.found(Head(0, 1, 0))


def _finish(tables: Tables, keyring: Keyring, site: str) -> None:
    """An erasure is completed: its keys are gone. An enrolment is undone: nobody was told of it."""
    intent = keyring.intent
    about, mine, rows = frozenset(intent.persons), keyring.people(), tables.people()
    if intent.kind == "erase":
        if rows - about != mine or keyring.epoch != tables.head.epoch + 1:
            raise VaultRollbackError("the vault's keyring and its database are of different days")
    else:
        if mine - about != rows or keyring.epoch != tables.head.epoch:
            raise VaultRollbackError("the vault's keyring and its database are of different days")
        keyring.forget(about)
    drop(tables, keyring, site, about)
