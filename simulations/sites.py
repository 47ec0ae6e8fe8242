"""Who is where: people of the training folds dealt to sites, and who reports, by fold and seed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from common.errors import ScenarioError
from common.faces.faceset import REPORT_SITE
from common.faces.splits import check_one_site
from simulations.material import Labels
from simulations.partition import able, first_people, seats
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
        for one, other in combinations(("train", "choose", "report"), 2):
            both = sorted(getattr(self, one) & getattr(self, other))
            if both:
                told = f"{one} and {other} both have {', '.join(map(str, both))}"
                raise ScenarioError(f"train, choose and report folds must not overlap: {told}")
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


def check_people(labels: Labels, scenario: Scenario, turns: Sequence[Folds]) -> None:
    """Raises ``ScenarioError`` if some turn cannot fill its sites or has nobody to report.

    So it does if a pool has too few sites for the scenario's strategy.
    """
    for folds in turns:
        sites = open_sites(labels, scenario, folds, 0)
        together = scenario.pooling == "all"
        pools = Counter("all" if together else labels.types[site.camera] for site in sites)
        told = scenario.choice.too_few(pools)
        if told:
            raise ScenarioError(told)
        report_pictures(labels, scenario, folds.report)


def open_sites(labels: Labels, scenario: Scenario, folds: Folds, seed: int) -> list[SimulatedSite]:
    """The sites of one repetition, with all pictures of their people.

    People without two pictures train nobody here: a scatter of one picture is zero. Where the pack
    declares sites, those are taken, with the scenario's number of people each where it says one;
    otherwise people are dealt as its ``partition`` says, site s to camera type s modulo their
    number.
    """
    rng = np.random.default_rng([seed, 1])
    if labels.site is not None:
        return _declared(labels, scenario, rng)
    pictures = pictures_of_folds(labels, folds.train)
    dealt = seats(labels, pictures, scenario.sites, scenario, rng)
    width = len(str(scenario.sites - 1))
    return [
        SimulatedSite(
            name=f"site-{number:0{width}d}", camera=number % len(labels.types), pictures=mine
        )
        for number, mine in sorted(dealt.items())
    ]


def judged_sites(sites: Sequence[SimulatedSite], most: int) -> list[SimulatedSite]:
    """At most ``most`` of ``sites``, evenly spread over all and over their cameras, in order."""
    if len(sites) <= most:
        return list(sites)
    order = np.argsort([site.camera for site in sites], kind="stable")
    chosen = order[(2 * np.arange(most) + 1) * len(sites) // (2 * most)]
    return [sites[number] for number in np.sort(chosen)]


def pictures_of_folds(labels: Labels, folds: frozenset[int]) -> Indices:
    """Pictures of the people of ``folds``; report people of a declared pack are none of them."""
    chosen = np.isin(labels.fold, sorted(folds))
    if labels.site is not None:
        chosen &= labels.site != REPORT_SITE
    return np.flatnonzero(chosen)


def report_pictures(labels: Labels, scenario: Scenario, folds: frozenset[int]) -> Indices:
    """At most ``scenario.report_pictures`` pictures of every report person, in order.

    So many through each camera type, where pictures are taken as they are.
    """
    if labels.site is not None:
        pictures = np.flatnonzero(labels.site == REPORT_SITE)
    else:
        pictures = np.flatnonzero(np.isin(labels.fold, sorted(folds)))
    if not len(pictures):
        where = "the pack's site array has no -1" if labels.site is not None else "no pictures"
        raise ScenarioError(f"nobody to report in folds {sorted(folds)}: {where}")
    person = labels.person[pictures]
    key = person * len(labels.types) + (0 if labels.taken is None else labels.taken[pictures])
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    rank = np.arange(len(key)) - np.repeat(starts, np.diff(np.r_[starts, len(key)]))
    return np.sort(pictures[order][rank < scenario.report_pictures])


def _declared(labels: Labels, scenario: Scenario, rng: np.random.Generator) -> list[SimulatedSite]:
    assert labels.site is not None
    if scenario.partition != "equal":
        raise ScenarioError(f'partition = "{scenario.partition}": but the pack declares its sites')
    check_one_site(labels.person, labels.site)
    sites = []
    for number in np.unique(labels.site[labels.site != REPORT_SITE]).tolist():
        pictures = np.flatnonzero(labels.site == number)
        cameras = np.unique(labels.taken[pictures]) if labels.taken is not None else [0]
        if len(cameras) != 1:
            raise ScenarioError(f"site {number} declares {len(cameras)} camera types, not one")
        mine = pictures[np.isin(labels.person[pictures], able(labels, pictures))]
        if len(mine):
            kept = first_people(labels, mine, scenario.people, rng)
            sites.append(
                SimulatedSite(name=f"site-{number:02d}", camera=int(cameras[0]), pictures=kept)
            )
    if not sites:
        raise ScenarioError("no declared site has a person with two pictures")
    return sites
