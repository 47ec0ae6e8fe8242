"""The code that ships, asked for releases about canaries: what it lets out, what it was charged.

A site is a whole agent: charter, policy, ledger, sampler, clip, noise, gate. Only its people are
invented, and its ledger waits for no disk.
"""

import secrets
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.agent import mechanisms
from client.agent.charters import Offer
from client.agent.facts import SiteFacts
from client.agent.training import Training
from client.privacy.chain import LedgerEntry
from client.privacy.ledger import Budget, Ledger
from client.privacy.reconcile import Sent
from common import wire
from common.models.tail import BIAS, WEIGHT
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT, GRADIENT, SHIFT, sum_name
from common.privacy.accountant import Event, epsilon
from common.privacy.plan import (
    GradientMechanism,
    Mechanism,
    MomentMechanism,
    NoiseModel,
    PrivacyPlan,
)
from common.secagg.fixed_point import finest
from common.trust.charter import CharterTerms, array_digests, arrays_digest
from common.trust.keys import SigningKey
from simulations.evidence.canaries import OBJECTIVE, Canaries, Entropies, canary_people
from simulations.federation import LaboratoryLedger, LaboratoryPolicy
from simulations.signing import FEDERATION, NEVER, member

CLIP = 1.0
SITES = 3  # whose shares of noise are added in a secure sum
MOST_EPSILON = 50.0  # a policy's; the ledger's budget is what the plan costs
_TRUNK, _RUN = "0" * 64, "audit"

Arrays = dict[str, NDArray[Any]]
Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Audited:
    """R releases about K canaries: ``scores`` (R, K) in clip norms and who was ``inside`` (R, K).

    With what the site's ledger says of them, where an agent made them.
    """

    scores: Scores
    inside: NDArray[np.bool_]
    entries: tuple[LedgerEntry, ...] = ()
    sent: tuple[Sent, ...] = ()
    charged: tuple[Event, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Site:
    """``canaries`` at a site whose noise is ``sigma`` clip norms wide.

    ``entropies`` makes the source that every draw comes from, also the coins who is in.
    """

    canaries: int
    sigma: float
    delta: float
    entropies: Entropies

    def moments(self, releases: int) -> Audited:
        """Private sums over everybody, as many rounds of one plan."""
        made = [
            MomentMechanism(kind="mean", sigma=self.sigma, clip=CLIP, name=f"sum-{number}")
            for number in range(releases)
        ]
        return self._released(self._plan(tuple(made)))

    def gradients(self, rounds: int, rate: float = 1.0, steps: int = 1) -> Audited:
        """Rounds of DP-SGD, each of ``steps`` that sample everybody at ``rate``."""
        made = GradientMechanism(
            sigma=self.sigma,
            clip=CLIP,
            rate=rate,
            rounds=rounds,
            steps_per_round=steps,
            views=8,
            negatives=1,
            objective=OBJECTIVE,
        )
        return self._released(self._plan((made,)))

    def secure_sums(self, releases: int) -> Audited:
        """Sums over sites that each add a share of the noise, without the masks.

        Masks cancel: what the centre has in the end is this sum, and it sees nothing before.
        """
        grid = finest(clip=CLIP, sigma=self.sigma, people=self.canaries, sites=SITES, honest=SITES)
        made = MomentMechanism(kind="mean", sigma=self.sigma, clip=CLIP, name="sum")
        (current,), shared = self._plan((made,), SITES).rounds, self._shared(made)
        people = Canaries(self.canaries, self.entropies())
        nobody = canary_people(np.zeros(self.canaries, np.bool_))
        scores = []
        for _ in range(releases):
            total = np.zeros(self.canaries, np.int64)
            for held in (people.of(_RUN), *[nobody] * (SITES - 1)):
                terms = mechanisms.SumTerms(grid, self.entropies())
                total += mechanisms.steps(current, shared, held, self._public, terms)
            scores.append(grid.decode(total) / CLIP)
        return Audited(scores=np.stack(scores), inside=np.stack(people.inside))

    def counted(self, people: int, rate: float, steps: int) -> NDArray[np.bool_]:
        """Who of ``people`` took part in which of ``steps``, (steps, people): without noise, what
        is released says so."""
        made = GradientMechanism(
            sigma=0.0, clip=CLIP, rate=rate, rounds=steps, negatives=1, objective=OBJECTIVE
        )
        site = replace(self, canaries=people)
        return np.asarray(site._released(site._plan((made,)), share=1.0).scores > 0.5)

    def _released(self, plan: PrivacyPlan, share: float = 0.5) -> Audited:
        people = Canaries(self.canaries, self.entropies(), share)
        with tempfile.TemporaryDirectory() as folder:
            budget = Budget(epsilon(plan.events(), plan.delta), plan.delta)
            key = secrets.token_bytes(32)
            with LaboratoryLedger(Path(folder) / "ledger.db", key, budget) as ledger:
                room = self._agent(plan, people, ledger)
                sent = [
                    (current, room.train(_RUN, current.number, self._shared(current.mechanism)))
                    for current in plan.rounds
                ]
                return Audited(
                    scores=np.stack([self._scores(c.mechanism, left) for c, left in sent]),
                    inside=np.stack(people.inside),
                    entries=ledger.entries(),
                    sent=tuple(Sent(_RUN, c.number, wire.dump(left)) for c, left in sent),
                    charged=ledger.events(),
                )

    def _agent(self, plan: PrivacyPlan, people: Canaries, ledger: Ledger) -> Training:
        """An agent of those people that has accepted ``plan``."""
        centre = SigningKey.generate()
        facts = SiteFacts(
            camera_type="door",
            trunk=_TRUNK,
            people=people,
            negatives=self._public,
            membership=member("audited", centre.public),
        )
        policy = LaboratoryPolicy(epsilon=MOST_EPSILON, delta=self.delta)
        initial: Arrays = {}
        for mechanism in plan.mechanisms:
            initial |= self._shared(mechanism)
        initial.pop(SHIFT, None)
        terms = CharterTerms(
            federation=FEDERATION,
            run=_RUN,
            plan=plan,
            initial=arrays_digest(initial),
            expires=NEVER,
        )
        room = Training(facts, policy, ledger, self.entropies())
        offer = Offer(charter=terms.sign(centre).to_json(), initial=array_digests(initial))
        room.accept(offer)
        return room

    def _scores(self, mechanism: Mechanism, left: Arrays) -> Scores:
        """What was released, along each canary's axis (K,)."""
        if isinstance(mechanism, GradientMechanism):
            size = mechanism.rate * self.canaries  # the public divisor
            return np.asarray(left[GRADIENT + WEIGHT][0], np.float64) * size / CLIP
        return np.asarray(left[sum_name(mechanism.name)], np.float64) / CLIP

    def _plan(self, made: tuple[Mechanism, ...], honest: int = 1) -> PrivacyPlan:
        return PrivacyPlan(
            mechanisms=made,
            people=self.canaries,
            delta=self.delta,
            noise=_noise(made, honest),
            honest_sites=honest,
            cohort=honest,
            trunk=_TRUNK,
        )

    @property
    def _public(self) -> NDArray[np.float32]:
        return np.zeros((1, self.canaries), np.float32)

    def _shared(self, mechanism: Mechanism) -> Arrays:
        """What the centre sends: coordinates along the canaries' axes, or a tail of zeros."""
        size = self.canaries
        if isinstance(mechanism, MomentMechanism):
            frame = np.eye(size, dtype=np.float32)
            return {FRAME_WEIGHT: frame, FRAME_BIAS: np.zeros(size, np.float32)}
        shapes = {WEIGHT: (1, size), BIAS: (1,), SHIFT: (size,)}
        return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def _noise(made: tuple[Mechanism, ...], honest: int) -> NoiseModel:
    if not any(mechanism.sigma for mechanism in made):
        return "none"
    return "local" if honest == 1 else "distributed"
