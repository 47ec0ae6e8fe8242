"""Accepting a charter and performing its rounds: policy, ledger, noise, gate, in that order.

The order is the guarantee. A round is replayed if its bytes exist; otherwise it is charged on disk
before anybody is sampled, its noise is drawn, the gate looks at what would leave, the bytes are
stored, and only then do they leave.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from client.agent import mechanisms
from client.agent.charters import Charters, Offer, Review, check_start
from client.agent.facts import SiteFacts
from client.agent.sums import Asked, Sums
from client.policy import SitePolicy
from client.privacy.account import Accepted
from client.privacy.entropy import Entropy
from client.privacy.gate import Gate
from client.privacy.ledger import Ledger
from common import wire
from common.errors import AggregationError, MascaronError, NotReadyError, PlanError
from common.privacy.plan import EvaluationMechanism, PrivacyPlan
from common.secagg.phases import VECTOR

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds since some moment, how to let them pass, and the date as seconds since 1970."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    date: Callable[[], float] = time.time


SYSTEM_CLOCK = Clock()


class Training:
    """The agent's training room for one site.

    Guarantee: everything ``train`` and ``evaluate`` return was charged in the ledger first and
    passed the gate; the same (run, round, contents) returns the same bytes; other contents are
    refused. It is made of people alone who agreed before the run was accepted, and still do. Under
    a plan with a release slot, answers and refusals leave at whole slots, however long it took.
    Under distributed noise both refuse: such a round leaves through ``aggregate``.
    Leaks: what the plan's mechanisms release, priced by the ledger; refusals depend on plan,
    policy, ledger and a vault that does not open, never on a face or on how many there are.
    """

    def __init__(
        self,
        facts: SiteFacts,
        policy: SitePolicy,
        ledger: Ledger,
        entropy: Entropy,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        policy.check_means(ledger.budget, entropy.kind, ledger.durable)
        self._facts, self._policy, self._ledger, self._entropy = facts, policy, ledger, entropy
        self._clock = clock
        self._charters = Charters(facts, policy, ledger)
        self._sums = Sums(facts, policy, ledger, entropy)
        self._accepted: dict[str, Accepted] = {}
        self._turn = threading.Lock()  # a repeat waits for the bytes instead of being charged

    @property
    def camera_type(self) -> str:
        return self._facts.camera_type

    @property
    def trunk(self) -> str:
        return self._facts.trunk

    @property
    def declared_people(self) -> int:
        return self._policy.declared_people

    @property
    def site(self) -> str:
        return self._facts.membership.site

    @property
    def usable(self) -> bool:
        """Whether the ledger still takes rows: False after an error of its own or a rollback."""
        try:
            self._charters.check_ledger()
            self._ledger.head()
        except MascaronError:
            return False
        return True

    def presence(self, challenge: bytes) -> bytes:
        """The signature over ``challenge`` and the public facts above; empty for no challenge."""
        return self._charters.presence(challenge)

    def review(self, offer: Offer) -> Review:
        """What the charter costs and whether it needs the operator; changes nothing."""
        return self._charters.review(offer, self._clock.date())

    def accept(self, offer: Offer) -> str:
        """Prices the charter's whole plan for its run and returns the charter's digest."""
        run, digest, accepted = self._charters.accept(offer, self._clock.date())
        self._facts.people.begin(run)
        self._accepted[run] = accepted
        log.info("charter accepted: %d mechanisms", len(accepted.plan.mechanisms))
        return digest

    def head(self) -> str:
        """The signed head of the ledger as it is now; leaves with an answer, never by itself."""
        return self._charters.head()

    def confirm(self, kept: str) -> None:
        """Refuses everything from here on if the ledger is older than the head ``kept``."""
        self._charters.confirm(kept)

    def progress(self, run: str, number: int) -> float:
        """The share of a run's rounds that lie before round ``number``.

        Leaks: nothing the centre does not know. Steps within a round are not told: how long one
        takes depends on how many people were sampled for it.
        """
        accepted = self._accepted.get(run)
        return (number - 1) / len(accepted.plan.rounds) if accepted else 0.0

    def train(self, run: str, number: int, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
        """Round ``number`` of the plan of ``run``, given the shared arrays before it.

        ``PlanError`` for a round that is an evaluation, which ``evaluate`` performs.
        """
        return self._perform(run, number, arrays, evaluation=False)

    def evaluate(self, run: str, number: int, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
        """The same for a round that is an evaluation, of the tail and at the thresholds given."""
        return self._perform(run, number, arrays, evaluation=True)

    def _perform(
        self, run: str, number: int, arrays: Mapping[str, NDArray[Any]], *, evaluation: bool
    ) -> Arrays:
        asked = self._clock.now()
        try:
            with self._turn:
                self._charters.check_ledger()
                accepted = self._bound(run)
                if not 1 <= number <= len(accepted.plan.rounds):
                    raise PlanError(f"the plan has no round {number}")
                mechanism = accepted.plan.rounds[number - 1].mechanism
                if isinstance(mechanism, EvaluationMechanism) != evaluation:
                    raise PlanError(f"round {number} of the plan is of another kind")
                return self._train(run, number, arrays)
        finally:
            self._hold(run, asked)

    def aggregate(self, asked: Asked) -> bytes:
        """What this site says in one phase of a secure sum; see ``client.agent.sums``.

        Only the phase in which faces are looked at is held back to the plan's slot.
        """
        begun = self._clock.now()
        try:
            with self._turn:
                self._charters.check_ledger()
                return self._sums.answer(self._bound(asked.run), asked)
        finally:
            if asked.phase == VECTOR:
                self._hold(asked.run, begun)

    def _hold(self, run: str, asked: float) -> None:
        """Waits for the plan's next slot: an error may take as long as the work, and tell of it."""
        slot = self._accepted[run].plan.release_slot if run in self._accepted else 0.0
        if slot > 0:
            self._clock.sleep(slot - (self._clock.now() - asked) % slot)

    def _train(self, run: str, number: int, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
        """Round ``number``, which the plan has, of whatever kind it is."""
        accepted = self._bound(run)
        plan = accepted.plan
        if not self._policy.allows_plain(plan):
            raise AggregationError("a share of the noise leaves this site in a secure sum only")
        current = plan.rounds[number - 1]
        digest = wire.digest(run, str(number), wire.dump(arrays))
        stored = self._ledger.replay(run, number, digest)
        if stored is not None:
            return wire.load(stored)
        shared = mechanisms.check_request(current, arrays, self._feature_dim())
        check_start(accepted, current, shared)
        entries = mechanisms.entries(current, shared, plan.people)
        for entry in entries:
            self._policy.check_tensor(entry.name)
        gate = Gate(entries)
        people, negatives = self._facts.people.of(run), self._facts.negatives
        self._ledger.reserve(run, number, digest, current.event)
        released = mechanisms.release(current, shared, people, negatives, self._terms(plan, number))
        payload = wire.dump(gate.check(released))
        self._ledger.release(run, number, digest, payload)
        log.info("round %d released %d bytes", number, len(payload))
        return wire.load(payload)

    def _bound(self, run: str) -> Accepted:
        """What ``run`` is bound to; after a restart from the ledger, under the policy of today."""
        if run not in self._accepted:
            accepted = self._ledger.accepted(run)
            if accepted is None:
                raise NotReadyError("no charter was accepted for this run")
            self._policy.check(accepted.plan, self._facts.trunk)
            mechanisms.check_words(accepted.plan, self._facts.encoder)
            self._accepted[run] = accepted
        return self._accepted[run]

    def _feature_dim(self) -> int:
        return int(self._facts.negatives.shape[1])

    def _terms(self, plan: PrivacyPlan, number: int) -> mechanisms.Terms:
        mechanism = plan.rounds[number - 1].mechanism
        sigma = plan.site_sigma(mechanism)
        return mechanisms.Terms(sigma, self._entropy, plan.people, self._facts.encoder)
