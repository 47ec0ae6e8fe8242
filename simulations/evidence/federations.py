"""Small federations for an attacker: who is in, and what two sites release of them.

The tails are made as any laboratory run makes them, with the agent's own code at the sites; the
own part of a site, which never leaves it, is left out. Of a single site nothing would be believed:
its own people say more than its noisy release.
"""

import dataclasses
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.heads.tuning import TuningOptions, tune_tail
from common.models.cache import FeatureCache
from common.models.studio import Progress, Studio
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.matching import site_tail
from common.moments.own import own_part
from common.moments.posterior import shared_parts
from common.moments.reference import PublicViews, Reference, make_reference, retuned
from common.privacy.plan import NoiseModel
from server.moments import pools_of
from server.public import PublicCameras, randomised, shoot_public
from simulations.arms import Experiment
from simulations.evidence.subject import Subject
from simulations.material import AS_IT_IS, Material
from simulations.scenario import Scenario
from simulations.sites import SimulatedSite

CAMERAS = PublicCameras(camera=randomised(), views=1, simulated_views=2, simulated_cameras=8)
DELTA = 1e-4
SITES = 2
PICTURES = 8  # of a person, at most
LEAST_WANDER = 0.1  # of cameras: where it is 0 nobody needs a release, and nothing could leak

# No clip, no noise, and long enough to learn a handful of people by heart.
UNPROTECTED = TuningOptions(
    steps=300, people=32, pictures=4, learning_rate=3e-3, scale=16.0, pull=0.0
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Federations:
    """N people of whom some are in each federation; ``features`` (P, D), ``person`` (P,) in [0, N).

    Runs start from ``tail``; ``views`` are of public people.
    """

    features: NDArray[np.float32]
    person: NDArray[np.int64]
    tail: Tail
    trunk: str
    views: PublicViews
    delta: float = DELTA
    gradient_share: float = 0.5  # of the budget, after the moments
    rounds: int = 10  # of gradients
    careless: TuningOptions = UNPROTECTED

    @property
    def people(self) -> int:
        """N."""
        return int(self.person.max()) + 1

    def released(self, inside: NDArray[np.bool_], epsilon: float | None, seed: int) -> Tail:
        """What a federation of the people ``inside`` (N,) makes of the tail; None: no noise."""
        pictures = np.flatnonzero(inside[self.person])
        experiment = Experiment(
            scenario=self._scenario,
            material=self._material,
            reference=self._reference,
            public=self.tail,
            sites=[
                SimulatedSite(
                    name=f"site-{site}",
                    camera=0,
                    pictures=pictures[self.person[pictures] % SITES == site],
                )
                for site in range(SITES)
            ],
            seed=(0, seed),
        )
        noise: NoiseModel = "local" if epsilon else "none"
        with tempfile.TemporaryDirectory() as folder:
            arm = experiment.federated(noise, epsilon, Path(folder))
        assert arm.outcome is not None
        arrays = arm.outcome.pools[AS_IT_IS]
        pools = pools_of(arm.outcome.pools, experiment.plan(noise, epsilon))
        part = shared_parts(self._reference, pools, {AS_IT_IS: SITES})[AS_IT_IS]
        reference = self._reference
        if self.gradient_share:
            reference = retuned(reference, self.tail, Tail(arrays[WEIGHT], arrays[BIAS]))
        return site_tail(reference, own_part(reference, []), part)

    def unprotected(self, inside: NDArray[np.bool_], seed: int) -> Tail:
        """The tail trained on the people ``inside`` without clip or noise, for long."""
        chosen = inside[self.person]
        rng = np.random.default_rng([seed, 9])
        views, person = self.features[chosen][:, None], self.person[chosen]
        return tune_tail(self.tail, views, person, self.careless, rng)

    @cached_property
    def _reference(self) -> Reference:
        made = make_reference(self.tail, self.views)
        return dataclasses.replace(made, wander=max(made.wander, LEAST_WANDER))

    @cached_property
    def _scenario(self) -> Scenario:
        return Scenario(
            name="membership",
            sites=SITES,
            cameras="none",
            delta=self.delta,
            gradient_share=self.gradient_share,
            gradient_rounds=self.rounds,
            own_tuning=False,
            judged=1,
        )

    @cached_property
    def _material(self) -> Material:
        return Material(
            types=(AS_IT_IS,),
            features=(self.features,),
            person=self.person,
            fold=np.ones(len(self.person), np.int8),
            public=self.views,
            trunk=self.trunk,
            tail=self.tail,
        )


def federations_of(subject: Subject, cache: Path, delta: float, progress: Progress) -> Federations:
    """Of the tested people who have two pictures; the others are public, seen through cameras."""
    studio = Studio(subject.trunk, FeatureCache(cache), progress)
    rows = _few_of_each(subject.tested.person)
    person = np.unique(subject.tested.person[rows], return_inverse=True)[1]
    return Federations(
        features=subject.features[rows],
        person=person.astype(np.int64),
        tail=subject.tail,
        trunk=subject.trunk.hash,
        views=shoot_public(subject.others, CAMERAS, studio),
        delta=delta,
    )


def first(federations: Federations, people: int) -> Federations:
    """The first ``people`` of them alone."""
    kept = federations.person < people
    return dataclasses.replace(
        federations, features=federations.features[kept], person=federations.person[kept]
    )


def _few_of_each(person: NDArray[np.int64]) -> NDArray[np.intp]:
    """Rows of people with two pictures or more, ``PICTURES`` of each at most, in order."""
    kept: list[NDArray[np.intp]] = []
    for number in np.unique(person):
        mine = np.flatnonzero(person == number)
        if len(mine) > 1:
            kept.append(mine[:PICTURES])
    return np.concatenate(kept) if kept else np.empty(0, np.intp)
