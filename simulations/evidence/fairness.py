"""How error rates differ between groups of people, as a section of evidence.

Guarantee: figures of groups of at least 20 people, and of nobody who could be found by taking them
from others; how many people there are is rounded down to fives, pairs to two digits. The section's
``about`` counts the people of the groups that are told of, and no others.
Leaks: that a group is in the faces at all, by its name, if it has anybody.
"""

import dataclasses
import math
from typing import Any

from common.errors import ScenarioError
from common.evidence.section import Section
from common.metrics.classification import operating_threshold
from common.metrics.fairness import Fairness, GroupRates, Ratio, Share, Terms, decide, fairness
from common.metrics.verification import Pairs
from simulations.evidence.grouped import GroupedSubject

MOST_PICTURES = 8  # of a person
FIVES = 5  # people are told in


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FairnessOptions:
    """At which FMR over everybody the threshold stands, and how the resamples are drawn."""

    fmr: float = 1e-2
    seed: int = 0
    draws: int = 400

    def __post_init__(self) -> None:
        if not 0 < self.fmr < 1:
            raise ScenarioError(f"--fmr must be in (0, 1), got {self.fmr}")


def fairness_section(grouped: GroupedSubject, given: FairnessOptions, command: str) -> Section:
    """The section of ``grouped`` at the threshold that its ``others`` fix.

    ``ScenarioError`` where they are too few for the FMR.
    """
    subject = grouped.subject
    fixed = Pairs.of(subject.others.person).score(subject.other_embeddings)
    threshold = operating_threshold(fixed, given.fmr)
    if threshold is None:
        raise ScenarioError(
            f"{len(subject.others.people)} people in --threshold-folds have too few pairs to fix "
            f"a threshold at FMR {given.fmr:g}: name more folds, or a higher --fmr"
        )
    decided = decide(subject.embeddings, subject.tested.person, threshold)
    terms = Terms(fmr=given.fmr, seed=given.seed, draws=given.draws)
    found = fairness(decided, grouped.group, grouped.names, terms)
    figures = {
        "fmr": given.fmr,
        "threshold": threshold,
        "people_of_threshold": _fives(len(subject.others.people)),
        **fairness_figures(found, identities=grouped.identities),
        "detected": _detected(grouped, found),
    }
    section = subject.section("fairness", figures, seed=given.seed, command=command)
    told = sum(_fives(group.people) for group in found.groups)
    return dataclasses.replace(section, about=dataclasses.replace(section.about, people=told))


def fairness_figures(found: Fairness, *, identities: bool) -> dict[str, Any]:
    """``found`` as JSON values; a ratio or rate that cannot be told is null."""
    names = [group.name for group in found.groups]
    return {
        "groups": {group.name: _group(group, identities) for group in found.groups},
        "fmr_worst_to_best": _ratio(found.worst_to_best()),
        "fmr_worst_to_geometric_mean": _ratio(found.worst_to_geometric_mean()),
        "fnmr_worst_to_best": _ratio(found.worst_to_best("fnmr")),
        "fnmr_worst_to_geometric_mean": _ratio(found.worst_to_geometric_mean("fnmr")),
        "cross": {
            a: {b: float(rate) for b, rate in zip(names, row, strict=True)}
            for a, row in zip(names, found.cross, strict=True)
        },
        "suppressed": sorted(found.suppressed),
    }


def _group(group: GroupRates, identities: bool) -> dict[str, Any]:
    return {
        "people" if identities else "pictures": _fives(group.people),
        "pairs": _two_digits(group.fmr.trials),
        "fmr": _share(group.fmr),
        "fnmr": None if group.fnmr is None else _share(group.fnmr),
    }


def _share(share: Share) -> dict[str, Any]:
    return {"value": share.value, "ci95": _finite(share.interval)}


def _ratio(ratio: Ratio | None) -> dict[str, Any] | None:
    if ratio is None:
        return None
    told = {"value": ratio.value, "ci95": _finite(ratio.interval), "worst": ratio.worst}
    return told if ratio.best is None else told | {"best": ratio.best}


def _finite(ends: tuple[float, float]) -> list[float | None]:
    return [end if math.isfinite(end) else None for end in ends]


def _detected(grouped: GroupedSubject, found: Fairness) -> dict[str, float] | None:
    """The share of each group's pictures in which a face was found, where one was looked for."""
    if grouped.found is None:
        return None
    shares = dict(zip(grouped.names, grouped.found.tolist(), strict=True))
    return {group.name: round(shares[group.name], 3) for group in found.groups}


def _fives(people: int) -> int:
    return people // FIVES * FIVES


def _two_digits(pairs: float) -> int:
    return int(float(f"{pairs:.1e}"))
