"""Who is where: people of the training folds dealt to sites, and who reports, by fold and seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ScenarioError
from common.faces.faceset import REPORT_SITE
from common.faces.splits import deal
from simulations.material import Material
from simulations.scenario import Scenario

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedSite:
    """One door: its name, the number of its camera type, and the pictures its people brought."""

    name: str
    camera: int
    pictures: Indices  # into the material's arrays


@dataclass(frozen=True, kw_only=True, slots=True)
class Folds:
    """Which people train, which choose constants (development people) and which report."""

    train: frozenset[int]
    choose: frozenset[int]
    report: frozenset[int]

    def __post_init__(self) -> None:
        if self.train & self.report or self.choose & self.report or self.train & self.choose:
            raise ScenarioError("train, choose and report folds must not overlap")
        if not self.train or not self.report:
            raise ScenarioError("train and report folds must not be empty")


def rotation(folds: frozenset[int]) -> list[Folds]:
    """Every fold reported once; the next one chooses; all the others train."""
    order = sorted(folds)
    if len(order) < 3:
        raise ScenarioError("cross-fitting needs at least three folds")
    turns = []
    for at, report in enumerate(order):
        choose = order[(at + 1) % len(order)]
        train = frozenset(order) - {report, choose}
        turns.append(Folds(train=train, choose=frozenset({choose}), report=frozenset({report})))
    return turns


def open_sites(
    material: Material, scenario: Scenario, folds: Folds, seed: int
) -> list[SimulatedSite]:
    """The sites of one repetition, with all pictures of their people.

    People without two pictures train nobody here: a scatter of one picture is zero. Where the pack
    declares sites, those are taken; otherwise people are dealt evenly.
    """
    if material.site is not None:
        return _declared(material)
    pictures = pictures_of_folds(material, folds.train)
    people, counts = np.unique(material.person[pictures], return_counts=True)
    able = people[counts > 1]
    if len(able) < scenario.sites:
        raise ScenarioError(
            f"{len(able)} people with two pictures cannot fill {scenario.sites} sites"
        )
    dealt = deal(able, scenario.sites, np.random.default_rng([seed, 1]))
    width = len(str(scenario.sites - 1))
    return [
        SimulatedSite(
            name=f"site-{number:0{width}d}",
            camera=number % len(material.types),
            pictures=pictures[np.isin(material.person[pictures], mine)],
        )
        for number, mine in enumerate(dealt)
    ]


def pictures_of_folds(material: Material, folds: frozenset[int]) -> Indices:
    """Pictures of the people of ``folds``; report people of a declared pack are none of them."""
    chosen = np.isin(material.fold, sorted(folds))
    if material.site is not None:
        chosen &= material.site != REPORT_SITE
    return np.flatnonzero(chosen)


def report_pictures(material: Material, scenario: Scenario, folds: frozenset[int]) -> Indices:
    """At most ``scenario.report_pictures`` pictures of every report person, in order."""
    if material.site is not None:
        pictures = np.flatnonzero(material.site == REPORT_SITE)
    else:
        pictures = np.flatnonzero(np.isin(material.fold, sorted(folds)))
    order = np.argsort(material.person[pictures], kind="stable")
    person = material.person[pictures][order]
    first = np.ones(len(person), bool)
    first[1:] = person[1:] != person[:-1]
    starts = np.flatnonzero(first)
    rank = np.arange(len(person)) - np.repeat(starts, np.diff(np.r_[starts, len(person)]))
    kept: Indices = np.sort(pictures[order][rank < scenario.report_pictures])
    if not len(kept):
        raise ScenarioError(f"nobody to report in folds {sorted(folds)}")
    return kept


def _declared(material: Material) -> list[SimulatedSite]:
    assert material.site is not None
    sites = []
    for number in np.unique(material.site[material.site != REPORT_SITE]).tolist():
        pictures = np.flatnonzero(material.site == number)
        cameras = np.unique(material.taken[pictures]) if material.taken is not None else [0]
        if len(cameras) != 1:
            raise ScenarioError(f"site {number} declares {len(cameras)} camera types, not one")
        people, counts = np.unique(material.person[pictures], return_counts=True)
        able = np.isin(material.person[pictures], people[counts > 1])
        if able.any():
            sites.append(
                SimulatedSite(
                    name=f"site-{number:02d}", camera=int(cameras[0]), pictures=pictures[able]
                )
            )
    if not sites:
        raise ScenarioError("no declared site has a person with two pictures")
    return sites
