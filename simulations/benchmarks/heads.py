"""How right heads are on people who taught them nothing, beside a majority and a linear probe.

    mascaron-lab bench heads [--faces PACK [--labels CSV]] [--ages PACK] [--trunk FILE]
                             [--parts 5] [--private EPS] [--detector FILE] [--cache DIR]

Attributes: balanced accuracy, F1 and AUC over parts that share nobody, intervals by person; the
majority's guess is right in half (balanced), the probe is a logistic regression on the same
features. Where ages are ranges of years, the head's cuts are their ends and errors are of their
middles (an open last range counts as ten years). Without --faces, invented people are measured.
--private trains the same heads by private steps over people as well. The last line on stdout is
one JSON object, without a person's name.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from common.heads.age import CUTS, AgeHead
from common.heads.joint import HeadTraining
from common.heads.judging import age_figures, line_figures
from server.heads import HeadsRequest, Indices
from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.heads_fitting import (
    Budget,
    Told,
    cross_fitted,
    dealt,
    private_fit,
    probed,
    public_fit,
    regressed,
)
from simulations.benchmarks.heads_material import Lab, Sample, ages_of, sample_of, with_table
from simulations.benchmarks.heads_shares import compared, mean_error

SEED = 9400  # of invented people
PICTURES = 4  # of each of them

Figures = dict[str, Any]


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    given = _parser().parse_args(arguments)
    from rich.console import Console

    from common.models.cache import FeatureCache
    from simulations.progress import Bars
    from simulations.sources import Sources

    trunk, _ = Sources(trunk=given.trunk, threads=1).load_trunk()
    with Bars(Console(stderr=True)) as bars, TemporaryDirectory() as scratch:
        lab = Lab(trunk=trunk, cache=FeatureCache(given.cache or Path(scratch)), progress=bars)
        samples = dict(_samples(given, lab))
    budget = None if given.private is None else Budget(epsilon=given.private)
    report: Figures = {"bench": "heads", "trunk": trunk.hash, "parts": given.parts}
    for name, sample in samples.items():
        report[name] = measured(sample, given.parts, budget)
    click.echo(json.dumps(report))


def measured(
    sample: Sample,
    parts: int,
    budget: Budget | None = None,
    training: HeadTraining | None = None,
) -> Figures:
    """Every head that ``sample`` has labels of, and with a ``budget`` its private twin.

    Of attributes, gender and age each is judged on the pictures of which all of it is labelled.
    """
    pupils, labels = sample.pupils, sample.pupils.labels
    kinds = ["attributes"] if labels.attributes is not None and pupils.names else []
    kinds += ["age"] if labels.age is not None else []
    kinds += ["gender"] if labels.gender is not None else []
    cuts = CUTS if labels.age is None else _cuts(labels.age.numpy())
    asked = HeadsRequest(kinds=tuple(kinds), cuts=cuts, training=training or HeadTraining())
    part = dealt(pupils.person, parts, 0)
    told = {"heads": cross_fitted(pupils, part, public_fit(asked))}
    if budget is not None:
        told["private"] = cross_fitted(pupils, part, private_fit(asked, budget))
    found: Figures = {
        "people": len(np.unique(pupils.person)),
        "pictures": len(pupils.person),
        "columns_refused": sample.refused,
        "columns_unknown": sample.unknown,
        "epsilon": None if budget is None else budget.epsilon,
    }
    for kind in kinds:
        mine = {name: by_kind[kind] for name, by_kind in told.items()}
        found[kind] = (
            _ages(sample, mine, part, cuts) if kind == "age" else _lines(sample, mine, part)
        )
    return found


def _lines(sample: Sample, told: dict[str, Told], part: Indices) -> Figures:
    """Attributes or gender: heads, their private twins and a probe."""
    pupils, names = sample.pupils, told["heads"].names
    known = np.flatnonzero((told["heads"].truth >= 0).all(axis=1))
    truth = told["heads"].truth[known]
    scores = {name: one.scores[known] for name, one in told.items()}
    scores["probe"] = probed(pupils.features[known], truth, part[known])
    found = compared(names, scores, truth, pupils.person[known])
    for name, one in told.items():
        said = one.probability[known]
        figures = line_figures(names, scores[name], said, truth)
        right = (said > 0.5) == (truth == 1)
        found[name]["calibration_error"] = figures["calibration_error"]
        found[name]["accuracy"] = round(float(right.mean()), 4)
    return found


def _ages(sample: Sample, told: dict[str, Told], part: Indices, cuts: tuple[int, ...]) -> Figures:
    """Years: heads, their private twins, a ridge regression, and the median of the others."""
    pupils, labels = sample.pupils, sample.pupils.labels
    given = np.empty(0) if labels.age is None else labels.age.numpy().astype(np.float64)
    known = np.isfinite(given if given.ndim == 1 else given.mean(axis=1))
    given, part = given[known], part[known]
    years = given if given.ndim == 1 else given.mean(axis=1)
    head, reached = AgeHead(cuts=cuts), {n: one.probability[known] for n, one in told.items()}
    said = {name: head.quantiles(one, (0.5,))[:, 0] for name, one in reached.items()}
    said["ridge"] = regressed(pupils.features[known], years, part)
    said["majority"] = np.empty(len(years))
    for number in np.unique(part):
        said["majority"][part == number] = np.median(years[part != number])
    found: Figures = {
        name: {"mean_absolute_error": mean_error(np.abs(age - years), pupils.person[known])}
        for name, age in said.items()
    }
    for name, one in reached.items():
        found[name]["within_range"] = age_figures(head, one, given)["within_range"]
    if given.ndim == 2:
        true = np.searchsorted(cuts, years, "right")
        for name, age in said.items():
            off = np.abs(np.searchsorted(cuts, age, "right") - true)
            found[name]["same_range"] = round(float((off == 0).mean()), 4)
            found[name]["within_one_range"] = round(float((off <= 1).mean()), 4)
        most = float(np.bincount(true).max()) / len(true)  # the most common range, always said
        found["majority"]["same_range"] = round(most, 4)
    return found


def _cuts(age: NDArray[np.floating[Any]]) -> tuple[int, ...]:
    """The ends of ranges of years; for years themselves those of every head."""
    if age.ndim == 1:
        return CUTS
    return tuple(int(end) for end in np.unique(age[np.isfinite(age)]))


def _samples(given: argparse.Namespace, lab: Lab) -> Iterator[tuple[str, Sample]]:
    from common.faces.detect import make_detector
    from common.faces.load import load_usable
    from common.synthetic.generate import synthetic_faces

    if given.faces is None and given.ages is None:
        done = lab.progress.start("inventing people", given.people * PICTURES)
        faces = synthetic_faces(given.people, PICTURES, SEED, _moved(done))
        yield "invented", sample_of(faces, lab, ("attributes", "age"))
    if given.faces is not None:
        faces = load_usable(given.faces, aligned=True)[0]
        shown = faces if given.labels is None else with_table(faces, given.labels)
        yield "people", sample_of(shown, lab, ("attributes", "age", "gender"))
    if given.ages is not None:
        detector = None if given.detector is None else make_detector(given.detector)
        yield "ages", ages_of(given.ages, lab, detector)


def _moved(done: Callable[[int], None]) -> Callable[[int], None]:
    """Turns a count of all that is done into steps."""
    at = 0

    def move(now: int) -> None:
        nonlocal at
        done(now - at)
        at = now

    return move


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="heads", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, help="pack or folder of aligned, labelled people")
    parser.add_argument("--labels", type=Path, help="table: file, then 1 and -1 a column")
    parser.add_argument("--ages", type=Path, help="pack of pictures with age and gender alone")
    parser.add_argument("--trunk", type=Path, help="embedder; default: the starter")
    parser.add_argument("--detector", type=Path, help="YuNet, to place the pictures of --ages")
    parser.add_argument("--cache", type=Path, help="folder for features, as secret as faces")
    parser.add_argument("--people", type=at_least(40), default=300, help="invented ones")
    parser.add_argument("--parts", type=at_least(2), default=5, help="of the people, in turns")
    parser.add_argument("--private", type=float, metavar="EPS", help="private heads as well")
    return parser
