"""Tuning the tail on public people and on attacked crops of theirs, made against each tail anew.

How many stages help is decided as in server/tuning.py, by public people held out for it: those
count clean and attacked alike. Nothing of it is private, and nobody but public people is attacked.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from common.attacks.gradient import Pgd
from common.attacks.target import Budget, Face, Trials, to_pixels
from common.errors import ConfigError
from common.faces.faceset import FaceSet
from common.heads.tuning import TuningOptions, tune_tail
from common.metrics.verification import Pairs, threshold_at_far
from common.models.tail import Tail
from common.models.trunk import Trunk
from server.tuning import FAR, HELD_OUT

log = logging.getLogger(__name__)

BATCH = 32  # crops attacked at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class RobustOptions:
    """``stages`` times: attack every picture within ``eps`` (L-inf, pixels in [0, 1]) by ``attack``
    steps of PGD, then tune ``steps`` on clean features and on all attacked ones so far."""

    stages: int = 3
    steps: int = 100
    attack: int = 5
    eps: float = 4 / 255
    learning_rate: float = 3e-4

    def __post_init__(self) -> None:
        if min(self.stages, self.steps, self.attack) < 1 or not 0 <= self.eps <= 1:
            raise ConfigError("stages, steps and attack must be at least 1 and eps in [0, 1]")


@dataclass(frozen=True, kw_only=True, eq=False)
class PublicCrops:
    """Public people with their pictures, whose ``features`` (N, D) are those of ``trunk``."""

    faces: FaceSet
    features: NDArray[np.float32]
    trunk: Trunk


def tune_robust(
    tail: Tail, public: PublicCrops, options: RobustOptions, rng: np.random.Generator
) -> Tail:
    """``tail`` after as many stages as helped a held-out fifth of the public people.

    The held-out people do not train: what is returned is the tail that they chose. With fewer
    than ten people nobody is held out and all stages are taken.
    """
    person = public.faces.person
    people = rng.permutation(np.unique(person))
    few = len(people) < 2 * HELD_OUT
    held = np.isin(person, people[: 0 if few else len(people) // HELD_OUT])
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    attacked = attacked_features(tail, public, options, generator)
    best, best_score, now = tail, _score(tail, public, attacked, held), tail
    views = public.features[:, None]
    for stage in range(options.stages):
        views = np.concatenate([views, attacked[:, None]], axis=1)
        now = _tune(now, views[~held], person[~held], options, rng)
        attacked = attacked_features(now, public, options, generator)
        score = _score(now, public, attacked, held)
        log.info("robust tuning, stage %d: %.3f, best %.3f", stage + 1, score, best_score)
        if few or score > best_score:
            best, best_score = now, score
    return best


def attacked_features(
    tail: Tail, public: PublicCrops, options: RobustOptions, generator: torch.Generator
) -> NDArray[np.float32]:
    """Features (N, D) of every public crop moved away from the same person's other pictures."""
    faces, module = public.faces, public.trunk.module
    templates = torch.from_numpy(own_templates(tail.embed(public.features), faces.person))
    face, pgd = Face(public.trunk, tail), Pgd(steps=options.attack)
    made = np.empty_like(public.features)
    for start in range(0, len(faces), BATCH):
        rows = range(start, min(start + BATCH, len(faces)))
        trials = Trials(to_pixels(faces.crops(rows)), templates[list(rows)], "dodge", 0.0)
        moved = pgd(face, trials, Budget("linf", options.eps), generator)
        with torch.no_grad():
            made[rows.start : rows.stop] = module(moved).numpy()
    return made


def own_templates(
    embeddings: NDArray[np.float32], person: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(N, E) unit rows: the mean of the same person's other pictures, or one's own if alone."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    template: NDArray[np.float32] = np.empty_like(unit)
    for one in np.unique(person):
        rows = np.flatnonzero(person == one)
        others = unit[rows].sum(axis=0) - unit[rows] if len(rows) > 1 else unit[rows]
        template[rows] = others / np.linalg.norm(others, axis=1, keepdims=True)
    return template


def _tune(
    tail: Tail,
    views: NDArray[np.float32],
    person: NDArray[np.int64],
    options: RobustOptions,
    rng: np.random.Generator,
) -> Tail:
    """Half of what is drawn is clean, however many attacks there have been."""
    attacks = views.shape[1] - 1
    balanced = np.concatenate([np.repeat(views[:, :1], attacks, axis=1), views[:, 1:]], axis=1)
    how = TuningOptions(steps=options.steps, learning_rate=options.learning_rate)
    return tune_tail(tail, balanced, person, how, rng)


def _score(
    tail: Tail, public: PublicCrops, attacked: NDArray[np.float32], held: NDArray[np.bool_]
) -> float:
    """Mean of the shares of genuine pairs accepted, clean and attacked; 0 where nobody can say."""
    person = public.faces.person[held]
    if len(np.unique(person)) < 2:
        return 0.0
    pairs = Pairs.of(person)
    clean = tail.embed(public.features[held])
    scores = pairs.score(clean)
    threshold = threshold_at_far(np.sort(scores.impostor), FAR)
    if threshold is None or not len(scores.genuine):
        return 0.0
    moved = tail.embed(attacked[held])
    own = (moved * own_templates(clean, person)).sum(1) / np.linalg.norm(moved, axis=1)
    return float((scores.genuine >= threshold).mean() + (own >= threshold).mean()) / 2
