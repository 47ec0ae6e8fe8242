"""Ten thousand people, and the two most alike among them can still be told apart."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from common.synthetic.generate import numbered_person, numbered_variation
from common.synthetic.people import Person
from common.synthetic.renderer import render

PEOPLE = 10_000
PARTS = ("outline", "eyes", "brows", "nose", "mouth", "skin")  # neither hair nor what is worn


def measures(person: Person) -> list[float]:
    parts = (dataclasses.asdict(getattr(person, part)) for part in PARTS)
    return [v for part in parts for v in part.values() if isinstance(v, float)]


def nearest(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Distance to, and number of, everybody's nearest neighbour."""
    far, who = [], []
    length = (rows**2).sum(axis=1)
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        away = length[start : start + 500, None] + length - 2 * part @ rows.T
        away[np.arange(len(part)), start + np.arange(len(part))] = np.inf
        who.append(away.argmin(axis=1))
        far.append(away.min(axis=1))
    return np.sqrt(np.concatenate(far)), np.concatenate(who)


@pytest.mark.slow
def test_no_two_of_ten_thousand_people_are_the_same() -> None:
    people = [numbered_person(0, i) for i in range(PEOPLE)]
    rows = np.array([measures(p) for p in people], np.float32)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    away, who = nearest(rows)
    assert away.min() > 0.3 * np.sqrt(2 * rows.shape[1])  # of what two strangers differ by
    ratios = []
    for one in np.argsort(away)[:20].tolist():
        seen = dataclasses.replace(numbered_variation(0, one, 0), obstacle="none", cut=0.0)
        other = people[int(who[one])]
        twin = dataclasses.replace(
            other, hair=people[one].hair, glasses=people[one].glasses, texture=people[one].texture
        )
        again = dataclasses.replace(seen, pose=jittered(seen.pose, one))
        first, second, repeat = (
            render(p, v).astype(float)
            for p, v in ((people[one], seen), (twin, seen), (people[one], again))
        )
        ratios.append(np.abs(first - second).mean() / np.abs(first - repeat).mean())
    assert np.median(ratios) > 1.5
    assert min(ratios) > 0.8


def jittered(pose, seed: int):  # type: ignore[no-untyped-def]
    """The same pose, found a little elsewhere by the detector."""
    error = np.random.default_rng(seed).normal(0, 0.5, (5, 2)) + np.asarray(pose.jitter)
    return dataclasses.replace(pose, jitter=tuple((float(x), float(y)) for x, y in error))
