"""Whom is attacked: pairs drawn by seed, at a threshold that other people have fixed before."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.attacks.target import GOALS, Goal, Trials, to_pixels
from common.attacks.transfer import Contender, Couples
from common.errors import ScenarioError
from common.faces.faceset import FaceSet
from common.metrics.verification import Pairs, threshold_at_far
from common.models.tail import Tail
from simulations.evidence.subject import Subject

FALLBACK = 1e-2  # where impostor pairs are too few for the FMR that was asked for

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A cosine, and the ``fmr`` on other people that it stands for."""

    value: float
    fmr: float


def fix_threshold(
    features: NDArray[np.float32], tail: Tail, others: FaceSet, fmr: float
) -> Threshold:
    """At ``fmr`` on all impostor pairs of ``others``; at ``FALLBACK`` where these are too few.

    ``ScenarioError`` where they are too few for that as well.
    """
    scores = Pairs.of(others.person).score(tail.embed(features))
    ordered = np.sort(scores.impostor)
    for rate in (fmr, FALLBACK):
        found = threshold_at_far(ordered, rate)
        if found is not None and rate >= fmr:
            return Threshold(found, rate)
    raise ScenarioError(
        f"{len(ordered)} impostor pairs of --threshold-folds fix no threshold at FMR {fmr:g}: "
        "ten accepted ones are needed; name more people, or a higher --fmr"
    )


@dataclass(frozen=True, eq=False, slots=True)
class Attacked:
    """Of one goal: all drawn ``couples``, and which of them the model decides correctly."""

    couples: Couples
    trials: Trials
    right: torch.Tensor  # (B,) bool

    @property
    def rows(self) -> torch.Tensor:
        return torch.nonzero(self.right)[:, 0]

    def first(self, count: int) -> tuple[Couples, Trials]:
        """The first ``count`` couples that are decided correctly."""
        rows = self.rows[:count]
        couples = Couples(
            probes=self.couples.probes[rows],
            references=self.couples.references[rows],
            goal=self.couples.goal,
        )
        return couples, self.trials.rows(rows)


def attacked(subject: Subject, threshold: float, pairs: int, seed: int) -> dict[Goal, Attacked]:
    """Half of ``pairs`` genuine and half impostor, of the tested people.

    ``ScenarioError`` where the model decides none of a kind correctly: there is nothing to attack.
    """
    drawn = dict(zip(GOALS, draw_pairs(subject.tested.person, pairs // 2, seed), strict=True))
    made = {}
    for goal, rows in drawn.items():
        couples = Couples(
            probes=to_pixels(subject.tested.crops(rows[:, 0])),
            references=to_pixels(subject.tested.crops(rows[:, 1])),
            goal=goal,
        )
        trials = couples.trials(Contender(name="this", face=subject.face, threshold=threshold))
        made[goal] = Attacked(couples, trials, ~fooled(subject.face, trials))
        if not made[goal].right.any():
            raise ScenarioError(f"all {len(rows)} pairs are decided wrongly: nothing to {goal}")
    return made


def draw_pairs(person: NDArray[np.int64], count: int, seed: int) -> tuple[Rows, Rows]:
    """(G, 2) genuine and (I, 2) impostor pairs of pictures; as many people as there are take turns.

    Fewer than ``count`` where there are not that many. ``ScenarioError`` if there are none.
    """
    rng = np.random.default_rng([seed, 1])
    people = rng.permutation(np.unique(person))
    shuffled = {int(one): rng.permutation(np.flatnonzero(person == one)) for one in people}
    genuine: list[tuple[int, int]] = []
    impostor: list[tuple[int, int]] = []
    longest = max(len(rows) for rows in shuffled.values())
    for turn in range(1, longest):  # the first picture against the second, third, ...
        for one in people:
            rows = shuffled[int(one)]
            genuine += [(rows[0], rows[turn])] if turn < len(rows) else []
    for gap in range(1, len(people)):
        for at, one in enumerate(people):
            a, b = shuffled[int(one)], shuffled[int(people[(at + gap) % len(people)])]
            impostor.append((a[gap % len(a)], b[gap % len(b)]))
        if len(impostor) >= count:
            break
    if not genuine or not impostor:
        raise ScenarioError("no pairs among --folds: two people with two pictures are needed")
    return np.array(genuine[:count], np.int64), np.array(impostor[:count], np.int64)


def fooled(face: nn.Module, trials: Trials) -> torch.Tensor:
    """(B,) bool of the pictures as they are."""
    return torch.cat([part.fooled(face, part.pixels) for part in trials.batches(16)])
