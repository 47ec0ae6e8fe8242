"""A small audit log with rows in it, for tests: fixed keys, and events from numbers."""

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.audit.events import Event, Kind
from client.audit.log import AuditLog, AuditPlace
from client.vault.disk import Disk
from common.trust.keys import SigningKey

SITE = "north"
NOW = 1_700_000_000.0


def key(number: int = 1) -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


def tag(number: int) -> bytes:
    return number.to_bytes(2, "big") * 8


def event(number: int, kind: Kind = Kind.IDENTIFY) -> Event:
    return Event(
        kind=kind,
        began=NOW + number,
        ended=NOW + number + 0.25,
        reference=f"{number}:{'ab' * 6}",
        subject=tag(number + 1000),
        input=tag(number + 2000),
        outcome="match" if number % 2 else "unknown",
        actors=tuple(tag(500 + actor) for actor in range(number % 4)),
    )


def place(path: Path, disk: Disk | None = None, site: str = SITE, number: int = 1) -> AuditPlace:
    return AuditPlace(path=path, key=key(number), site=site, disk=disk or Disk())


def filled(path: Path, numbers: Iterable[int]) -> None:
    """A log of one row a number, closed."""
    with AuditLog(place(path)) as log:
        for number in numbers:
            log.append(event(number))
