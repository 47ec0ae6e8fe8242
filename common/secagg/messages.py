"""What sites and the centre say to each other in a secure sum, and who signed it.

A site's words carry its Ed25519 signature over purpose, attempt and *view* (a digest of all that
the site was shown before), so they are good in one place of one attempt only. What the centre
says needs no signature: it forwards what sites signed, or proposes what sites have to agree on.
"""

import dataclasses
import struct
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, get_args

from common import wire
from common.errors import ConfigError, SignatureError, WireError
from common.secagg.masks import BOX, KEY
from common.secagg.terms import MOST_SITES, MOST_WORDS, Context
from common.trust.keys import PublicKey, SigningKey
from common.trust.roster import check_name

SIGNATURE = 64
CHECK = 8  # bytes of a share's digest: it finds the liar, the secret's own digest decides
LONGEST = 8 * MOST_WORDS + 2**16

_M = TypeVar("_M", bound="Message")
_S = TypeVar("_S", bound="SiteMessage")


@dataclass(frozen=True, slots=True)
class Message:
    """Base: fields are text, bytes, or tuples of text, bytes or messages, and lengths agree."""

    def to_bytes(self) -> bytes:
        """Canonical bytes, for a protobuf field or a Flower record."""
        parts: list[bytes] = []
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            items = value if isinstance(value, tuple) else (value,)
            raw = [_raw(item) for item in items]
            parts.append(struct.pack("<I", len(raw)))
            parts += [struct.pack("<I", len(item)) + item for item in raw]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls: type[_M], content: bytes) -> _M:
        """Reads ``to_bytes``; ``WireError`` for anything else."""
        if len(content) > LONGEST:
            raise WireError("a message is too long")
        values: dict[str, Any] = {}
        at = 0
        for entry in dataclasses.fields(cls):
            items, at = _items(content, at)
            args = get_args(entry.type)
            if args:
                values[entry.name] = tuple(_value(args[0], item) for item in items)
            elif len(items) == 1:
                values[entry.name] = _value(entry.type, items[0])
            else:
                raise WireError("a message has one part too many or too few")
        if at != len(content):
            raise WireError("trailing bytes")
        return cls(**values)


@dataclass(frozen=True, slots=True)
class SiteMessage(Message):
    """What a site says: its name, its signature, and what the phase is about."""

    purpose: ClassVar[str]
    site: str
    signature: bytes = field(default=b"", kw_only=True)

    def __post_init__(self) -> None:
        try:
            check_name(self.site)
        except ConfigError:
            raise WireError("not the name of a site") from None
        _check(len(self.signature) in (0, SIGNATURE))

    def signed(self: _S, key: SigningKey, context: Context, view: bytes = b"") -> _S:
        """The same with the signature of ``key``."""
        return dataclasses.replace(
            self, signature=key.sign(self.purpose, self._content(context, view))
        )

    def verify(self, key: PublicKey, context: Context, view: bytes = b"") -> None:
        """Raises ``SignatureError`` unless ``key`` signed this, in this attempt and view."""
        try:
            key.verify(self.purpose, self._content(context, view), self.signature)
        except SignatureError:
            raise SignatureError(
                f"{self.site}: the signature of its {self.purpose} is not over this, or not by "
                "the key in the roster"
            ) from None

    def _content(self, context: Context, view: bytes) -> bytes:
        bare = dataclasses.replace(self, signature=b"").to_bytes()
        return bytes.fromhex(wire.digest(context.digest, view, bare))


@dataclass(frozen=True, slots=True)
class SiteKeys(SiteMessage):
    """Phase 1, site: a fresh X25519 key for masks and one for receiving shares."""

    purpose: ClassVar[str] = "secure sum keys"
    masks: bytes
    shares: bytes

    def __post_init__(self) -> None:
        SiteMessage.__post_init__(self)
        _check(len(self.masks) == len(self.shares) == KEY)


@dataclass(frozen=True, slots=True)
class Cohort(Message):
    """Phase 2, centre: the keys of all sites that are there, by name."""

    keys: tuple[SiteKeys, ...]

    def __post_init__(self) -> None:
        _check(len(self.keys) <= MOST_SITES)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(key.site for key in self.keys)

    def view(self) -> bytes:
        """What is signed along from phase 2 on."""
        return bytes.fromhex(wire.digest("cohort", self.to_bytes()))


@dataclass(frozen=True, slots=True)
class Dealing(SiteMessage):
    """Phase 2, site: its two secrets in encrypted shares, one box a site of the cohort.

    ``checks`` has two digests a site, of the share of the seed and of that of the mask key: the
    centre sees from them whose share is wrong. ``seed_digest`` tells whether the seed is right.
    The box for itself is empty: it keeps its own shares.
    """

    purpose: ClassVar[str] = "secure sum shares"
    seed_digest: bytes
    boxes: tuple[bytes, ...]
    checks: bytes

    def __post_init__(self) -> None:
        SiteMessage.__post_init__(self)
        _check(len(self.seed_digest) == KEY and len(self.boxes) <= MOST_SITES)
        _check(all(len(box) in (0, BOX) for box in self.boxes))
        _check(len(self.checks) == 2 * CHECK * len(self.boxes))

    def check_at(self, place: int, which: int) -> bytes:
        """The digest of the share for the site at ``place``: 0 of the seed, 1 of the mask key."""
        start = (2 * place + which) * CHECK
        return self.checks[start : start + CHECK]


@dataclass(frozen=True, slots=True)
class Boxes(Message):
    """Phase 3, centre to one site: who dealt, and each dealer's box for it (empty: its own)."""

    dealers: tuple[str, ...]
    boxes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        _check(len(self.dealers) == len(self.boxes) <= MOST_SITES)

    def view(self, cohort: bytes) -> bytes:
        """What is signed along from phase 3 on: the cohort and who of it dealt."""
        return view_of(cohort, "dealers", self.dealers)


@dataclass(frozen=True, slots=True)
class Masked(SiteMessage):
    """Phase 3, site: its noised sum under all masks, as words of the grid."""

    purpose: ClassVar[str] = "secure sum vector"
    words: bytes


@dataclass(frozen=True, slots=True)
class Survivors(Message):
    """Phase 4, centre: whose vector arrived and whose did not, of those who dealt."""

    alive: tuple[str, ...]
    dead: tuple[str, ...]

    def view(self, dealers: bytes) -> bytes:
        """What is signed in phase 4 and 5."""
        return view_of(dealers, "alive", self.alive)


@dataclass(frozen=True, slots=True)
class Consent(SiteMessage):
    """Phase 4, site: it was shown these survivors, and will answer for no others."""

    purpose: ClassVar[str] = "secure sum survivors"


@dataclass(frozen=True, slots=True)
class Consents(Message):
    """Phase 5, centre: the signatures of at least a threshold of survivors."""

    consents: tuple[Consent, ...]

    def __post_init__(self) -> None:
        _check(len(self.consents) <= MOST_SITES)


@dataclass(frozen=True, slots=True)
class Shares(SiteMessage):
    """Phase 5, site: a share a dealer: of the seed if it is alive, of the mask key if dead."""

    purpose: ClassVar[str] = "secure sum opening"
    shares: bytes

    def __post_init__(self) -> None:
        SiteMessage.__post_init__(self)
        _check(len(self.shares) % KEY == 0 and len(self.shares) <= KEY * MOST_SITES)

    def share_at(self, place: int) -> bytes:
        """The share for the dealer at ``place``."""
        return self.shares[place * KEY : (place + 1) * KEY]


def check_of(share: bytes, dealer: str, keeper: str, attempt: bytes) -> bytes:
    """The digest of a share that its dealer publishes; shares are too random to be guessed."""
    return bytes.fromhex(wire.digest("share", attempt, dealer, keeper, share))[:CHECK]


def seed_digest(seed: bytes, dealer: str, attempt: bytes) -> bytes:
    """What a site publishes of its seed."""
    return bytes.fromhex(wire.digest("seed", attempt, dealer, seed))


def view_of(before: bytes, what: str, names: tuple[str, ...]) -> bytes:
    """A digest over an earlier view and a list of sites."""
    return bytes.fromhex(wire.digest(what, before, *names))


def _items(content: bytes, at: int) -> tuple[list[bytes], int]:
    count, at = _number(content, at)
    if count > 2 * MOST_SITES:
        raise WireError("a message has too many parts")
    items = []
    for _ in range(count):
        length, at = _number(content, at)
        if length > len(content) - at:
            raise WireError("a message is truncated")
        items.append(content[at : at + length])
        at += length
    return items, at


def _number(content: bytes, at: int) -> tuple[int, int]:
    if at + 4 > len(content):
        raise WireError("a message is truncated")
    return struct.unpack_from("<I", content, at)[0], at + 4


def _raw(value: object) -> bytes:
    if isinstance(value, Message):
        return value.to_bytes()
    return value.encode() if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]


def _value(kind: Any, raw: bytes) -> Any:
    if kind is bytes:
        return raw
    if kind is not str:
        return kind.from_bytes(raw)
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise WireError("a name is not text") from None


def _check(holds: bool) -> None:
    if not holds:
        raise WireError("a message has a part of the wrong length")
