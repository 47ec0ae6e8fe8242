"""What a tail is worth clean and under attack: TAR, robust TAR, and impostors still refused.

The threshold is fixed by other people under clean conditions, before anybody attacks. Attackers
know everything: pixels move up the gradient of the decision itself.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.attacks.gradient import Pgd
from common.attacks.target import Budget, Face, Goal, Trials, to_pixels
from common.errors import ScenarioError
from common.faces.faceset import FaceSet
from common.metrics.classification import operating_threshold
from common.metrics.intervals import bootstrap_share, interval, person_weights
from common.metrics.verification import Pairs
from common.models.tail import Tail
from common.models.trunk import Trunk

BATCH = 32  # trials attacked at a time

Hits = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Contest:
    """At which FMR decisions are made, and with what budget attackers come."""

    fmr: float = 1e-2
    eps: float = 2 / 255
    steps: int = 20
    pairs: int = 120  # attacked of each kind, at most
    draws: int = 400

    def __post_init__(self) -> None:
        if not (0 < self.fmr < 1 and 0 <= self.eps <= 1 and min(self.steps, self.pairs) >= 1):
            raise ScenarioError("fmr in (0, 1), eps in [0, 1], steps and pairs at least 1")


@dataclass(frozen=True, kw_only=True, eq=False)
class Court:
    """Unseen people who are judged, other people who fix the threshold, and the pairs tried.

    ``genuine`` and ``impostor`` (T, 2) are rows of ``tested``: whose picture moves, and whose
    template it meets.
    """

    trunk: Trunk
    tested: FaceSet
    others: FaceSet
    features: NDArray[np.float32]
    other_features: NDArray[np.float32]
    genuine: NDArray[np.int64]
    impostor: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdicts:
    """Trial by trial: genuine pairs accepted clean and attacked, impostors refused likewise."""

    threshold: float
    accepted: Hits
    still_accepted: Hits
    refused: Hits
    still_refused: Hits


def draw_pairs(
    person: NDArray[np.int64], most: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At most ``most`` genuine and impostor pairs (T, 2), people in turns as far as they last."""
    pairs = Pairs.of(person)
    if not len(pairs.genuine) or not len(pairs.impostor):
        raise ScenarioError("nothing to verify: it takes two people, one of them with two pictures")
    drawn = []
    for flat in (pairs.genuine, pairs.impostor):
        order = flat[rng.permutation(len(flat))].astype(np.int64)
        chosen = np.stack(np.divmod(order, len(person)), axis=1)
        turn = _turns(person[chosen[:, 0]])
        drawn.append(chosen[np.argsort(turn, kind="stable")][:most])
    return drawn[0], drawn[1]


def judge(court: Court, tail: Tail, contest: Contest, seed: int) -> Verdicts:
    """Decides every pair of ``court`` clean and attacked; ``ScenarioError`` without a threshold."""
    fixed = Pairs.of(court.others.person).score(tail.embed(court.other_features))
    threshold = operating_threshold(fixed, contest.fmr)
    if threshold is None:
        raise ScenarioError("too few people fix the threshold: name more folds or a higher --fmr")
    raw = tail.embed(court.features)
    unit = torch.from_numpy(raw / np.linalg.norm(raw, axis=1, keepdims=True))
    kinds: tuple[tuple[Goal, NDArray[np.int64]], ...] = (
        ("dodge", court.genuine), ("impersonate", court.impostor)
    )  # fmt: skip
    right = []
    for goal, rows in kinds:
        cosine = (unit[rows[:, 0]] * unit[rows[:, 1]]).sum(1).numpy()
        clean = cosine >= threshold if goal == "dodge" else cosine < threshold
        right += [clean, clean & ~_fooled(court, tail, (goal, rows), threshold, contest, seed)]
    return Verdicts(
        threshold=threshold,
        accepted=right[0],
        still_accepted=right[1],
        refused=right[2],
        still_refused=right[3],
    )


@dataclass(frozen=True, eq=False)
class Tally:
    """Verdicts of several seeds over the same pairs: shares, and intervals by person."""

    court: Court
    contest: Contest

    def rates(self, verdicts: list[Verdicts]) -> dict[str, Any]:
        """The triple but for its epsilon; each figure is the mean over seeds."""
        told = {
            "tar": self._share([v.accepted for v in verdicts], self.court.genuine),
            "robust_tar": self._share([v.still_accepted for v in verdicts], self.court.genuine),
            "impostors_refused": self._share([v.refused for v in verdicts], self.court.impostor),
            "robust_impostor": self._share(
                [v.still_refused for v in verdicts], self.court.impostor
            ),
        }
        return {"threshold": [float(v.threshold) for v in verdicts], **told}

    def gain(self, ours: list[Verdicts], control: list[Verdicts]) -> dict[str, Any]:
        """Ours minus control, pair by pair and seed by seed."""
        genuine, impostor = self.court.genuine, self.court.impostor
        return {
            "tar": self._difference(
                [(a.accepted, b.accepted) for a, b in zip(ours, control, strict=True)], genuine
            ),
            "robust_tar": self._difference(
                [(a.still_accepted, b.still_accepted) for a, b in zip(ours, control, strict=True)],
                genuine,
            ),
            "robust_impostor": self._difference(
                [(a.still_refused, b.still_refused) for a, b in zip(ours, control, strict=True)],
                impostor,
            ),
        }

    def _share(self, hits: list[Hits], rows: NDArray[np.int64]) -> dict[str, Any]:
        return self._told([one.astype(np.float64) for one in hits], rows)

    def _difference(self, hits: list[tuple[Hits, Hits]], rows: NDArray[np.int64]) -> dict[str, Any]:
        return self._told([a.astype(np.float64) - b for a, b in hits], rows)

    def _told(self, values: list[NDArray[np.float64]], rows: NDArray[np.int64]) -> dict[str, Any]:
        """Mean over seeds, and an interval that redraws whose picture it is, and the seeds."""
        _, owner = np.unique(self.court.tested.person[rows[:, 0]], return_inverse=True)
        people = int(owner.max()) + 1
        weights = person_weights(people, self.contest.draws, 0)
        by_seed = np.stack([bootstrap_share(one, owner, weights) for one in values])
        rng = np.random.default_rng(1)
        chosen = rng.integers(len(values), size=(self.contest.draws, len(values)))
        draws = by_seed[chosen, np.arange(self.contest.draws)[:, None]].mean(axis=1)
        low, high = interval(draws)
        mean = float(np.mean([one.mean() for one in values]))
        return {"value": mean, "ci95": [low, high], "n": len(rows), "people": people}


def _fooled(
    court: Court,
    tail: Tail,
    tried: tuple[Goal, NDArray[np.int64]],
    threshold: float,
    contest: Contest,
    seed: int,
) -> Hits:
    """(T,) where an attacker who knows everything gets there from where nobody was fooled yet."""
    goal, rows = tried
    face, attack = Face(court.trunk, tail), Pgd(steps=contest.steps, stop=True)
    budget, generator = Budget("linf", contest.eps), torch.Generator().manual_seed(seed)
    raw = tail.embed(court.features[rows[:, 1]])
    templates = torch.from_numpy(raw / np.linalg.norm(raw, axis=1, keepdims=True))
    fooled = np.zeros(len(rows), bool)
    for start in range(0, len(rows), BATCH):
        part = slice(start, start + BATCH)
        pixels = to_pixels(court.tested.crops(rows[part, 0]))
        trials = Trials(pixels, templates[part], goal, float(threshold))
        fooled[part] = trials.fooled(face, attack(face, trials, budget, generator)).numpy()
    return fooled


def _turns(person: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often the same person came before, for each entry (T,)."""
    turn, seen = np.empty(len(person), np.int64), dict[int, int]()
    for row, one in enumerate(person.tolist()):
        turn[row] = seen.get(one, 0)
        seen[one] = seen.get(one, 0) + 1
    return turn
