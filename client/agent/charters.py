"""What the centre signed, checked against this site before a single person is charged for it.

A charter is accepted whole, before round 1, and a run is bound to it for ever: no later message
can change what is released, at which noise, or in which coordinates.
"""

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from client.agent.facts import SiteFacts
from client.agent.mechanisms import check_initial
from client.policy import SitePolicy
from client.privacy.account import Accepted
from client.privacy.chain import Head
from client.privacy.ledger import Ledger
from common.errors import (
    AggregationError,
    CharterError,
    PendingError,
    PlanError,
    RollbackError,
    WireError,
)
from common.models.tail import BIAS, WEIGHT
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.privacy import accountant
from common.privacy.heads import CENTRE, SCALE
from common.privacy.plan import EvaluationMechanism, GradientMechanism, PrivacyPlan, Round
from common.secagg.terms import terms_of
from common.trust.charter import (
    CharterTerms,
    array_digests,
    charter_digest,
    digest_of,
    read_charter,
)
from common.trust.heads import SignedHead, read_head
from common.trust.keys import PublicKey
from common.trust.presence import LEAST, MOST, Presence
from common.trust.signed import Signed


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A charter as it arrives: its signed text, the digest of each initial array, and the last
    head of this site's ledger and the roster that the centre keeps (or nothing)."""

    charter: str
    initial: Mapping[str, str] = field(default_factory=dict)
    head: str = ""
    roster: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """What a charter costs by itself, and whether it would be accepted without the operator."""

    charter: str  # digest
    epsilon: float
    automatic: bool


class Charters:
    """Reads and accepts charters for one site.

    Guarantee: nothing is accepted that the centre's key did not sign for this federation, that
    has expired, that the policy refuses, or that is beyond the policy's automatic limits and not
    approved by the operator. A run keeps the first charter it was accepted with, restarts
    included. A ledger that never went through a head this site signed is used no more.
    Leaks: a centre that keeps heads back, or loses them, hides a rollback: then only the head
    file beside the ledger stands against it. A centre may sign two charters for two groups of
    sites; each site holds it to the one it was shown.
    """

    def __init__(self, facts: SiteFacts, policy: SitePolicy, ledger: Ledger) -> None:
        self._facts, self._me = facts, facts.membership
        self._policy, self._ledger = policy, ledger
        self.rolled_back = False

    def presence(self, challenge: bytes) -> bytes:
        """This site's signature over the challenge and what it declares; empty without one.

        Raises ``WireError`` for a challenge that is too short or too long.
        """
        if not challenge:
            return b""
        if not LEAST <= len(challenge) <= MOST:
            raise WireError("the challenge has the wrong length")
        declared = Presence(
            federation=self._me.federation,
            site=self._me.site,
            camera_type=self._facts.camera_type,
            trunk=self._facts.trunk,
            people=self._policy.declared_people,
        )
        return declared.sign(self._me.identity, challenge)

    def review(self, offer: Offer, now: float) -> Review:
        """Everything ``accept`` checks but the ledger; changes nothing."""
        signed = Signed.from_json(offer.charter)
        terms = self._read(signed, offer, now)
        plan = terms.plan
        return Review(
            charter=charter_digest(signed),
            epsilon=accountant.epsilon(plan.events(), plan.delta),
            automatic=self._policy.automatic(plan),
        )

    def accept(self, offer: Offer, now: float) -> tuple[str, str, Accepted]:
        """Promises the charter's plan in the ledger: run, charter digest, and what was accepted.

        ``now`` in seconds since 1970. Raises ``SignatureError``, ``CharterError``, ``PlanError``,
        ``TrunkError``, ``PendingError``, ``RollbackError``, ``ReplayError``, ``BudgetError``.
        """
        signed = Signed.from_json(offer.charter)
        digest = charter_digest(signed)
        terms = self._read(signed, offer, now)
        if offer.roster and self._facts.rosters is not None:
            self._facts.rosters.offer(offer.roster)
        self.confirm(offer.head)
        if self._policy.yearly_refresh:
            self._ledger.begin_year(datetime.datetime.fromtimestamp(now, datetime.UTC).year)
        self._decide(digest, signed, offer, terms)
        members = terms.members_with(self._me.site) if terms.members else ()
        accepted = Accepted(terms.plan, digest, dict(offer.initial), members)
        self._ledger.accept(terms.run, accepted)
        return terms.run, digest, accepted

    def head(self) -> str:
        """The ledger's head now, signed by this site, as it travels."""
        head = self._ledger.head()
        mine = SignedHead(
            federation=self._me.federation,
            site=self._me.site,
            sequence=head.sequence,
            mac=head.mac.hex(),
        )
        return mine.sign(self._me.identity).to_json()

    def confirm(self, kept: str) -> None:
        """Holds the ledger to ``kept``, the head that the centre keeps of it; nothing if empty.

        Raises ``RollbackError`` for a ledger that never went through it, from then on always;
        ``SignatureError`` or ``CharterError`` for a head that is not this site's.
        """
        if not kept:
            return
        head = read_head(Signed.from_json(kept), self._me.identity.public)
        if (head.federation, head.site) != (self._me.federation, self._me.site):
            raise CharterError("the head is of another site")
        try:
            self._ledger.confirm(Head(head.sequence, bytes.fromhex(head.mac)))
        except RollbackError:
            self.rolled_back = True
            raise

    def check_ledger(self) -> None:
        """Raises ``RollbackError`` once a newer head than the ledger's has been seen."""
        if self.rolled_back:
            raise RollbackError("an older copy of the ledger was restored: nothing may be released")

    def _read(self, signed: Signed, offer: Offer, now: float) -> CharterTerms:
        self.check_ledger()
        terms = _terms(signed, self._me.centre, self._me.federation)
        if terms.expires <= now and not self._ledger.holds(charter_digest(signed)):
            raise CharterError("the charter has expired: ask the centre for a new one")
        if digest_of(offer.initial) != terms.initial:
            raise CharterError("the digests of the initial arrays are not those of the charter")
        self._policy.check(terms.plan, self._facts.trunk)
        features = self._facts.negatives.shape[1]
        check_initial(terms.plan, offer.initial, features, self._facts.encoder)
        if not self._policy.allows_plain(terms.plan):
            self._check_sums(terms)
        known, named = self._facts.public, terms.plan.public
        kinds = (GradientMechanism, EvaluationMechanism)  # that look at public people
        contrasts = any(isinstance(m, kinds) for m in terms.plan.mechanisms)
        if contrasts and known and named not in ("", known):  # moments need no public people here
            raise PlanError("the charter names other public people than this site has")
        return terms

    def _check_sums(self, terms: CharterTerms) -> None:
        """Raises unless every release of the plan can go through a secure sum at this site."""
        if self._facts.aggregation is None:
            raise AggregationError("this agent takes no part in secure sums")
        if not terms.members:
            raise AggregationError("a charter with distributed noise names its members")
        members = terms.members_with(self._me.site)
        for mechanism in terms.plan.mechanisms:
            self._facts.aggregation.check_terms(terms_of(terms.plan, mechanism, members, 1))

    def _decide(self, digest: str, signed: Signed, offer: Offer, terms: CharterTerms) -> None:
        """Asks the operator where the policy does; never about what is refused anyway."""
        if self._policy.automatic(terms.plan):
            return
        if self._ledger.check(terms.run, terms.plan, digest):
            return
        approvals = self._facts.approvals
        if approvals is None:
            raise CharterError("the charter is beyond what this site accepts by itself")
        if not approvals.approved(digest):
            approvals.wait(digest, signed, offer.initial)
            raise PendingError("the operator has to accept the charter: mascaron-site charter list")


def check_start(
    accepted: Accepted, current: Round, shared: Mapping[str, NDArray[np.generic]]
) -> None:
    """Raises ``CharterError`` if ``shared`` moves what the charter fixed.

    Guarantee: moments are released in the coordinates that the charter named; every array that is
    trained is the charter's until a round has trained it, and how heads see a feature is the
    charter's in every round: none of it can be chosen after the acceptance.
    Leaks: later tails and heads depend on other sites' releases, which a site cannot see: a
    dishonest centre chooses them, and learns no more than the plan's noise and clip allow for any.
    So it does the tail that is evaluated, and the thresholds.
    """
    mechanism = current.mechanism
    if isinstance(mechanism, EvaluationMechanism):
        return
    fixed: tuple[str, ...] = (FRAME_WEIGHT, FRAME_BIAS)
    if isinstance(mechanism, GradientMechanism):
        begun = _trained_before(accepted.plan, current)
        named = dict.fromkeys((WEIGHT, BIAS, *mechanism.trained))
        fixed = tuple(name for name in named if name not in begun)
        fixed += (CENTRE, SCALE) if mechanism.heads else ()
    for name in fixed:
        if array_digests({name: shared[name]})[name] != accepted.arrays.get(name):
            raise CharterError(f"{name} is not the one of the charter")


@lru_cache(maxsize=4)
def _terms(signed: Signed, centre: PublicKey, federation: str) -> CharterTerms:
    """Verified and parsed once, however often it is offered; expired or not."""
    return read_charter(signed, centre, federation, -math.inf)


def _trained_before(plan: PrivacyPlan, current: Round) -> set[str]:
    """What some earlier round of ``plan`` has moved."""
    begun: set[str] = set()
    for mechanism in plan.mechanisms:
        mine = mechanism == current.mechanism
        if isinstance(mechanism, GradientMechanism) and not (mine and current.steps.start == 0):
            begun |= set(mechanism.trained)
        if mine:
            break
    return begun
