"""The arms of a comparison: what each site would match with under each way of learning.

All start from the same public tail and end in the same estimator and the same own part, which never
leaves a site; what differs is which people the shared part may look at and what was done to what
they released.
"""

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from client.agent.people import SitePeople
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.matching import site_tail
from common.moments.own import OwnPart, own_part, own_tail
from common.moments.posterior import shared_parts
from common.moments.reference import Reference, retuned
from common.privacy.plan import GradientMechanism, Mechanism, NoiseModel, PrivacyPlan
from server.moments import pools_of
from server.public import Opening, watched
from server.runs.pacing import paced
from simulations.federation import Arrays, Door, Federation, Outcome
from simulations.material import Material
from simulations.mechanisms import mechanisms
from simulations.scenario import Scenario
from simulations.sites import SimulatedSite, judged_sites
from simulations.upper import together

if TYPE_CHECKING:
    from client.agent.labels import SiteLabels
    from server.runs.reading import Chosen

ROUND_TO = 5  # people


@dataclass(frozen=True, kw_only=True, eq=False)
class Arm:
    """What every judged site would match with, and what it spent (None: nothing was released)."""

    tails: Sequence[Tail]
    spent: tuple[float, ...] | None = None
    outcome: Outcome | None = None


@dataclass(eq=False, kw_only=True)
class Experiment:
    """One dealing of people to sites, and all arms on it. ``seed`` is (fold, seed).

    Without ``own_parts`` every tail is what a site without people would match with: made of public
    people and of what was released, and of nothing else. ``labels`` are of all pictures of the
    material, for arms whose gradient rounds train ``heads`` with the tail.
    """

    scenario: Scenario
    material: Material
    reference: Reference
    public: Tail
    sites: list[SimulatedSite]
    seed: tuple[int, int]
    entropy: str = "seeded"
    own_parts: bool = True
    labels: "SiteLabels | None" = None
    heads: "Chosen | None" = None

    def base(self) -> Arm:
        """The embedder as it came."""
        return Arm(tails=[self.material.tail] * len(self.judged))

    def tuned(self) -> Arm:
        """The tail tuned on public people only: costs nobody anything."""
        return Arm(tails=[self.public] * len(self.judged))

    def local(self) -> Arm:
        """The own part on the public tail, nothing released."""
        return Arm(tails=[site_tail(self.reference, own, None) for own in self._own])

    def federated(
        self, noise: NoiseModel, epsilon: float | None, folder: Path | None = None
    ) -> Arm:
        """Moments released by every site, combined pool by pool, and the own part on top."""
        plan = self.plan(noise, epsilon)
        with tempfile.TemporaryDirectory() as temporary:
            initial = {**self._initial, **(self.heads.arrays if self.heads else {})}
            outcome = self._federation.run(
                plan, initial, folder or Path(temporary), (*self.seed, _code(plan))
            )
        shared = self._shared(outcome.pools, plan)
        spent = tuple(outcome.spent[site.name] for site in self.judged)
        return Arm(tails=shared, spent=spent if epsilon else None, outcome=outcome)

    def panel(self) -> Arm:
        """The first volunteers of every site are public inside the federation; own part on top."""
        return self._non_private([bags[: self.scenario.panel] for bags in self._bags.values()])

    def upper_bound(self) -> Arm:
        """Everybody's features in one place, no privacy at all; own part on top."""
        return self._non_private(list(self._bags.values()))

    def plan(self, noise: NoiseModel, epsilon: float | None) -> PrivacyPlan:
        """The releases of this experiment at ``epsilon`` (None: without noise)."""
        released = mechanisms(self.scenario, self.reference.radius, epsilon)
        plan = PrivacyPlan(
            mechanisms=released if self.heads is None else with_heads(released, self.heads),
            people=int(np.median([declared(len(bags)) for bags in self._bags.values()])),
            delta=self.scenario.delta,
            noise=noise,
            honest_sites=self._smallest_pool if noise == "distributed" else 1,
            trunk=self.material.trunk,
            tail=self.public.hash,
            cohort=self._cohort(noise),
            pooling=self.scenario.pooling,
        )
        return plan if self.heads is None else paced(plan)

    @cached_property
    def judged(self) -> list[SimulatedSite]:
        """The sites whose tails are made and measured; all others only take part."""
        return judged_sites(self.sites, self.scenario.judged)

    @cached_property
    def _bags(self) -> dict[str, list[NDArray[np.float32]]]:
        bags = {}
        for site in self.sites:
            features = self.material.features[site.camera][site.pictures]
            bags[site.name] = SitePeople(features, self.material.person[site.pictures]).bags()
        return bags

    @cached_property
    def _own(self) -> list[OwnPart]:
        return [self._own_part(site, self.reference, self.public) for site in self.judged]

    def _own_part(self, site: SimulatedSite, reference: Reference, tail: Tail) -> OwnPart:
        """What a site knows by itself, from ``tail`` on, of which ``reference`` is."""
        if not self.own_parts:
            return own_part(reference, ())
        bags = self._bags[site.name]
        if self.scenario.own_tuning:
            reference = retuned(reference, tail, own_tail(tail, bags, self._rng_of(site)))
        return own_part(reference, bags)

    def _rng_of(self, site: SimulatedSite) -> np.random.Generator:
        number = [other.name for other in self.sites].index(site.name)
        return np.random.default_rng([*self.seed, 4, number])

    def _pool_of(self, site: SimulatedSite) -> str:
        """The pool of a site: its camera type, or the only one there is."""
        return "all" if self.scenario.pooling == "all" else self.material.types[site.camera]

    @cached_property
    def _sites_of_pool(self) -> dict[str, int]:
        return dict(Counter(self._pool_of(site) for site in self.sites))

    @property
    def _smallest_pool(self) -> int:
        return min(self._sites_of_pool.values())

    def _cohort(self, noise: NoiseModel) -> int:
        """All sites; in secure sums all of a pool, for there the cohort is counted in each."""
        secure = noise == "distributed" and self.scenario.secure_sums
        return self._smallest_pool if secure else len(self.sites)

    @cached_property
    def _initial(self) -> dict[str, NDArray[np.float32]]:
        return Opening(self.public, self.reference).arrays

    @cached_property
    def _federation(self) -> Federation:
        doors = [
            Door(
                name=site.name,
                camera_type=self.material.types[site.camera],
                people=SitePeople(
                    self.material.features[site.camera][site.pictures],
                    self.material.person[site.pictures],
                    None if self.labels is None else self.labels.at(site.pictures),
                ),
                declared_people=declared(len(bags)),
            )
            for site, bags in zip(self.sites, self._bags.values(), strict=True)
        ]
        public = self.material.public
        return Federation(
            doors=doors,
            trunk=self.material.trunk,
            negatives=public.randomised[:, 0],
            watched=watched(public),
            entropy=self.entropy,
            strategy=self.scenario.choice,
            secure=self.scenario.secure_sums,
        )

    def _shared(self, pools: dict[str, Arrays], plan: PrivacyPlan) -> list[Tail]:
        parts = shared_parts(self.reference, pools_of(pools, plan), self._sites_of_pool)
        tails = []
        for site, own in zip(self.judged, self._own, strict=True):
            pool, reference = self._pool_of(site), self.reference
            if self.scenario.gradient_share:
                trained = Tail(pools[pool][WEIGHT], pools[pool][BIAS])
                reference = retuned(reference, self.public, trained)
                own = self._own_part(site, reference, trained)
            tails.append(site_tail(reference, own, parts[pool]))
        return tails

    def _non_private(self, people: list[list[NDArray[np.float32]]]) -> Arm:
        types = [self.material.types[site.camera] for site in self.sites]
        rng = np.random.default_rng([*self.seed, 3])
        pooled, tuning = together(self.public, types, people, rng), self.scenario.own_tuning
        tails = []
        for site in self.judged:
            own, name = self._bags[site.name], self.material.types[site.camera]
            tails.append(pooled.at(name, own, self._rng_of(site) if tuning else None))
        return Arm(tails=tails)


def with_heads(released: Sequence[Mechanism], heads: "Chosen") -> tuple[Mechanism, ...]:
    """``released`` with ``heads`` in every step of gradients: the same noise, the same price."""
    return tuple(
        dataclasses.replace(m, heads=heads.terms, identity=heads.identity)
        if isinstance(m, GradientMechanism)
        else m
        for m in released
    )


def declared(people: int) -> int:
    """What an operator with so many people would declare: a round number near it."""
    return max(ROUND_TO, ROUND_TO * round(people / ROUND_TO))


def _code(plan: PrivacyPlan) -> int:
    """Different noise for different plans of the same seed."""
    return int(plan.digest[:12], 16)
