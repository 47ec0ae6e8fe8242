"""What is sealed, and to what it is bound: a record opens in its own place only.

Every byte string that authenticates a record is canonical: each part has its kind and length
before it, so no two records share one.
"""

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from client.vault import consent as consents
from client.vault.consent import Consent
from client.vault.handles import DataKey, framed, heading
from client.vault.identity import BYTES, PersonId, TemplateId
from client.vault.labels import Labels
from common.errors import ModelError, VaultError

SCHEMA = 1
MOST = 2048  # numbers of a feature
DTYPE = "f16"
QUALITY = struct.Struct("<d")  # before the feature
_LABEL = 256  # bytes

Feature = NDArray[np.float16]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewTemplate:
    """One picture's feature (D,), not sealed yet. ``trunk`` is the SHA-256 of who made it, and
    ``labels`` what is said of the picture, if anything is.

    ``ModelError`` unless it is finite, float16, of 1 to 2,048 numbers, and quality is in [0, 1].
    """

    trunk: str
    feature: Feature = field(repr=False)
    quality: float = 1.0
    labels: Labels | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        feature = self.feature
        if feature.dtype != np.float16 or feature.ndim != 1 or not 1 <= feature.size <= MOST:
            raise ModelError(f"a feature is a float16 vector of 1 to {MOST} numbers")
        if not np.isfinite(feature).all() or not feature.any():
            raise ModelError("a feature has a number that is none, or no number but 0")
        if not 0 <= self.quality <= 1:
            raise ModelError("quality must be in [0, 1]")
        trunk_bytes(self.trunk)


@dataclass(frozen=True, slots=True)
class Stored:
    """One opened template."""

    person: PersonId
    template: TemplateId
    feature: Feature = field(repr=False)  # (D,)
    quality: float


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """Where a template belongs; all of it authenticates the sealed feature."""

    site: str
    person: PersonId
    template: TemplateId
    trunk: bytes  # 32
    dim: int
    row: int  # of this person's templates, never used twice

    def to_bytes(self) -> bytes:
        """The canonical text."""
        ids = (self.site, bytes(self.person), bytes(self.template))
        return framed("template", SCHEMA, *ids, self.trunk, self.dim, DTYPE, self.row)


class Abouts:
    """The texts of many templates of one trunk, put together from pieces: the same as ``About``'s.

    ``of(person) + template + end(row)`` is a template's, for a person and a template of 16 bytes.
    """

    def __init__(self, site: str, trunk: bytes, dim: int) -> None:
        self._begin = framed("template", SCHEMA, site) + heading(BYTES)
        self._between = heading(BYTES)
        self._after = framed(trunk, dim, DTYPE)
        self._ends: dict[int, bytes] = {}

    def of(self, person: bytes) -> bytes:
        """Up to the template."""
        return self._begin + person + self._between

    def end(self, row: int) -> bytes:
        """From the template on; ``row`` is not negative."""
        known = self._ends.get(row)
        if known is None:
            known = self._ends[row] = self._after + framed(row)
        return known


def seal_feature(key: DataKey, feature: Feature, quality: float, about: About) -> bytes:
    """``feature`` (D,) and its quality under the person's key."""
    plain = QUALITY.pack(quality) + np.ascontiguousarray(feature, "<f2").tobytes()
    return key.seal(plain, about.to_bytes())


def open_feature(key: DataKey, sealed: bytes, about: About) -> Stored:
    """What was sealed; ``VaultError`` unless it is this record, in this place, by this key."""
    plain = key.open(sealed, about.to_bytes())
    if len(plain) != QUALITY.size + 2 * about.dim:
        raise VaultError("a sealed feature has not the size that was stored with it")
    feature = np.frombuffer(plain, "<f2", offset=QUALITY.size)
    quality: float = QUALITY.unpack_from(plain)[0]
    return Stored(about.person, about.template, feature, quality)


@dataclass(frozen=True, slots=True)
class Particulars:
    """What is known of a person beside the templates. The label is the operator's own word."""

    consent: Consent
    enrolled: float  # Unix seconds
    label: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if len(self.label.encode()) > _LABEL or not (self.label.isprintable()):
            raise ModelError(f"a label has at most {_LABEL} bytes, all of them printable")


def seal_particulars(key: DataKey, site: str, person: PersonId, about: Particulars) -> bytes:
    """Consent, time and label under the person's key: they die with it."""
    consent, label = consents.to_bytes(about.consent), about.label.encode()
    head = struct.pack(">dII", about.enrolled, len(consent), len(label))
    return key.seal(head + consent + label, _particulars(site, person))


def open_particulars(key: DataKey, site: str, person: PersonId, sealed: bytes) -> Particulars:
    """What ``seal_particulars`` made; ``VaultError`` for anything else."""
    plain = key.open(sealed, _particulars(site, person))
    try:
        enrolled, size, rest = struct.unpack_from(">dII", plain)
        body = plain[struct.calcsize(">dII") :]
        if len(body) != size + rest:
            raise ValueError
        return Particulars(consents.from_bytes(body[:size]), enrolled, body[size:].decode())
    except (ValueError, struct.error, ModelError):
        raise VaultError("a person's record is not one") from None


def trunk_bytes(trunk: str) -> bytes:
    """The 32 bytes of a trunk's hash; ``ModelError`` if it is none."""
    try:
        raw = bytes.fromhex(trunk)
    except ValueError:
        raw = b""
    if len(raw) != 32 or raw.hex() != trunk:
        raise ModelError("a trunk is named by its SHA-256 in hexadecimal")
    return raw


def _particulars(site: str, person: PersonId) -> bytes:
    return framed("person", SCHEMA, site, bytes(person))
