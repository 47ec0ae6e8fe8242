"""The keyring's file: wrapped keys, what was being done when it was written, and a counter.

    counter, counter | epoch, generation, intent, site, wrapped root, (person, wrapped key)* | MAC

The body is replaced whole. A counter is the last generation of the database that was seen complete,
with a MAC of its own. The older of the two is overwritten in place, so one that a crash cut in half
leaves the other.
"""

import hmac
import struct
from dataclasses import dataclass
from typing import Literal

from client.vault.handles import KEY, OVERHEAD, DataKey, framed
from client.vault.identity import BYTES, PersonId
from common.errors import VaultError

MAGIC = b"mascaron keyring1"
WRAPPED = KEY + OVERHEAD  # bytes of a key under the epoch's
MAC = 32
_COUNTER = struct.Struct(">Q32s")
COUNTERS = 2 * _COUNTER.size  # bytes of both
_HEAD = struct.Struct(">17sQQ5sIHI")  # magic, epoch, generation, intent, about whom, site, persons
_ENTRY = BYTES + WRAPPED

Kind = Literal["enrol", "erase"]  # a rotation erases nobody


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Intent:
    """What a change of keys was for: with the database it tells what a crash left half done."""

    kind: Kind
    generation: int  # that the database reaches when it is done
    persons: tuple[PersonId, ...]


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Ring:
    """What the body says."""

    site: str
    epoch: int
    intent: Intent
    root: bytes  # wrapped
    entries: dict[PersonId, bytes]  # wrapped


def write(ring: Ring, key: DataKey) -> bytes:
    """The body, with the MAC of the epoch's ``key``."""
    site, intent = ring.site.encode(), ring.intent
    head = _HEAD.pack(
        MAGIC,
        ring.epoch,
        intent.generation,
        intent.kind.encode(),
        len(intent.persons),
        len(site),
        len(ring.entries),
    )
    about = b"".join(intent.persons)
    entries = b"".join(person + wrapped for person, wrapped in ring.entries.items())
    body = head + site + about + ring.root + entries
    return body + key.tag(framed("keyring", body))


def epoch_of(content: bytes) -> int:
    """The epoch a body claims, before anything of it is believed."""
    body = content[COUNTERS:]
    if len(body) < _HEAD.size + WRAPPED + MAC or body[: len(MAGIC)] != MAGIC:
        raise VaultError("the keyring is cut short, or is none")
    return int(_HEAD.unpack_from(body)[1])


@dataclass(frozen=True, slots=True)
class Seen:
    """What the counters say."""

    generation: int
    torn: bool  # one of them is not whole


def read(content: bytes, key: DataKey) -> tuple[Ring, Seen]:
    """Body and counters; ``VaultError`` unless all was written under ``key``."""
    epoch = epoch_of(content)
    body, mac = content[COUNTERS:-MAC], content[-MAC:]
    if not hmac.compare_digest(mac, key.tag(framed("keyring", body))):
        raise VaultError("the keyring was altered")
    _, _, generation, kind, about, site, persons = _HEAD.unpack_from(body)
    at = _HEAD.size + site
    places = range(at, at + about * BYTES, BYTES)
    root = at + about * BYTES
    begin = root + WRAPPED
    if kind not in (b"enrol", b"erase") or len(body) != begin + persons * _ENTRY:
        raise VaultError("the keyring is not of this version")
    intent = Intent(
        kind="enrol" if kind == b"enrol" else "erase",
        generation=generation,
        persons=tuple(PersonId(body[i : i + BYTES]) for i in places),
    )
    entries = {
        PersonId(body[i : i + BYTES]): body[i + BYTES : i + _ENTRY]
        for i in range(begin, len(body), _ENTRY)
    }
    name = body[_HEAD.size : at].decode()
    ring = Ring(site=name, epoch=epoch, intent=intent, root=body[root:begin], entries=entries)
    return ring, _read_counters(content, key, epoch)


def counter(generation: int, key: DataKey, epoch: int) -> bytes:
    """One counter; ``place_of`` says where it goes."""
    return _COUNTER.pack(generation, key.tag(framed("counter", epoch, generation)))


def place_of(generation: int) -> int:
    """Where in the file the counter of ``generation`` is written: in turns."""
    return generation % 2 * _COUNTER.size


def _read_counters(content: bytes, key: DataKey, epoch: int) -> Seen:
    whole = []
    for at in (0, _COUNTER.size):
        generation, mac = _COUNTER.unpack_from(content, at)
        if hmac.compare_digest(mac, key.tag(framed("counter", epoch, generation))):
            whole.append(int(generation))
    if not whole or max(whole) - min(whole) > 1:
        raise VaultError("the counters of the keyring were altered")
    return Seen(max(whole), torn=len(whole) < 2)
