"""The arms of a comparison: what each site would match with under each way of learning.

All start from the same public tail and end in the same estimator; what differs is which people it
may look at and what was done to what they released.
"""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.agent.people import SitePeople
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.matching import OwnPart, own_part, site_tail
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.moments.posterior import shared_parts
from common.moments.reference import Reference, retuned
from common.privacy.plan import NoiseModel, PrivacyPlan
from server.moments import pools_of
from simulations.federation import Arrays, Door, Federation, Outcome
from simulations.material import Material
from simulations.mechanisms import mechanisms
from simulations.scenario import Scenario
from simulations.sites import SimulatedSite
from simulations.upper import together

ROUND_TO = 5  # people
WATCHED = 100  # public people by whom the centre sees how a gradient phase goes


@dataclass(frozen=True, kw_only=True, eq=False)
class Arm:
    """What every site would match with, and what each spent (None: nothing was released)."""

    tails: Sequence[Tail]
    spent: tuple[float, ...] | None = None
    outcome: Outcome | None = None


@dataclass(eq=False, kw_only=True)
class Experiment:
    """One dealing of people to sites, and all arms on it. ``seed`` is (fold, seed)."""

    scenario: Scenario
    material: Material
    reference: Reference
    public: Tail
    sites: list[SimulatedSite]
    seed: tuple[int, int]
    entropy: str = "seeded"

    def base(self) -> Arm:
        """The embedder as it came."""
        return Arm(tails=[self.material.tail] * len(self.sites))

    def tuned(self) -> Arm:
        """The tail tuned on public people only: costs nobody anything."""
        return Arm(tails=[self.public] * len(self.sites))

    def local(self) -> Arm:
        """Own statistics on the public tail, nothing released."""
        return Arm(tails=[site_tail(self.reference, own, None) for own in self._own])

    def federated(
        self, noise: NoiseModel, epsilon: float | None, folder: Path | None = None
    ) -> Arm:
        """Moments released by every site, combined pool by pool, and the own part on top."""
        plan = self.plan(noise, epsilon)
        with tempfile.TemporaryDirectory() as temporary:
            outcome = self._federation.run(
                plan, dict(self._initial), folder or Path(temporary), (*self.seed, _code(plan))
            )
        shared = self._shared(outcome.pools, plan)
        spent = tuple(outcome.spent[site.name] for site in self.sites)
        return Arm(tails=shared, spent=spent if epsilon else None, outcome=outcome)

    def panel(self) -> Arm:
        """The first volunteers of every site are public inside the federation; own part on top."""
        volunteers = [bags[: self.scenario.panel] for bags in self._bags]
        return self._non_private(volunteers)

    def upper_bound(self) -> Arm:
        """Everybody's features in one place, no privacy at all; own part on top."""
        return self._non_private(self._bags)

    def plan(self, noise: NoiseModel, epsilon: float | None) -> PrivacyPlan:
        """The releases of this experiment at ``epsilon`` (None: without noise)."""
        return PrivacyPlan(
            mechanisms=mechanisms(self.scenario, self.reference.radius, epsilon),
            people=int(np.median([declared(len(bags)) for bags in self._bags])),
            delta=self.scenario.delta,
            noise=noise,
            honest_sites=self._smallest_pool if noise == "distributed" else 1,
            trunk=self.material.trunk,
            tail=self.public.hash,
            cohort=len(self.sites),
            pooling=self.scenario.pooling,
        )

    @cached_property
    def _bags(self) -> list[list[NDArray[np.float32]]]:
        bags = []
        for site in self.sites:
            features = self.material.features[site.camera][site.pictures]
            bags.append(SitePeople(features, self.material.person[site.pictures]).bags())
        return bags

    @cached_property
    def _own(self) -> list[OwnPart]:
        return [own_part(self.reference, bags) for bags in self._bags]

    @cached_property
    def _pool_of(self) -> list[str]:
        """The pool of each site: its camera type, or the only one there is."""
        together = self.scenario.pooling == "all"
        return ["all" if together else self.material.types[site.camera] for site in self.sites]

    @cached_property
    def _sites_of_pool(self) -> dict[str, int]:
        return dict(Counter(self._pool_of))

    @property
    def _smallest_pool(self) -> int:
        return min(self._sites_of_pool.values())

    @cached_property
    def _initial(self) -> dict[str, NDArray[np.float32]]:
        frame = self.reference.frame
        return {**self.public.arrays(), FRAME_WEIGHT: frame.weight, FRAME_BIAS: frame.bias}

    @cached_property
    def _federation(self) -> Federation:
        doors = [
            Door(
                name=site.name,
                camera_type=self.material.types[site.camera],
                people=SitePeople(
                    self.material.features[site.camera][site.pictures],
                    self.material.person[site.pictures],
                ),
                declared_people=declared(len(bags)),
            )
            for site, bags in zip(self.sites, self._bags, strict=True)
        ]
        public = self.material.public
        negatives = public.randomised[:, 0]
        watched = np.isin(public.person, np.unique(public.person)[:WATCHED])
        return Federation(
            doors=doors,
            trunk=self.material.trunk,
            negatives=negatives,
            watched=(negatives[watched], public.person[watched]),
            entropy=self.entropy,
            strategy=self.scenario.choice,
        )

    def _shared(self, pools: dict[str, Arrays], plan: PrivacyPlan) -> list[Tail]:
        parts = shared_parts(self.reference, pools_of(pools, plan), self._sites_of_pool)
        tails = []
        for name, bags, own in zip(self._pool_of, self._bags, self._own, strict=True):
            reference = self.reference
            if self.scenario.gradient_share:
                trained = Tail(pools[name][WEIGHT], pools[name][BIAS])
                reference = retuned(reference, self.public, trained)
                own = own_part(reference, bags)
            tails.append(site_tail(reference, own, parts[name]))
        return tails

    def _non_private(self, people: list[list[NDArray[np.float32]]]) -> Arm:
        types = [self.material.types[site.camera] for site in self.sites]
        rng = np.random.default_rng([*self.seed, 3])
        return Arm(tails=together(self.public, types, people, self._bags, rng))


def declared(people: int) -> int:
    """What an operator with so many people would declare: a round number near it."""
    return max(ROUND_TO, ROUND_TO * round(people / ROUND_TO))


def _code(plan: PrivacyPlan) -> int:
    """Different noise for different plans of the same seed."""
    return int(plan.digest[:12], 16)
