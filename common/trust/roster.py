"""The roster: which sites are in the federation and by which keys, signed by the centre."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Literal

from common.config import build
from common.errors import ConfigError, SignatureError
from common.trust.keys import PublicKey, SigningKey
from common.trust.signed import Signed, seal, unseal

PURPOSE = "roster"
MOST_PEOPLE = 1_000_000  # a site may declare
WHY_REVOKED = ("left", "key-compromised", "rules-broken", "superseded")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteEntry:
    """One site: all of it is what an operator declared or made, nothing is about a person."""

    name: str
    identity: str  # the agent's public key, ``PublicKey.text``
    node: str  # public key of its SuperNode as Flower registers it
    camera_type: str
    people: int  # declared
    certificate: str = ""  # SHA-256 of the certificate in force
    state: Literal["admitted", "revoked"] = "admitted"
    reason: str = ""  # of a revocation: one of ``WHY_REVOKED``, no words about anybody

    def __post_init__(self) -> None:
        check_name(self.name)
        try:
            PublicKey.of(self.identity)
        except SignatureError as error:
            raise ConfigError(f"identity: {error}") from None
        if not 1 <= len(self.camera_type) <= 64 or not self.camera_type.isprintable():
            raise ConfigError("camera_type must be 1-64 printable characters")
        if not 1 <= self.people <= MOST_PEOPLE:
            raise ConfigError(f"people must be in [1, {MOST_PEOPLE}], got {self.people}")
        if self.reason not in (WHY_REVOKED if self.state == "revoked" else ("",)):
            raise ConfigError(f"a revoked site, and no other, has a reason of {WHY_REVOKED}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Roster:
    """All sites of a federation. ``number`` grows with every change and never goes back.

    Guarantee: read through ``read_roster`` it is one the centre signed for this federation and
    not older than the one known before.
    Leaks: names, camera types and declared people of sites to every site: public facts.
    """

    federation: str  # SHA-256 of the CA certificate, hexadecimal
    number: int = 0
    sites: tuple[SiteEntry, ...] = ()

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ConfigError("a roster's number is not negative")
        for what in ("name", "identity", "node"):
            values = [getattr(site, what) for site in self.sites]
            if len(set(values)) != len(values):
                raise ConfigError(f"two sites have the same {what}")

    @property
    def admitted(self) -> tuple[SiteEntry, ...]:
        return tuple(site for site in self.sites if site.state == "admitted")

    def site(self, name: str) -> SiteEntry | None:
        """The entry called ``name``, admitted or not."""
        return next((site for site in self.sites if site.name == name), None)

    def holder(self, identity: PublicKey) -> SiteEntry | None:
        """The entry of the site whose key is ``identity``, admitted or not."""
        return next((site for site in self.sites if site.identity == identity.text), None)

    def with_site(self, entry: SiteEntry) -> "Roster":
        """The next roster: ``entry`` added, or put in the place of the one of its name."""
        others = tuple(site for site in self.sites if site.name != entry.name)
        sites = tuple(sorted((*others, entry), key=lambda site: site.name))
        return dataclasses.replace(self, number=self.number + 1, sites=sites)

    def sign(self, key: SigningKey) -> Signed:
        return seal(key, PURPOSE, dataclasses.asdict(self))


def read_roster(signed: Signed, centre: PublicKey, known: Roster | None = None) -> Roster:
    """The roster in ``signed``. Raises ``SignatureError`` if it is not the centre's, for another
    federation than ``known``, older than it, or another one of the same number."""
    try:
        roster = build(Roster, unseal(centre, PURPOSE, signed), "roster")
    except ConfigError as error:
        raise SignatureError(f"not a roster: {error}") from None
    if known is not None:
        if roster.federation != known.federation:
            raise SignatureError("the roster is of another federation")
        if roster.number < known.number:
            raise SignatureError("the roster is older than the one this site knows")
        if roster.number == known.number and roster != known:
            raise SignatureError("two rosters of one number: the centre shows others another one")
    return roster


def check_name(name: str) -> None:
    """Raises ``ConfigError`` unless ``name`` can name a site, a file and a certificate."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"a site's name is 1-63 of a-z, 0-9 and '-', and begins with neither '-' nor a "
            f"capital: not {name!r}"
        )
