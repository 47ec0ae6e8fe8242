"""The federation that benchmarks run: as many sites as asked, on features all of them share.

Five people a site with four pictures each; three rounds, all of them moments, so that what is
measured is the federation and not torch. Nobody's face: features are random numbers.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.agent.people import SitePeople
from common.models.tail import BIAS, WEIGHT
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.privacy.plan import MomentMechanism, NoiseModel, PrivacyPlan
from simulations.agents import SharedPeople
from simulations.federation import Arrays, Door, Federation, Outcome

TRUNK, DELTA = "t" * 64, 1e-4
FEATURES, FRAME, PEOPLE, PICTURES = 512, 32, 5, 4
KINDS = ("mean", "scatter", "moments")


def toy_plan(sites: int, noise: NoiseModel = "local") -> PrivacyPlan:
    """Three releases, with noise at each site or without any (to compare two runs exactly)."""
    sigma = 0.0 if noise == "none" else 4.0
    return PrivacyPlan(
        mechanisms=tuple(
            MomentMechanism(kind=kind, name=kind, sigma=sigma, clip=1.0)  # type: ignore[arg-type]
            for kind in KINDS
        ),
        people=PEOPLE,
        delta=DELTA,
        noise=noise,
        trunk=TRUNK,
        cohort=sites,
    )


def toy_initial() -> Arrays:
    """What every site starts from: the first coordinates of a feature."""
    eye, zero = np.eye(FRAME, FEATURES, dtype=np.float32), np.zeros(FRAME, np.float32)
    return {WEIGHT: eye, BIAS: zero, FRAME_WEIGHT: eye, FRAME_BIAS: zero}


def toy_features(sites: int) -> NDArray[np.float32]:
    """(sites * people * pictures, D), the same numbers for a site however many there are."""
    rows = PEOPLE * PICTURES
    features = np.empty((sites * rows, FEATURES), np.float32)
    for site in range(sites):
        rng = np.random.default_rng([7, site])
        features[site * rows : (site + 1) * rows] = rng.standard_normal((rows, FEATURES))
    return features


def toy_people(features: NDArray[np.float32], person: NDArray[np.int64], site: int) -> SitePeople:
    """The people of one site: views into ``features``, whose rows belong to ``person``."""
    rows = PEOPLE * PICTURES
    return SharedPeople(features, person, np.arange(site * rows, (site + 1) * rows))


def toy_negatives() -> NDArray[np.float32]:
    """(8, D) public features, which moments do not look at."""
    return np.zeros((8, FEATURES), np.float32)


def toy_federation(sites: int) -> Federation:
    """All sites see through one type of camera, so that all are pooled."""
    features = toy_features(sites)
    person = np.arange(len(features)) // PICTURES
    doors = [
        Door(
            name=f"site-{site}",
            camera_type="door",
            people=toy_people(features, person, site),
            declared_people=PEOPLE,
        )
        for site in range(sites)
    ]
    return Federation(doors=doors, trunk=TRUNK, negatives=toy_negatives())


def run_toy(federation: Federation, folder: Path, noise: NoiseModel = "local") -> Outcome:
    """One whole run of ``federation`` through the real apps."""
    plan = toy_plan(len(federation.doors), noise)
    return federation.run(plan, toy_initial(), folder, (1, 2))
