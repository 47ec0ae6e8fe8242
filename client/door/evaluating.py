"""How a release does on the people of this site: figures for the operator's own eyes.

Guarantee: reads features and thresholds, changes nothing, and has no way out: it is shown on the
terminal of whoever holds the site's folder. Nothing leaves, so nothing is charged to the ledger; an
evaluation that the centre asks for is another thing, and paid for (``client.privacy.evaluation``).
Only people who agreed to be compared count. Of fewer than 20 nothing is told, and never a name.
Leaks: to whoever reads that terminal, rates with one digit, and people rounded down to fives.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.door.measures import Measure, Pictures
from client.door.thresholds import Band, Calibration
from common.metrics.fairness import LEAST_PEOPLE
from common.metrics.impostors import Faces, by_person, claims_between
from common.models.tail import Tail

FIVES = 5  # people are told in
LEAST_ERRORS = 3  # expected errors, of which none is seen one time in twenty

Step = Callable[[int], None]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class Own:
    """Features (N, D) of the site's people who agreed, whose they are (N,), and their quality."""

    features: NDArray[np.float32]
    person: NDArray[np.int64]
    quality: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalFigures:
    """What one release does here. ``fnmr``: how often a picture of somebody is not taken for them
    by their other pictures; ``fmr``: how often a public stranger is taken for somebody. None where
    too few people or comparisons say it; "below" says that nothing went wrong among so many."""

    people: int  # with two pictures, rounded down to fives; 0 where they are too few to be told
    strangers: int
    fnmr: str | None
    fmr: str | None


def evaluate(
    own: Own,
    strangers: Faces,
    tail: Tail,
    decided: tuple[Calibration, Measure],
    step: Step = lambda people: None,
) -> LocalFigures:
    """The figures of ``tail`` at the thresholds and by the measure that decide.

    ``strangers`` are features of public people; ``step`` hears of every person that is done.
    """
    calibration, measure = decided
    pictures = Pictures(
        features=own.features, embeddings=tail.embed(own.features), quality=own.quality
    )
    groups = [group for group in by_person(own.person) if len(group) > 1]
    people = len(groups)
    if people < LEAST_PEOPLE:
        return LocalFigures(people=0, strangers=0, fnmr=None, fmr=None)
    refused = trials = 0
    for group in groups:
        scores = _against_others(pictures.of(group), measure)
        bands = [calibration.decide(float(score)) for score in scores]
        refused += sum(band is not Band.MATCH for band in bands)
        trials += len(bands)
        step(1)
    here = measure.enrolled(pictures, own.person)
    there = Faces(measure.rows(tail.embed(strangers.embeddings)), strangers.person)
    told = there.people >= LEAST_PEOPLE
    return LocalFigures(
        people=_fives(people),
        strangers=_fives(there.people) if told else 0,
        fnmr=_coarse(refused, trials),
        fmr=_false_matches(here, there, calibration) if told else None,
    )


def _against_others(pictures: Pictures, measure: Measure) -> NDArray[np.float32]:
    """(k,): each of a person's k ``pictures`` as a claim, decided by the k - 1 others."""
    rows = measure.rows(pictures.embeddings)
    if not measure.pools:
        cosines = rows @ rows.T
        np.fill_diagonal(cosines, -np.inf)
        return np.asarray(cosines.max(axis=1), np.float32)
    number = np.arange(len(rows))
    others = [number[number != at] for at in number]
    pooled = measure.rows(measure.together(pictures, others))
    return np.asarray((rows * pooled).sum(axis=1), np.float32)


def _false_matches(here: Faces, there: Faces, calibration: Calibration) -> str | None:
    claims = claims_between(here, there, most=1.0)
    level = np.float32(calibration.verify.match)
    return _coarse(int(np.count_nonzero(claims.score >= level)), claims.comparisons)


def _coarse(errors: int, trials: int) -> str | None:
    """The rate with one digit; where nothing went wrong, what it is below (rule of three)."""
    if trials < LEAST_PEOPLE:
        return None
    if not errors:
        bound = LEAST_ERRORS / trials
        unit = 10.0 ** math.floor(math.log10(bound))
        return f"below {math.ceil(bound / unit - 1e-9) * unit:.0e}"
    return f"{errors / trials:.0e}"


def _fives(people: int) -> int:
    return people // FIVES * FIVES
