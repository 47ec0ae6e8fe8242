"""One small site: people with features, a ledger on disk, and what a courier may ask of it."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from client.agent.charters import Offer
from client.agent.facts import Approvals, Membership, Participants, SiteFacts
from client.agent.labels import SiteLabels
from client.agent.people import SitePeople
from client.agent.training import Training
from client.policy import AutoAccept, SitePolicy
from client.privacy.entropy import OsEntropy
from client.privacy.ledger import Budget, Ledger
from common.heads.planned import planned_shapes
from common.models.tail import BIAS, WEIGHT
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT, SHIFT, THRESHOLD
from common.privacy.heads import CENTRE as CENTRED
from common.privacy.heads import SCALE, HeadTerms
from common.privacy.plan import (
    EvaluationMechanism,
    GradientMechanism,
    MomentMechanism,
    PrivacyPlan,
)
from common.trust.charter import CharterTerms, array_digests, arrays_digest, charter_digest
from common.trust.keys import SigningKey
from common.trust.signed import Signed
from tests.fakes import TRUNK

D, K = 6, 4
FEDERATION, CENTRE = "f" * 64, SigningKey.generate()
POLICY = SitePolicy(epsilon=8.0, delta=1e-4, auto_accept=AutoAccept(epsilon=50.0, rounds=10_000))
KEY = bytes(32)
RUN = "r1"
SUM = "moments.mean.sum"  # what a site releases of a mean
Arrays = dict[str, Any]


@dataclass
class Site:
    """An agent in the making: change what you like, then ask for ``training``."""

    folder: Path
    features: np.ndarray = field(default_factory=lambda: features(5, 3))
    person: np.ndarray = field(default_factory=lambda: np.repeat(np.arange(5), 3))
    policy: SitePolicy = field(default_factory=lambda: POLICY)
    entropy: Any = field(default_factory=OsEntropy)
    identity: SigningKey = field(default_factory=SigningKey.generate)
    approvals: Approvals | None = None
    people: Participants | None = None  # in place of ``features``
    labels: SiteLabels | None = None  # of ``features``
    encoder: Any = None  # of sentences
    _ledger: Ledger | None = None

    @property
    def ledger(self) -> Ledger:
        if self._ledger is None:
            budget = Budget(self.policy.epsilon, self.policy.delta)
            self._ledger = Ledger(self.folder / "ledger.db", KEY, budget)
        return self._ledger

    def training(self, kind: Callable[..., Training] = Training) -> Training:
        facts = SiteFacts(
            camera_type="door",
            trunk=TRUNK,
            people=self.people or SitePeople(self.features, self.person, self.labels),
            negatives=np.random.default_rng(9).normal(size=(8, D)).astype(np.float32),
            membership=Membership(
                federation=FEDERATION, site="north", identity=self.identity, centre=CENTRE.public
            ),
            approvals=self.approvals,
            encoder=self.encoder,
        )
        return kind(facts, self.policy, self.ledger, self.entropy)

    def restart(self) -> None:
        """What a crash does: the ledger is opened again from the disk."""
        if self._ledger is not None:
            self._ledger.close()
        self._ledger = None

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.ledger.entries()]


def features(people: int, pictures: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(people * pictures, D)).astype(np.float32)


def mean_plan(**terms: Any) -> PrivacyPlan:
    mechanism = MomentMechanism(kind="mean", sigma=2.0, clip=1.0, name="mean")
    return PrivacyPlan(**{**_terms((mechanism,)), **terms})


def long_plan(**terms: Any) -> PrivacyPlan:
    """Round 1 the mean, round 2 the scatter, rounds 3 and 4 gradients."""
    mean = MomentMechanism(kind="mean", sigma=3.0, clip=1.0, name="mean")
    scatter = MomentMechanism(kind="scatter", sigma=3.0, clip=1.0, name="scatter")
    steps = GradientMechanism(sigma=3.0, clip=1.0, rate=0.5, rounds=2, negatives=4)
    return PrivacyPlan(**{**_terms((mean, scatter, steps)), **terms})


def evaluation_plan(**terms: Any) -> PrivacyPlan:
    """One round: an evaluation at two thresholds."""
    mechanism = EvaluationMechanism(sigma=3.0, thresholds=2, name="after")
    return PrivacyPlan(**{**_terms((mechanism,)), **terms})


def noiseless(plan: PrivacyPlan) -> PrivacyPlan:
    mechanisms = tuple(dataclasses.replace(m, sigma=0.0) for m in plan.mechanisms)
    return dataclasses.replace(plan, mechanisms=mechanisms, noise="none")


def _terms(mechanisms: tuple[Any, ...]) -> dict[str, Any]:
    return {"mechanisms": mechanisms, "people": 5, "delta": 1e-4, "trunk": TRUNK}


def frame(seed: int = 2) -> Arrays:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(K, D)).astype(np.float32)
    return {FRAME_WEIGHT: weight, FRAME_BIAS: np.zeros(K, np.float32)}


def tail(seed: int = 2) -> Arrays:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(K, D)).astype(np.float32)
    bias = rng.normal(size=K).astype(np.float32)
    return {WEIGHT: weight, BIAS: bias, SHIFT: np.zeros(D, np.float32)}


def judged(seed: int = 2) -> Arrays:
    """What an evaluation of ``evaluation_plan`` is asked with."""
    shared = tail(seed)
    return {**{n: shared[n] for n in (WEIGHT, BIAS)}, THRESHOLD: np.array([0.2, 0.7], np.float32)}


def initial() -> Arrays:
    return {**frame(), WEIGHT: tail()[WEIGHT], BIAS: tail()[BIAS]}


def charter(plan: PrivacyPlan, run: str = RUN, **terms: Any) -> CharterTerms:
    told = {"federation": FEDERATION, "expires": 2**40, "initial": arrays_digest(initial())}
    return CharterTerms(run=run, plan=plan, **{**told, **terms})


def offer(plan: PrivacyPlan, run: str = RUN, key: SigningKey = CENTRE, **terms: Any) -> Offer:
    """What the centre sends: the plan in a charter of its own, signed by ``key``."""
    arrays = terms.pop("arrays", None) or initial()
    told = {"initial": arrays_digest(arrays), **terms}
    text = charter(plan, run, **told).sign(key).to_json()
    return Offer(charter=text, initial=array_digests(arrays))


def accepted(site: Site, plan: PrivacyPlan) -> Training:
    room = site.training()
    asked = offer(plan)
    assert room.accept(asked) == charter_digest(Signed.from_json(asked.charter))
    return room


HEADS = (
    HeadTerms(kind="attributes", weight=0.5, names=("beard", "hat"), shown=(5, 2), absent=(5, 8)),
    HeadTerms(kind="age", weight=0.25),
)


def head_plan(identity: float = 1.0, heads: tuple[HeadTerms, ...] = HEADS, **terms: Any) -> Any:
    """Two rounds of gradients for tail and heads at once."""
    steps = GradientMechanism(
        sigma=3.0, clip=1.0, rate=0.5, rounds=2, negatives=4, heads=heads, identity=identity
    )
    return PrivacyPlan(**{**_terms((steps,)), **terms})


def heads(given: tuple[HeadTerms, ...] = HEADS, seed: int = 3) -> Arrays:
    """What a charter begins with of ``given``, and how they see a feature."""
    rng = np.random.default_rng(seed)
    shapes = {**planned_shapes(given, D), CENTRED: (D,)}
    drawn = {n: rng.normal(size=shape).astype(np.float32) for n, shape in shapes.items()}
    return {**drawn, SCALE: np.linspace(0.5, 1.5, D).astype(np.float32)}


def labels(people: int, pictures: int, seed: int = 4) -> SiteLabels:
    """Random ones, some of them missing; with columns that no plan here names."""
    rng, count = np.random.default_rng(seed), people * pictures
    age = rng.uniform(15, 80, count).astype(np.float32)
    age[::4] = np.nan
    return SiteLabels(
        names=("hat", "earrings", "beard"),
        attributes=rng.integers(-1, 2, (count, 3)).astype(np.int8),
        age=age,
        gender=rng.integers(0, 2, count).astype(np.int8),
    )


def request(number: int) -> Arrays:
    return frame() if number < 3 else tail()
