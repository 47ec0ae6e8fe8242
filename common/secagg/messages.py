"""What sites and the centre say to each other in a secure sum, and who signed it.

A site's words carry its Ed25519 signature over purpose, attempt, its name and *view* (a digest of
all that the site was shown before), so they are good in one place of one attempt only; whose they
are is known from whom was asked, so no name travels with them. What the centre says needs no
signature: it forwards what sites signed, or proposes what sites have to agree on.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from common import wire
from common.errors import SignatureError, WireError
from common.secagg import shamir
from common.secagg.masks import KEY
from common.secagg.packing import Message
from common.secagg.terms import MOST_SITES, Context
from common.trust.keys import PublicKey, SigningKey

SIGNATURE = 64
DIGEST = 16  # bytes of a seed's digest
CHECK = 6  # bytes of a share's digest; to make another share with it takes 2^48 tries in one phase
BOX = 2 * shamir.SIZE  # bytes that a site sends for one other, of those it sends any for

_S = TypeVar("_S", bound="SiteMessage")


@dataclass(frozen=True, slots=True)
class SiteMessage(Message):
    """What a site says: its signature, and what the phase is about."""

    purpose: ClassVar[str]
    signature: bytes = field(default=b"", kw_only=True)

    def __post_init__(self) -> None:
        _check(len(self.signature) in (0, SIGNATURE))

    def signed(self: _S, site: str, key: SigningKey, context: Context, view: bytes = b"") -> _S:
        """The same with the signature of ``site`` by its ``key``."""
        content = self._content(site, context, view)
        return dataclasses.replace(self, signature=key.sign(self.purpose, content))

    def verify(self, site: str, key: PublicKey, context: Context, view: bytes = b"") -> None:
        """Raises ``SignatureError`` unless ``site`` signed this, in this attempt and view."""
        try:
            key.verify(self.purpose, self._content(site, context, view), self.signature)
        except SignatureError:
            raise SignatureError(
                f"{site}: the signature of its {self.purpose} is not over this, or not by "
                "the key in the roster"
            ) from None

    def _content(self, site: str, context: Context, view: bytes) -> bytes:
        bare = dataclasses.replace(self, signature=b"").to_bytes()
        return bytes.fromhex(wire.digest(context.digest, site, view, bare))


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
    """Phase 2, centre: the sites that are there, by name, and the keys of each."""

    names: tuple[str, ...]
    keys: tuple[SiteKeys, ...]

    def __post_init__(self) -> None:
        _check(len(self.names) == len(self.keys) <= MOST_SITES)

    def view(self) -> bytes:
        """What is signed along from phase 2 on, and what shares are bound to."""
        return bytes.fromhex(wire.digest("cohort", self.to_bytes()))


@dataclass(frozen=True, slots=True)
class Dealing(SiteMessage):
    """Phase 2, site: its two secrets in shares, as far as they have to be sent.

    ``boxes`` has, for each site that :func:`boxed` names, what is to be added to the two pads of
    the pair; the pads of all others are their shares as they are. ``checks`` has two digests a
    site of the cohort, of the share of the seed and of that of the mask secret: from them a site
    sees that its shares are those dealt, and the centre whose share is wrong. ``seed_digest``
    tells whether the seed is right.
    """

    purpose: ClassVar[str] = "secure sum shares"
    seed_digest: bytes
    boxes: bytes
    checks: bytes

    def __post_init__(self) -> None:
        SiteMessage.__post_init__(self)
        _check(len(self.seed_digest) == DIGEST and len(self.checks) <= 2 * CHECK * MOST_SITES)
        _check(len(self.boxes) % BOX == len(self.checks) % (2 * CHECK) == 0)

    def box_at(self, place: int) -> bytes:
        """The box of the ``place``-th site that gets one."""
        return self.boxes[place * BOX : (place + 1) * BOX]

    def checks_at(self, place: int) -> bytes:
        """Both digests of the shares for the site at ``place`` in the cohort."""
        return self.checks[2 * place * CHECK : 2 * (place + 1) * CHECK]


@dataclass(frozen=True, slots=True)
class Boxes(Message):
    """Phase 3, centre to one site: who dealt, and of each its box (or nothing) and its checks."""

    dealers: tuple[str, ...]
    boxes: tuple[bytes, ...]
    checks: tuple[bytes, ...]

    def __post_init__(self) -> None:
        _check(len(self.dealers) == len(self.boxes) == len(self.checks) <= MOST_SITES)

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
    """Phase 5, centre: the signatures of at least a threshold of survivors, by name."""

    names: tuple[str, ...]
    consents: tuple[Consent, ...]

    def __post_init__(self) -> None:
        _check(len(self.names) == len(self.consents) <= MOST_SITES)


@dataclass(frozen=True, slots=True)
class Shares(SiteMessage):
    """Phase 5, site: a share a dealer: of the seed if it is alive, of the mask secret if dead."""

    purpose: ClassVar[str] = "secure sum opening"
    shares: bytes

    def __post_init__(self) -> None:
        SiteMessage.__post_init__(self)
        _check(len(self.shares) % shamir.SIZE == 0)
        _check(len(self.shares) <= shamir.SIZE * MOST_SITES)

    def share_at(self, place: int) -> bytes:
        """The share for the dealer at ``place``."""
        return self.shares[place * shamir.SIZE : (place + 1) * shamir.SIZE]


def boxed(cohort: tuple[str, ...], dealer: str, threshold: int) -> tuple[str, ...]:
    """The sites of ``cohort`` that ``dealer`` sends a box for: the others but the first T - 1.

    With its secret, the pads of ``threshold`` - 1 sites fix the polynomial, so these sites have
    their shares already. Which they are follows from the cohort; any choice is as good.
    """
    return tuple(name for name in cohort if name != dealer)[threshold - 1 :]


def check_of(share: bytes, dealer: str, keeper: str, attempt: bytes) -> bytes:
    """The digest of a share that its dealer publishes; shares are too random to be guessed."""
    return bytes.fromhex(wire.digest("share", attempt, dealer, keeper, share))[:CHECK]


def seed_digest(seed: bytes, dealer: str, attempt: bytes) -> bytes:
    """What a site publishes of its seed."""
    return bytes.fromhex(wire.digest("seed", attempt, dealer, seed))[:DIGEST]


def view_of(before: bytes, what: str, names: tuple[str, ...]) -> bytes:
    """A digest over an earlier view and a list of sites."""
    return bytes.fromhex(wire.digest(what, before, *names))


def _check(holds: bool) -> None:
    if not holds:
        raise WireError("a message has a part of the wrong length")
