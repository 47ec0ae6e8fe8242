"""Whether our gradient attacks are as strong as a library's: success at every budget, side by side.

    mascaron-lab bench attacks --out DIR [--faces lfw_112.npz --trunk model.onnx --pairs 150]

Genuine pairs are to be refused and impostor pairs accepted, ``--pairs`` of either, all decided
rightly before at a threshold that other people (``--threshold-folds``) fixed at ``--fmr``. FGSM,
PGD, Auto-PGD, and the PGD of the adversarial-robustness-toolbox attack the same pictures. What is
measured is kept in DIR and not measured again, so more pairs may be asked for later. The last line
on stdout is one JSON object: shares with Wilson intervals, ``largest_difference``, of PGD from the
toolbox's over all pairs at a budget, in points, and where Auto-PGD fools fewer than PGD.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.attacks.apgd import Apgd
from common.attacks.gradient import Fgsm, Pgd
from common.attacks.target import GOALS, Budget, Goal, Norm, Trials, to_pixels
from common.errors import ScenarioError
from common.metrics.shares import wilson
from common.metrics.verification import Pairs, threshold_at_far, unit_rows
from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.toolbox import toolbox_pgd
from simulations.evidence.subject import Subject, SubjectOptions, load_subject
from simulations.journal import Journal, opened
from simulations.progress import Bars, stderr_console

# L-inf in 255ths.
EPS: dict[Norm, tuple[float, ...]] = {"linf": (1, 2, 4, 8, 16), "l2": (0.25, 0.5, 1, 2, 4)}
SPARE = 1e-4  # of cosine: pairs nearer to the threshold are decided by rounding
ATTACKS = ("fgsm", "pgd", "toolbox_pgd", "apgd")
_TRIES = 400  # draws for each pair wanted


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Pictures by their index: whose embedding is the template, and whose pixels move."""

    template: int
    moved: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """What is attacked, how often, and where it is written down."""

    subject: Subject
    threshold: float
    pairs: dict[Goal, list[Pair]]
    steps: int
    batch: int
    seed: int

    @property
    def name(self) -> str:
        """A digest of all that a figure depends on, but for the pairs."""
        about = self.subject.about
        told = [about.trunk, about.tail, about.faces, self.threshold, self.steps, self.seed]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def cells(self) -> Iterator[tuple[str, Goal, Budget, range]]:
        """All of one batch before the next, so that a part is a smaller whole."""
        longest = max(map(len, self.pairs.values()))
        for start in range(0, longest, self.batch):
            for goal in GOALS:
                numbers = range(start, min(start + self.batch, len(self.pairs[goal])))
                for norm, budget in budgets():
                    key = f"{self.name}/{goal}/{norm}/{start}-{numbers.stop}"
                    yield key, goal, budget, numbers

    def trials(self, goal: Goal, numbers: range) -> Trials:
        """The attempts of those ``numbers``."""
        pairs = [self.pairs[goal][number] for number in numbers]
        crops = self.subject.tested.crops([pair.moved for pair in pairs])
        templates = self.subject.embeddings[[pair.template for pair in pairs]]
        return Trials(
            to_pixels(crops), torch.from_numpy(unit_rows(templates)), goal, self.threshold
        )

    def hits(self, goal: Goal, budget: Budget, numbers: range) -> dict[str, list[int]]:
        """By attack, the numbers of those who were fooled."""
        trials, face = self.trials(goal, numbers), self.subject.face
        seed = self.seed + numbers.start

        def generator() -> torch.Generator:
            return torch.Generator().manual_seed(seed)

        attacks: dict[str, Callable[[], Tensor]] = {
            "fgsm": lambda: Fgsm()(face, trials, budget, generator()),
            "pgd": lambda: Pgd(steps=self.steps, stop=True)(face, trials, budget, generator()),
            "toolbox_pgd": lambda: toolbox_pgd(face, trials, budget, self.steps, seed),
            "apgd": lambda: Apgd(steps=self.steps, stop=True)(face, trials, budget, generator()),
        }
        found = {}
        for name in ATTACKS:
            fooled = trials.fooled(face, attacks[name]())
            found[name] = (torch.nonzero(fooled)[:, 0] + numbers.start).tolist()
        return found


def main(arguments: Sequence[str]) -> None:
    """Measures what is not in the journal yet, and prints the JSON line."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    with Bars(stderr_console()) as bars:
        subject = load_subject(_subject_options(options), bars)
        bench = Bench(
            subject=subject,
            threshold=fixed_threshold(subject, options.fmr),
            pairs={},
            steps=options.steps,
            batch=options.batch,
            seed=options.seed,
        )
        for goal in GOALS:
            bench.pairs[goal] = right_pairs(subject, goal, bench.threshold, options.pairs)
        with opened(options.out / "attacks.jsonl") as journal:
            lines = measured(bench, journal, bars)
    people, pictures = len(subject.tested.people), len(subject.tested)
    told = {"people": people, "pictures": pictures, "fmr": options.fmr, "steps": options.steps}
    click.echo(json.dumps({"bench": "attacks", **told, **report(bench, lines)}))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="attacks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps what is done")
    parser.add_argument("--faces", type=Path, help="a pack or folder; default: invented people")
    parser.add_argument("--people", type=at_least(2), default=160, help="invented people")
    parser.add_argument("--trunk", type=Path, help="what sees them; default: the starter")
    parser.add_argument("--tail", type=Path, help="file of a tail; default: the trunk's own")
    parser.add_argument("--folds", default="1-6,8", help="people attacked")
    parser.add_argument("--threshold-folds", default="7", help="people who fix the threshold")
    parser.add_argument("--pairs", type=at_least(1), default=150, help="for each goal")
    parser.add_argument("--steps", type=at_least(1), default=10, help="of PGD and Auto-PGD")
    parser.add_argument("--fmr", type=float, default=1e-3)
    parser.add_argument("--batch", type=at_least(2), default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=at_least(1), default=2)
    parser.add_argument("--cache", type=Path, help="folder for features")
    return parser


def _subject_options(options: argparse.Namespace) -> SubjectOptions:
    return SubjectOptions(
        faces=options.faces,
        trunk=options.trunk,
        tail=options.tail,
        people=options.people,
        folds=options.folds,
        threshold_folds=options.threshold_folds,
        cache=options.cache,
        seed=options.seed,
        threads=options.threads,
    )


def budgets() -> list[tuple[str, Budget]]:
    """All ten, each with its name, as ``linf/8``."""
    return [
        (f"{norm}/{eps:g}", Budget(norm, eps / 255 if norm == "linf" else eps))
        for norm, steps in EPS.items()
        for eps in steps
    ]


def fixed_threshold(subject: Subject, fmr: float) -> float:
    """The cosine that ``others`` meet the rate at; ``ScenarioError`` if they are too few."""
    scores = Pairs.of(subject.others.person).score(subject.other_embeddings)
    threshold = threshold_at_far(np.sort(scores.impostor), fmr)
    if threshold is None:
        raise ScenarioError(f"--threshold-folds hold too few people for an FMR of {fmr:g}")
    return threshold


def right_pairs(subject: Subject, goal: Goal, threshold: float, wanted: int) -> list[Pair]:
    """Different random pairs that are decided rightly; fewer wanted are the first of more.

    Genuine ones go round by person, so that nobody with many pictures is most of them.
    """
    unit, person = unit_rows(subject.embeddings), subject.tested.person
    draw = _genuine(person) if goal == "dodge" else _impostors(person)
    found: dict[Pair, None] = {}
    for _ in range(_TRIES * wanted):
        pair = next(draw)
        cosine = float(unit[pair.template] @ unit[pair.moved])
        spare = cosine - threshold if goal == "dodge" else threshold - cosine
        if spare > SPARE:
            found[pair] = None
        if len(found) == wanted:
            return list(found)
    raise ScenarioError(f"only {len(found)} pairs to {goal} are decided rightly: take more people")


def _genuine(person: NDArray[np.int64]) -> Iterator[Pair]:
    rng = np.random.default_rng([0, 0])
    groups = [np.flatnonzero(person == one) for one in np.unique(person)]
    able = [group for group in groups if len(group) > 1]
    if not able:
        raise ScenarioError("nobody has two pictures")
    while True:
        for number in rng.permutation(len(able)):
            template, moved = rng.choice(able[number], 2, replace=False)
            yield Pair(template=int(template), moved=int(moved))


def _impostors(person: NDArray[np.int64]) -> Iterator[Pair]:
    rng = np.random.default_rng([0, 1])
    while True:
        template, moved = rng.choice(len(person), 2, replace=False)
        if person[template] != person[moved]:
            yield Pair(template=int(template), moved=int(moved))


def measured(bench: Bench, journal: Journal, bars: Bars) -> list[dict[str, Any]]:
    """The journal's lines of this bench, after what was missing is measured."""
    known = {str(line["key"]): dict(line) for line in journal.lines}
    cells = list(bench.cells())
    step = bars.start("Attacks", len(cells))
    lines = []
    for key, goal, budget, numbers in cells:
        if key not in known:
            line = {
                "schema": 1,
                "status": "done",
                "key": key,
                "pairs": len(numbers),
                "hits": bench.hits(goal, budget, numbers),
            }
            journal.append(line)
            known[key] = line
        lines.append(known[key])
        step(1)
    return lines


def report(bench: Bench, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows by goal and budget; how far PGD is from the toolbox's; where Auto-PGD is behind PGD."""
    rows: dict[tuple[str, str], dict[str, int]] = {}
    for line in lines:
        _, goal, norm, eps, _ = str(line["key"]).split("/")
        row = rows.setdefault((goal, f"{norm}/{eps}"), dict.fromkeys(("pairs", *ATTACKS), 0))
        row["pairs"] += int(line["pairs"])
        for attack in ATTACKS:
            row[attack] += len(line["hits"][attack])
    differences = {name: _difference(rows, name) for name, _ in budgets()}
    behind = [f"{goal} {name}" for (goal, name), row in rows.items() if row["apgd"] < row["pgd"]]
    return {
        "threshold": round(bench.threshold, 4),
        "pairs": {goal: len(pairs) for goal, pairs in bench.pairs.items()},
        "rows": [_row(goal, name, row) for (goal, name), row in rows.items()],
        "difference": differences,
        "largest_difference": max(map(abs, differences.values())),
        "apgd_behind_pgd": behind,
    }


def _difference(rows: dict[tuple[str, str], dict[str, int]], name: str) -> float:
    """Points of success of PGD over the toolbox's, over the pairs of both goals."""
    both = [rows[goal, name] for goal in GOALS if (goal, name) in rows]
    pairs = sum(row["pairs"] for row in both)
    more = sum(row["pgd"] - row["toolbox_pgd"] for row in both)
    return round(100 * more / max(pairs, 1), 2)


def _row(goal: str, name: str, row: dict[str, int]) -> dict[str, Any]:
    norm, eps = name.split("/")
    shares = {}
    for attack in ATTACKS:
        low, high = wilson(row[attack], row["pairs"])
        value = row[attack] / row["pairs"]
        shares[attack] = {"value": round(value, 4), "ci95": [round(low, 4), round(high, 4)]}
    return {"goal": goal, "norm": norm, "eps": float(eps), "pairs": row["pairs"], **shares}
