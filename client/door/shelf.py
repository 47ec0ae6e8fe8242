"""The releases of a site on its disk: files named by their content, and one that says who leads.

Tails and calibrations are written first and never changed. Then ``state.json`` is replaced, whole:
that one rename is the promotion, the rollback or the calibration, and before it nothing happened.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from client.door.calibrating import Target
from client.door.thresholds import Calibration
from client.door.wording import Brought
from client.vault.disk import Disk
from client.vault.handles import DataKey
from common.errors import ConfigError, DeploymentError, ModelError, ReleaseError
from common.matching.basis_file import basis_bytes, parse_basis
from common.matching.distances import Whitened
from common.models.tail import Tail
from common.models.tail_file import parse_tail, tail_bytes

SCHEMA = 1
STATE, TAIL, CALIBRATION = "state.json", ".tail.safetensors", ".calibration.json"
BASIS = ".basis.safetensors"  # of public people, for the whitened distance
HEADS = ".heads.safetensors"  # that came with a release
MOST = 256 * 2**20  # bytes of a file that is looked at
_HASH = re.compile(r"[0-9a-f]{64}")

# Of a release: hashes of its tail, of the trunk that the tail follows, and of the file of heads
# that it brought, empty where it brought none.
Name = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One release on the shelf; ``calibration``, ``file``, ``basis`` and ``heads`` are SHA-256 of
    files."""

    release: str  # hash of the tail
    trunk: str
    file: str
    calibration: str | None = None
    basis: str | None = None
    heads: str | None = None

    def __post_init__(self) -> None:
        words = [self.release, self.trunk, self.file, self.calibration, self.basis, self.heads]
        for word in (word for word in words if word is not None):
            if not _HASH.fullmatch(word):
                raise ValueError("not a hash")

    @property
    def name(self) -> Name:
        return self.release, self.trunk, self.heads or ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lead:
    """Who decides: one release, and ``beside`` it one of an older trunk, while that is needed."""

    active: Entry
    beside: Entry | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """All that promotion and rollback change. ``target`` is what to calibrate to, once known."""

    lead: Lead | None = None
    before: Lead | None = None  # what a rollback brings back
    staged: Entry | None = None
    target: Target | None = None

    def entries(self) -> list[Entry]:
        """Every release that is named."""
        leads = [lead for lead in (self.lead, self.before) if lead is not None]
        found = [self.staged, *(e for lead in leads for e in (lead.active, lead.beside))]
        return [entry for entry in found if entry is not None]

    def calibrated(self, names: Mapping[Name, str | None]) -> "State":
        """With other calibrations for the releases ``names``; what a rollback brings back stays."""
        return self.each(
            lambda entry: replace(entry, calibration=names.get(entry.name, entry.calibration))
        )

    def each(self, change: Callable[[Entry], Entry], also_before: bool = False) -> "State":
        """With every release changed; what a rollback brings back stays, unless it is meant too."""

        def of(lead: Lead | None) -> Lead | None:
            if lead is None:
                return None
            beside = None if lead.beside is None else change(lead.beside)
            return Lead(active=change(lead.active), beside=beside)

        return replace(
            self,
            lead=of(self.lead),
            before=of(self.before) if also_before else self.before,
            staged=None if self.staged is None else change(self.staged),
        )


class Shelf:
    """Reads and writes them in ``folder``, for one process at a time.

    Guarantee: what is read is what was put there: ``state.json`` is authenticated by a key of the
    vault, and names all else by content. A lowered threshold, another tail, or another site's
    folder is ``ReleaseError``.
    Leaks: who can write in the folder can put an older state back, with its release and thresholds,
    or take it away: then nobody decides. Calibrations tell what ``Calibration`` says they do.
    """

    def __init__(self, folder: Path, key: DataKey, disk: Disk) -> None:
        self._folder, self._key, self._disk = folder, key, disk
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self) -> State:
        """What is in force; nothing at all if nothing was ever staged."""
        path = self._folder / STATE
        content = self._bytes(path)
        try:
            return State() if content is None else self._parse(content)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise ReleaseError(
                f"{path} was altered, or is of another vault: remove {self._folder} and stage a "
                "release again"
            ) from None

    def write(self, state: State) -> None:
        """Puts ``state`` in force: on the disk when this returns.

        ``DeploymentError`` if that cannot be done; ``unchanged`` then tells whether the old one is
        still there for sure.
        """
        table = asdict(state, dict_factory=_table)
        body = json.dumps({"schema": SCHEMA, **table}, sort_keys=True)
        tag = self._key.tag(body.encode()).hex()
        self._put(self._folder / STATE, json.dumps({"state": body, "tag": tag}).encode())

    def unchanged(self, state: State) -> bool:
        """Whether ``state`` is what the file says."""
        try:
            return self.read() == state
        except (ReleaseError, DeploymentError):
            return False

    def put(
        self,
        tail: Tail,
        trunk: str,
        whitened: Whitened | None = None,
        heads: bytes | None = None,
    ) -> Entry:
        """Keeps a tail, the basis it is compared by if there is one, and the file of the ``heads``
        that came with it; nothing is in force by that."""
        name, basis = self._keep(tail_bytes(tail, trunk), TAIL), self.put_basis(whitened)
        brought = None if heads is None else self._keep(heads, HEADS)
        return Entry(release=tail.hash, trunk=trunk, file=name, basis=basis, heads=brought)

    def put_basis(self, whitened: Whitened | None) -> str | None:
        """Keeps a basis, if there is one; returns by which name an entry calls it."""
        return None if whitened is None else self._keep(basis_bytes(whitened), BASIS)

    def put_calibration(self, calibration: Calibration | None) -> str | None:
        """Keeps thresholds, if there are any; returns by which name an entry calls them."""
        return None if calibration is None else self._keep(calibration.to_bytes(), CALIBRATION)

    def tail(self, entry: Entry) -> Tail:
        """The tail of ``entry``; ``ReleaseError`` unless it is bit for bit that one."""
        path = self._folder / f"{entry.file}{TAIL}"
        try:
            tail, trunk = parse_tail(self._content(path, entry.file), path.name)
        except ModelError:
            raise _altered(path) from None
        if (tail.hash, trunk) != (entry.release, entry.trunk):
            raise _altered(path)
        return tail

    def basis(self, entry: Entry) -> Whitened | None:
        """What ``entry`` is compared by, if it has a basis; raises as ``tail``."""
        if entry.basis is None:
            return None
        path = self._folder / f"{entry.basis}{BASIS}"
        try:
            return parse_basis(self._content(path, entry.basis), path.name)
        except ModelError:
            raise _altered(path) from None

    def heads(self, entry: Entry) -> Brought | None:
        """The heads that came with ``entry``, if some did; raises as ``tail``."""
        if entry.heads is None:
            return None
        path = self._folder / f"{entry.heads}{HEADS}"
        try:
            return Brought.of(self._content(path, entry.heads), entry.trunk)
        except ReleaseError:
            raise _altered(path) from None

    def calibration(self, entry: Entry) -> Calibration | None:
        """The thresholds of ``entry``, if it has any; raises as ``tail``."""
        if entry.calibration is None:
            return None
        path = self._folder / f"{entry.calibration}{CALIBRATION}"
        try:
            return Calibration.from_bytes(self._content(path, entry.calibration), path.name)
        except ConfigError:
            raise _altered(path) from None

    def tidy(self, state: State) -> None:
        """Destroys every file that ``state`` does not name; what cannot be is left to next time."""
        kept = {STATE}
        for entry in state.entries():
            kept |= {f"{entry.file}{TAIL}", f"{entry.calibration}{CALIBRATION}"}
            kept |= {f"{entry.basis}{BASIS}", f"{entry.heads}{HEADS}"}
        try:
            for path in sorted(self._folder.iterdir()):
                if path.name not in kept:
                    self._disk.shred(path)
        except OSError:
            return

    def _parse(self, content: bytes) -> State:
        sealed = json.loads(content)
        body = sealed["state"].encode()
        if not hmac.compare_digest(bytes.fromhex(sealed["tag"]), self._key.tag(body)):
            raise ValueError("another tag")
        table = json.loads(body)
        if table.pop("schema") != SCHEMA:
            raise ValueError("another schema")
        target = table.pop("target")
        return State(
            lead=_lead(table.pop("lead")),
            before=_lead(table.pop("before")),
            staged=_entry(table.pop("staged")),
            target=None if target is None else Target(**target),
            **table,
        )

    def _keep(self, content: bytes, ending: str) -> str:
        name = hashlib.sha256(content).hexdigest()
        self._put(self._folder / f"{name}{ending}", content)
        return name

    def _put(self, path: Path, content: bytes) -> None:
        try:
            self._disk.replace(path, content)
        except OSError as error:
            raise DeploymentError(
                f"cannot write {path.name}: {error.strerror}; free space there, or run as its owner"
            ) from None

    def _content(self, path: Path, digest: str) -> bytes:
        content = self._bytes(path)
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            raise _altered(path)
        return content

    def _bytes(self, path: Path) -> bytes | None:
        try:
            if path.stat().st_size > MOST:
                raise _altered(path)
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DeploymentError(
                f"cannot read {path.name}: {error.strerror}; run as its owner"
            ) from None


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A release without a basis or without heads does not say so: as it always was."""
    left_out = ("basis", "heads")
    return {name: value for name, value in pairs if name not in left_out or value is not None}


def _entry(table: dict[str, Any] | None) -> Entry | None:
    return None if table is None else Entry(**table)


def _lead(table: dict[str, Any] | None) -> Lead | None:
    if table is None:
        return None
    return Lead(active=Entry(**table["active"]), beside=_entry(table["beside"]))


def _altered(path: Path) -> ReleaseError:
    return ReleaseError(
        f"{path.name} is missing or was altered: put it back, or remove its folder and stage a "
        "release again"
    )
