"""The vault in one sealed file, and back: never an older one than was seen, never anybody erased.

    magic | header: site, epoch, generation, key sealed to the recovery key | sealed pieces

The pieces hold keys and rows, sealed once more: no window of a row in the vault is in its backup.
"""

import hashlib
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from client.vault.core import KEYRING, VaultPlace, ours
from client.vault.handles import DataKey, framed
from client.vault.identity import PersonId
from client.vault.keyring import Held, Keyring
from client.vault.providers import KeyProvider
from client.vault.schema import COLUMNS
from client.vault.store import Vault
from client.vault.tables import Head, Row, Tables, tombstone
from common.errors import VaultError, VaultRollbackError

MAGIC = b"mascaron vault backup 1\n"
PIECE = 2**20  # bytes before a piece is sealed
ENDING = ".backup"
_SIZE = struct.Struct(">I")


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is remembered elsewhere of the vault: in the centre's countersigned head, say.

    ``losing``: take a backup older than ``generation``, and lose who was enrolled since. Only if
    nobody was erased since, or ``tombstones`` (of the vault that is there still) tell who.
    ``left_out`` is asked about the key of everybody in the backup.
    """

    generation: int
    epoch: int
    tombstones: frozenset[tuple[int, bytes]] = frozenset()
    losing: bool = False
    left_out: Callable[[DataKey], bool] = lambda key: False  # whose key does not come back


def backup(vault: Vault, folder: Path, recovery: KeyProvider) -> Path:
    """Writes ``vault`` into a new file of ``folder``, whole or not at all; where it is.

    Guarantee: only who can ``unwrap`` with ``recovery`` reads it; every bit is authenticated.
    Leaks: site, generation, epoch and size. With the recovery key it opens, the people in it who
    were erased later included: ``restore`` leaves them out, but only ``retire`` destroys them.
    """
    core = vault._core
    with core.guard():
        place, held = core.place, core.keyring.held()
        key = DataKey.generate(place.random)
        about = framed("backup", vault.site, held.epoch, vault.generation)
        header = framed(
            vault.site, held.epoch, vault.generation, key.sealed_with(recovery.wrap, about)
        )
        records = _records(held, (page for table in COLUMNS for page in _rows(vault, table)))
        pieces = list(_sealed(key, header, records))
        key.wipe()
        content = b"".join((MAGIC, _sized(header), *pieces))
        path = folder / f"vault-{vault.generation:012d}{ENDING}"
        place.disk.replace(path, content)
        return path


def restore(source: Path, recovery: KeyProvider, place: VaultPlace, known: Known) -> Vault:
    """Makes a vault at ``place``, where none may be, of the backup at ``source``.

    It begins an epoch and a generation that no earlier vault had. Raises ``VaultRollbackError``
    for a backup from before ``known``, ``SealedError`` without the right key, ``VaultError`` if it
    was altered or is another site's. After a crash in here there is no vault at ``place``, or the
    whole of it.
    """
    if place.folder.exists() and any(place.folder.iterdir()):
        raise VaultError(f"{place.folder} is not empty: move what is there away first")
    with ours():
        content = source.read_bytes()
        site, epoch, generation, wrapped = _header(content)
        if site != place.site:
            raise VaultError("the backup is another site's")
        _check_age(epoch, generation, known)
        about = framed("backup", site, epoch, generation)
        key = DataKey(recovery.unwrap(wrapped, about), place.random)
        held, rows = _read(key, content, place)
        _forget(held.keys, rows, site, known)
        epoch, generation = max(epoch, known.epoch) + 1, max(generation, known.generation) + 1
        rows["tombstone"] = sorted({*rows["tombstone"], (epoch, b""), *known.tombstones})
        _build(place, replace(held, epoch=epoch, generation=generation), rows)
    return Vault(place)


def generation_of(source: Path) -> int:
    """Which generation the backup at ``source`` says it is of; ``restore`` proves it."""
    with ours():
        return _header(source.read_bytes())[2]


def retire(folder: Path, epoch: int, place: VaultPlace) -> int:
    """Shreds the backups in ``folder`` from before ``epoch``; how many. Call after an erasure, and
    after the next backup."""
    old = 0
    with ours():
        for path in sorted(folder.glob(f"*{ENDING}")):
            if _header(path.read_bytes())[1] < epoch:
                place.disk.shred(path)
                old += 1
    return old


def _check_age(epoch: int, generation: int, known: Known) -> None:
    if generation >= known.generation and epoch >= known.epoch:
        return
    if not known.losing:
        raise VaultRollbackError(
            f"the backup has generation {generation}, and the vault had {known.generation}"
        )
    marks = {number for number, _ in known.tombstones}
    if not marks.issuperset(range(epoch + 1, known.epoch + 1)):
        raise VaultRollbackError(
            "people may have been erased since this backup, and nothing here says who"
        )


def _forget(
    keys: dict[PersonId, DataKey], rows: dict[str, list[Row]], site: str, known: Known
) -> None:
    """Leaves out who was erased after the backup was made, and who is not to come back."""
    dead = {digest for _, digest in known.tombstones}
    for person, key in list(keys.items()):
        if tombstone(site, person) in dead or known.left_out(key):
            keys.pop(person).wipe()
    for table in ("person", "template", "labels"):
        rows[table] = [row for row in rows[table] if row[0] in keys]


def _build(place: VaultPlace, held: Held, rows: dict[str, list[Row]]) -> None:
    """Beside ``place``, then put there whole."""
    beside = place.folder.with_name(f".{place.folder.name}.restoring")
    for left in beside.glob(f"*{KEYRING}*"):  # by a crash: its keys are people's, who may go
        place.disk.shred(left)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700, parents=True)
    making = replace(place, folder=beside)
    keyring = Keyring.create(making.keyring, held)
    database = place.disk.connect(making.database)
    try:
        tables = Tables(database, place.site, keyring.derive("tables"))
        tables.found(Head(held.generation, held.epoch, 0), {name: rows[name] for name in COLUMNS})
        tables.clean()
        tables.wipe()
    finally:
        database.close()
        keyring.wipe()
    place.disk.rename(beside, place.folder)
    place.disk.sync_folder(place.folder.parent)


def _rows(vault: Vault, table: str) -> Iterator[bytes]:
    for row in vault._core.tables.select(table):
        yield framed(table, *row)


def _records(held: Held, rows: Iterable[bytes]) -> Iterator[bytes]:
    yield held.root.sealed_with(lambda raw, name: framed(name.decode(), raw), b"root")
    for person, key in held.keys.items():
        yield key.sealed_with(lambda raw, name: framed("key", name, raw), bytes(person))
    yield from rows


def _sealed(key: DataKey, header: bytes, records: Iterable[bytes]) -> Iterator[bytes]:
    digest, number, held = hashlib.sha256(header).digest(), 0, bytearray()
    for record in records:
        held += _sized(record)
        if len(held) >= PIECE:
            yield _sized(key.seal(bytes(held), framed(digest, number, "more")))
            number, held = number + 1, bytearray()
    yield _sized(key.seal(bytes(held), framed(digest, number, "last")))


def _read(key: DataKey, content: bytes, place: VaultPlace) -> tuple[Held, dict[str, list[Row]]]:
    header, *pieces = _parts(content[len(MAGIC) :])
    digest, last = hashlib.sha256(header).digest(), len(pieces) - 1
    rows: dict[str, list[Row]] = {table: [] for table in COLUMNS}
    keys: dict[PersonId, DataKey] = {}
    root = key
    for number, piece in enumerate(pieces):
        plain = key.open(piece, framed(digest, number, "last" if number == last else "more"))
        for record in _parts(plain):
            name, *values = _unframed(record)
            if name in rows:
                rows[name].append(tuple(values))
            elif name == "key":
                keys[PersonId(values[0])] = DataKey(values[1], place.random)
            else:
                root = DataKey(values[0], place.random)
    if root is key:
        raise VaultError("the backup is cut short")
    return Held(root=root, keys=keys, epoch=0, generation=0), rows


def _header(content: bytes) -> tuple[str, int, int, bytes]:
    if not content.startswith(MAGIC):
        raise VaultError("not a backup of a vault, or of another version")
    values = _unframed(next(_parts(content[len(MAGIC) :]), b""))
    if [type(value) for value in values] != [str, int, int, bytes]:
        raise VaultError("the header of the backup was altered")
    return values[0], values[1], values[2], values[3]


def _sized(content: bytes) -> bytes:
    return _SIZE.pack(len(content)) + content


def _parts(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        if len(content) < at + _SIZE.size:
            raise VaultError("the backup is cut short")
        (size,) = _SIZE.unpack_from(content, at)
        at += _SIZE.size
        if len(content) < at + size:
            raise VaultError("the backup is cut short")
        yield content[at : at + size]
        at += size


def _unframed(content: bytes) -> list[Any]:
    """What ``framed`` made ``content`` of."""
    found: list[Any] = []
    at = 0
    try:
        while at < len(content):
            kind, size = struct.unpack_from(">cI", content, at)
            raw = content[at + 5 : at + 5 + size]
            if len(raw) != size:
                raise ValueError
            found.append(_MEANINGS[kind](raw))
            at += 5 + size
    except (ValueError, KeyError, struct.error):
        raise VaultError("the backup was altered") from None
    return found


_MEANINGS: dict[bytes, Callable[[bytes], bytes | str | int]] = {
    b"b": bytes,
    b"s": bytes.decode,
    b"i": lambda raw: int.from_bytes(raw, "big"),
}
