"""What an agent works with, opened from its site's folder: keys, people, ledger, policy.

Who is trained on: where `site.toml` names a folder of faces everybody in it, so the operator may
put only those there who are willing; otherwise who agreed to it, as the vault knows. What
`labels.csv` says of a folder's pictures heads may learn, if `heads` of `policy.toml` switches their
kind on: the operator leaves empty what somebody did not agree to. Of the vault's people they learn
what was said by a consent to labels, of the same kinds; and sentences of it by one to text besides.
Sentences are made of labels of those kinds alone; a folder's descriptions speak for themselves.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from client.agent.aggregation import Member, SecureAggregation
from client.agent.attempts import Attempts
from client.agent.desk import Desk, Price
from client.agent.faces import KnownFaces
from client.agent.facts import Membership, Participants, SiteFacts
from client.agent.labels import labels_of
from client.agent.participants import RunsPlace, VaultPeople
from client.agent.people import SitePeople
from client.agent.rosters import Rosters
from client.agent.sealed import SealedFeatures
from client.agent.sentences import Speech
from client.centre.admission import known_roster
from client.home import SiteHome
from client.policy import SitePolicy
from client.privacy.ledger import LEAST_KEY, Budget, Ledger
from client.site_config import SiteConfig
from client.vault.store import Vault
from common.config import load
from common.errors import ConfigError
from common.privacy import accountant
from common.privacy.heads import WORDS
from common.privacy.plan import PrivacyPlan
from common.secagg.terms import LIFE
from common.trust import storing
from common.trust.certificates import fingerprint, read_certificate
from common.trust.keys import PublicKey, SigningKey
from common.trust.signed import Signed

if TYPE_CHECKING:
    from common.models.trunk import Trunk

WAITING = "waiting"  # folder of charters, in the agent's
ATTEMPTS, ROSTER = "attempts.db", "roster.json"  # of secure sums, in the agent's
ADMISSION = "`mascaron-site join` or `mascaron-site admission`"  # what brings trust/


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OpenSite:
    """A site ready to serve. The ledger is open, and this process alone has it."""

    facts: SiteFacts
    policy: SitePolicy
    ledger: Ledger

    def tidy(self, life: float = LIFE) -> None:
        """Forgets secrets of secure sums in which nothing was said for ``life`` seconds."""
        if self.facts.aggregation is not None:
            self.facts.aggregation.expire(life)


def open_policy(home: SiteHome, config: SiteConfig) -> SitePolicy:
    """`policy.toml`; ``ConfigError`` if it is wrong, or declares other people than `site.toml`."""
    policy = load(SitePolicy, home.policy)
    if policy.declared_people != config.people:
        raise ConfigError(
            f"{home.policy} declared_people = {policy.declared_people} and {home.settings} people "
            f"= {config.people} must be the same: the centre knows the site by one number"
        )
    return policy


def open_membership(home: SiteHome, config: SiteConfig) -> Membership:
    """How the federation knows this site; ``ConfigError`` before it was admitted."""
    ca, centre = storing.read(home.ca), storing.read(home.centre_key)
    if ca is None or centre is None:
        raise ConfigError(f"{home.trust} lacks ca.crt or centre.pub: {ADMISSION} first")
    return Membership(
        federation=fingerprint(read_certificate(ca)),
        site=config.name,
        identity=SigningKey.load(home.identity_key),
        centre=PublicKey.of(centre.decode("ascii", "replace").strip()),
    )


def open_ledger(home: SiteHome, policy: SitePolicy) -> Ledger:
    """The ledger under the policy's budget; ``LedgerError`` while another agent has it."""
    return Ledger(home.ledger, ledger_key(home), Budget(policy.epsilon, policy.delta))


def ledger_key(home: SiteHome) -> bytes:
    """The ledger's key; ``ConfigError`` without one that is long enough."""
    key = storing.read(home.ledger_key)
    if key is None or len(key) < LEAST_KEY:
        raise ConfigError(f"no key at {home.ledger_key}: `mascaron-site init` makes one")
    return key


def open_desk(home: SiteHome, policy: SitePolicy | None = None) -> Desk:
    """Where charters wait for the operator; with ``policy``, priced at its delta."""
    waiting = home.agent / WAITING
    waiting.mkdir(mode=0o700, exist_ok=True)
    if policy is None:
        return Desk(waiting, home.accepted)
    return Desk(waiting, home.accepted, lambda signed: _price(signed, policy.delta))


def _price(signed: Signed, delta: float) -> Price:
    """Of a charter that was verified before it is put on the desk."""
    plan = PrivacyPlan.from_json(json.dumps(json.loads(signed.content)["plan"]))
    return Price(accountant.epsilon(plan.events(), delta), delta)


def open_rosters(home: SiteHome, membership: Membership) -> Rosters:
    """The rosters that admission pinned and that the centre offered."""
    path, centre = home.agent / ROSTER, membership.centre
    return Rosters(path, centre, membership.federation, lambda: known_roster(home))


def open_aggregation(
    home: SiteHome, policy: SitePolicy, membership: Membership, rosters: Rosters
) -> SecureAggregation:
    """This site's part in secure sums, under the roster as it is at each phase."""
    member = Member(
        name=membership.site,
        key=membership.identity,
        roster=rosters.now,
        least_sites=policy.least_sites,
    )
    return SecureAggregation(member, Attempts(home.agent / ATTEMPTS))


def is_admitted(home: SiteHome) -> bool:
    """Whether trust/ holds what only an admission brings."""
    return home.ca.exists() and home.centre_key.exists()


def open_site(
    home: SiteHome,
    say: Callable[[str], None] = lambda line: None,
    vault: Vault | None = None,
    clock: Callable[[], float] = time.time,
) -> OpenSite:
    """Everything above, and the features of the site's people and of the public ones.

    ``vault`` is where people are looked up when `site.toml` names no faces; it stays open as long
    as the site serves. ``say`` is told how many pictures were left out; only the operator may read
    it. Slow where features are not in the sealed cache yet. Raises ``ConfigError``,
    ``TrunkError``, ``DataSetError`` or ``LedgerError``; none names a person.
    """
    from common.models.trunk import load_trunk

    config = home.config()
    policy, membership = open_policy(home, config), open_membership(home, config)
    desk, cache = open_desk(home, policy), SealedFeatures(home.features)
    rosters = open_rosters(home, membership)
    trunk, _ = load_trunk(config.trunk)
    known = KnownFaces(cache, trunk, config.aligned, say)
    public, pictures = known.features("public", config.public)
    place = None if vault is None else _runs(home, vault, trunk, policy, clock)
    speech = open_speech(config, policy)
    facts = SiteFacts(
        camera_type=config.camera_type,
        trunk=trunk.hash,
        people=_people(config, known, place, speech, policy.allows_label),
        negatives=public,
        membership=membership,
        approvals=desk,
        aggregation=open_aggregation(home, policy, membership, rosters),
        rosters=rosters,
        public=pictures.digest,
        encoder=None if speech is None else speech.encoder,
    )
    known.forget_others()
    return OpenSite(facts=facts, policy=policy, ledger=open_ledger(home, policy))


def _runs(
    home: SiteHome, vault: Vault, trunk: "Trunk", policy: SitePolicy, clock: Callable[[], float]
) -> RunsPlace:
    return RunsPlace(
        folder=home.runs,
        vault=vault,
        trunk=trunk.hash,
        dim=trunk.feature_dim,
        clock=clock,
        allows=policy.allows_label,
    )


def open_speech(config: SiteConfig, policy: SitePolicy) -> Speech | None:
    """How the site makes sentences of labels; None where its policy lets no head learn words."""
    if not policy.allows_head(WORDS):
        return None
    from common.text.encoding import BUILT_IN, open_encoder

    encoder = open_encoder(BUILT_IN if config.encoder is None else str(config.encoder))
    return Speech(encoder=encoder, denied=policy.denied_attributes)


def _people(
    config: SiteConfig,
    known: KnownFaces,
    place: RunsPlace | None,
    speech: Speech | None,
    allows: Callable[[str], bool],
) -> Participants:
    if config.faces is not None:
        features, faces = known.features("faces", config.faces)
        return SitePeople(features, faces.person, labels_of(faces, speech, allows))
    if place is None:
        raise ConfigError("site.toml names no faces to train on, and no vault is open")
    return VaultPeople(replace(place, speech=speech))
