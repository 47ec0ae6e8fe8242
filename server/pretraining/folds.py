"""Cross-validation: K trunks, each judged by people that neither its training nor its stop saw.

People, never pictures, are dealt to folds. The interval redraws people within each fold.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import ConfigError, DataSetError
from common.faces.faceset import FaceSet
from common.faces.splits import split, with_folds
from common.metrics.intervals import estimate, person_weights
from common.metrics.repeats import Measured
from common.metrics.verification import LEAST_IMPOSTORS, Pairs, allowed_impostors
from common.models.manifest import NAME
from common.models.trunk import load_trunk
from server.pretraining.checking import CHECK_FAR, CheckSet
from server.pretraining.options import PretrainOptions, Report
from server.pretraining.standing import Keeper
from server.pretraining.trunk import pretrain

_DRAWS = 1000  # of people, in each fold

Begin = Callable[[int], tuple[Report, Keeper | None]]
"""Asked before each fold, from 1: who is told of its progress, and what keeps its standing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Validated:
    """TAR at FAR 1e-2 of each fold's people under the network that never saw them."""

    by_fold: tuple[float, ...]
    tar: float  # mean over folds
    ci95: tuple[float, float]


def cross_validate(
    faces: FaceSet, folder: Path, options: PretrainOptions, folds: int, begin: Begin
) -> Validated:
    """Trains ``folds`` trunks into ``folder``/fold-1, fold-2, ... and judges each by its fold.

    A fold whose trunk is there already is only judged; ``RunError`` where its keeper knows of
    another training. Raises ``DataSetError`` where a fold has too few people to say anything.
    """
    if folds < 2:
        raise ConfigError(f"folds: need at least 2, got {folds}")
    dealt = with_folds(dataclasses.replace(faces, fold=None), folds)
    parts = [split(dealt, str(number)) for number in range(1, folds + 1)]
    checks = [
        CheckSet(part, options, np.random.default_rng([options.seed, number]))
        for number, part in enumerate(parts)
    ]
    judged = [Pairs.of(check.person) for check in checks]
    if not all(_enough(pairs) for pairs in judged):
        raise DataSetError("a fold has too few people to judge by; ask for fewer folds")
    tars, draws = [], []
    for number, (check, pairs) in enumerate(zip(checks, judged, strict=True), start=1):
        place = folder / f"fold-{number}"
        report, keeper = begin(number)
        if not (place / NAME).exists():
            others = dealt.subset(~np.isin(dealt.person, parts[number - 1].people))
            pretrain(others, place, options, report, keeper)
        elif keeper is not None:
            keeper.kept()  # or its people may be those that it learned
        trunk, tail = load_trunk(place)
        weights = person_weights(pairs.people, _DRAWS, [options.seed, number])
        found = estimate(tail.embed(trunk.features(check.crops)), pairs, weights, (CHECK_FAR,))
        tars.append(float(found.tar[0]))
        draws.append(found.draws[0])
    measured = Measured.of(np.array(tars)[:, None], np.stack(draws)[:, None])
    low, high = measured.interval()
    return Validated(by_fold=tuple(tars), tar=measured.value, ci95=(low, high))


def _enough(pairs: Pairs) -> bool:
    impostors = allowed_impostors(CHECK_FAR, len(pairs.impostor))
    return len(pairs.genuine) > 0 and impostors >= LEAST_IMPOSTORS
