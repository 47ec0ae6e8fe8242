"""A release as one file: a tail, heads if a run trained some, evidence, the centre's signature.

A plain tar: `manifest.json` first, then `signature` once there is one, then the files that the
manifest names, sorted. Headers are fixed and nothing is compressed, so a release has exactly one
spelling, and the SHA-256 of the manifest names every byte of it.

Guarantee: what ``read_release`` returns is signed by the centre for this federation, byte for byte;
no name in it is a path, and nothing beyond the manifest is in it.
Leaks: to whoever has the file, the tail, the figures and the reasons in it: all public.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from common.bundle import VERSION
from common.config import build
from common.errors import ConfigError, ModelError, ReleaseError, SignatureError
from common.evidence.container import MOST, pack, unpack
from common.evidence.section import KINDS, Section
from common.models.tail import Tail
from common.models.tail_file import parse_tail, tail_bytes
from common.trust.keys import PublicKey, SigningKey, decode, encode

if TYPE_CHECKING:
    from common.heads.heads import Heads

SCHEMA = 1
PURPOSE = "release"
MANIFEST, SIGNATURE, TAIL, REPORT = "manifest.json", "signature", "tail.safetensors", "report.html"
HEADS = "heads.safetensors"
ENDING = ".release"  # of a file that holds one
MOST_FILES = 128
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PICTURE = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}\.png")
_PNG = b"\x89PNG\r\n\x1a\n"
_CAPS = {MANIFEST: 2**20, SIGNATURE: 256, TAIL: 24 * 2**20, REPORT: 16 * 2**20, HEADS: 8 * 2**20}
_CAP = 4 * 2**20  # bytes of a section, or of a picture
_SECTIONS = {f"{kind}.json": kind for kind in KINDS}


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file of a release."""

    name: str
    sha256: str
    size: int  # bytes

    def __post_init__(self) -> None:
        if self.name not in (TAIL, REPORT, HEADS) and not is_section(self.name):
            _check(_PICTURE.fullmatch(self.name) is not None, "a file has a name of its own")
        _check(_DIGEST.fullmatch(self.sha256) is not None, "a file is named by its SHA-256")
        _check(0 <= self.size <= cap_of(self.name), "a file is too large")


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What one gate said of a release. Those in a manifest are the centre's; a site judges anew."""

    gate: str
    held: bool
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Whose release it is: the federation, the run it was made in, and the pool it is for."""

    federation: str
    run: str
    pool: str
    made: int  # seconds since 1970, UTC

    def __post_init__(self) -> None:
        _check(_DIGEST.fullmatch(self.federation) is not None, "a federation is a SHA-256")
        for word in (self.run, self.pool):
            _check(1 <= len(word) <= 128 and word.isprintable(), "run and pool have names")
        _check(0 <= self.made < 2**40, "the time is not one")


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest(Origin):
    """Everything that a release is, by content. ``tail`` is the hash of the tail, not of its file.

    Raises ``ConfigError`` where two files have one name, or tail or report are missing.
    """

    trunk: str
    tail: str
    files: tuple[File, ...]  # sorted by name
    verdict: tuple[Verdict, ...] = ()
    version: str = VERSION  # of mascaron
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        Origin.__post_init__(self)
        _check(self.schema == SCHEMA, "another schema of releases")
        for digest in (self.trunk, self.tail):
            _check(_DIGEST.fullmatch(digest) is not None, "trunk and tail are SHA-256")
        names = [file.name for file in self.files]
        _check(names == sorted(set(names)), "files are sorted, each once")
        _check(len(names) <= MOST_FILES, "too many files")
        _check({TAIL, REPORT} <= set(names), "a release has a tail and a report")

    def to_json(self) -> str:
        """Canonical: the same manifest, the same text, the same name of the release."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """What ``to_json`` made, letter by letter; ``ReleaseError`` for anything else."""
        try:
            table = json.loads(text)
            found = build(cls, table if isinstance(table, dict) else {}, "manifest")
            if found.to_json() == text:
                return found
        except (ValueError, RecursionError, ConfigError) as error:
            raise ReleaseError(f"not the manifest of a release: {_short(error)}") from None
        raise ReleaseError("not the manifest of a release: it is not spelt as we spell it")


@dataclass(frozen=True, eq=False, repr=False)
class Release:
    """A manifest and the very files it names; ``ReleaseError`` if one is missing or another.

    Nothing here says that the release is good: ``common.evidence.gates.judge`` does.
    """

    manifest: Manifest
    files: Mapping[str, bytes]
    signature: str = ""  # of the centre over the manifest, URL-safe base64; empty: not signed yet

    def __post_init__(self) -> None:
        named = {file.name: file for file in self.manifest.files}
        if set(named) != set(self.files):
            odd = sorted(set(named) ^ set(self.files))[0]
            raise ReleaseError(f"the release and its manifest differ in {odd}")
        for name, content in self.files.items():
            if (_sha256(content), len(content)) != (named[name].sha256, named[name].size):
                raise ReleaseError(f"{name} is not the file that the manifest names")
            if name.endswith(".png") and not content.startswith(_PNG):
                raise ReleaseError(f"{name} is not a PNG")
        if self.tail.hash != self.manifest.tail or self._tail[1] != self.manifest.trunk:
            raise ReleaseError("the tail is not the one, or not of the trunk, of the manifest")
        heads, width = self.heads, self.tail.feature_dim
        if heads is not None and (heads.trunk, heads.width) != (self.manifest.trunk, width):
            raise ReleaseError("the heads are of another trunk than the tail")
        if len(self.sections) != sum(map(is_section, self.files)):
            raise ReleaseError("a section is missing")

    @cached_property
    def digest(self) -> str:
        """What names the release: SHA-256 of the manifest, hexadecimal."""
        return _sha256(self.manifest.to_json().encode())

    @cached_property
    def _tail(self) -> tuple[Tail, str]:
        try:
            return parse_tail(self.files[TAIL], TAIL)
        except ModelError as error:
            raise ReleaseError(str(error)) from None

    @property
    def tail(self) -> Tail:
        return self._tail[0]

    @cached_property
    def heads(self) -> "Heads | None":
        """What sites may read faces with, if it is in the release; ``ReleaseError`` for what is no
        file of heads, spelt as ours are."""
        if HEADS not in self.files:
            return None
        from common.heads.heads_file import heads_bytes, parse_heads  # torch

        try:
            heads = parse_heads(self.files[HEADS], HEADS)
        except ModelError as error:
            raise ReleaseError(str(error)) from None
        if heads_bytes(heads) != self.files[HEADS]:
            raise ReleaseError(f"{HEADS} is not spelt as we spell it")
        return heads

    @property
    def heads_file(self) -> str:
        """SHA-256 of the file of heads; empty where there is none."""
        return _sha256(self.files[HEADS]) if HEADS in self.files else ""

    @cached_property
    def sections(self) -> dict[str, Section]:
        """The evidence, by kind; ``ReleaseError`` for what is no section of that kind."""
        found = {}
        for name in filter(is_section, self.files):
            section = read_section(self.files[name], name)
            found[section.kind] = section
        return found

    @property
    def pictures(self) -> tuple[str, ...]:
        return tuple(sorted(name for name in self.files if name.endswith(".png")))

    def to_bytes(self) -> bytes:
        """The release as one file; ``read_release`` reads it, and so does any `tar`."""
        head = {MANIFEST: self.manifest.to_json().encode()}
        if self.signature:
            head[SIGNATURE] = self.signature.encode()
        return pack({**head, **dict(sorted(self.files.items()))})

    def sign(self, key: SigningKey) -> "Release":
        """The same release, signed by the centre's ``key``."""
        signature = key.sign(PURPOSE, self.manifest.to_json().encode())
        return replace(self, signature=encode(signature))

    def check_signature(self, centre: PublicKey) -> None:
        """Raises ``SignatureError`` unless ``centre`` signed this very release."""
        _verify(centre, self.manifest.to_json().encode(), self.signature)


def make_release(
    origin: Origin,
    tail: Tail,
    trunk: str,
    sections: Sequence[Section],
    shown: Mapping[str, bytes],
) -> Release:
    """A release of ``tail``, not signed; ``shown`` are `report.html`, the pictures, and the heads
    where there are some, by name.

    Raises ``ReleaseError`` for two sections of a kind, or anything that a release cannot hold.
    """
    files = {TAIL: tail_bytes(tail, trunk), **shown}
    for section in sections:
        if f"{section.kind}.json" in files:
            raise ReleaseError(f"there are two sections {section.kind}")
        files[f"{section.kind}.json"] = section.to_json().encode()
    try:
        listed = tuple(
            File(name=name, sha256=_sha256(content), size=len(content))
            for name, content in sorted(files.items())
        )
        manifest = Manifest(**asdict(origin), trunk=trunk, tail=tail.hash, files=listed)
    except ConfigError as error:
        raise ReleaseError(str(error)) from None
    return Release(manifest, files)


def with_verdict(release: Release, verdict: Sequence[Verdict]) -> Release:
    """The same files under a manifest that says how the gates judged them; not signed."""
    return Release(replace(release.manifest, verdict=tuple(verdict)), release.files)


def parse_release(content: bytes) -> Release:
    """What ``Release.to_bytes`` made, signed or not: nobody vouches for it yet.

    Raises ``ReleaseError`` for any other bytes.
    """
    members = unpack(content, cap_of, MOST_FILES + 2)
    manifest = Manifest.from_json(_text(members, MANIFEST))
    signature = _text(members, SIGNATURE) if SIGNATURE in members else ""
    files = {name: body for name, body in members.items() if name not in (MANIFEST, SIGNATURE)}
    release = Release(manifest, files, signature)
    if release.to_bytes() != content:
        raise ReleaseError("the release is not spelt as we spell it: it was altered on the way")
    return release


def read_release(content: bytes, centre: PublicKey, federation: str, digest: str) -> Release:
    """The release called ``digest``, of ``federation``, that ``centre`` signed.

    Name and signature are looked at before anything but the container is parsed. Raises
    ``ReleaseError`` for another one, ``SignatureError`` unless it is the centre's.
    """
    members = unpack(content, cap_of, MOST_FILES + 2)
    words = members.get(MANIFEST, b"")
    if _sha256(words) != digest:
        raise ReleaseError("this is not the release that was asked for")
    _verify(centre, words, _text(members, SIGNATURE) if SIGNATURE in members else "")
    release = parse_release(content)
    if release.manifest.federation != federation:
        raise ReleaseError("the release is of another federation")
    return release


def read_section(content: bytes, name: str) -> Section:
    """The section in the file ``name``, whose kind the name says; ``ReleaseError`` for others."""
    try:
        section = Section.from_json(content.decode("utf-8"))
    except (UnicodeDecodeError, RecursionError, ConfigError) as error:
        raise ReleaseError(f"{name} is not a section: {_short(error)}") from None
    if _SECTIONS.get(name) != section.kind:
        raise ReleaseError(f"{name} is a section of another kind")
    return section


def is_section(name: str) -> bool:
    """Whether a file of this name holds a section."""
    return name in _SECTIONS


def cap_of(name: str) -> int:
    """How many bytes a file of this name may have; 0 for a name that no release holds."""
    if is_section(name) or _PICTURE.fullmatch(name):
        return _CAP
    return _CAPS.get(name, 0)


def check_size(size: int) -> None:
    """Raises ``ReleaseError`` for more bytes than a release may have."""
    if not 0 < size <= MOST:
        raise ReleaseError(f"a release has at most {MOST} bytes")


def _verify(centre: PublicKey, words: bytes, signature: str) -> None:
    if not signature:
        raise SignatureError("the release is not signed: `mascaron-admin release sign` signs it")
    try:
        raw = decode(signature)
    except ValueError:
        raise SignatureError("the signature of the release is malformed") from None
    centre.verify(PURPOSE, words, raw)


def _text(members: Mapping[str, bytes], name: str) -> str:
    try:
        return members[name].decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        raise ReleaseError(f"a release has a {name} of text") from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check(holds: bool, told: str) -> None:
    if not holds:
        raise ConfigError(told)


def _short(error: Exception) -> str:
    return str(error)[:200] if isinstance(error, ConfigError) else type(error).__name__
