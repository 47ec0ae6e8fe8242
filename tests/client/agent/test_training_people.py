"""Whoever is at a site, its answers look alike, and nobody moves one by more than the clip."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.agent import mechanisms
from client.agent.people import SitePeople
from client.privacy.entropy import OsEntropy
from common.privacy import accountant
from tests.small_site import (
    RUN,
    SUM,
    Arrays,
    D,
    Site,
    accepted,
    features,
    frame,
    initial,
    long_plan,
    mean_plan,
    noiseless,
    offer,
    request,
)

# What the site holds changes neither the shape of an answer nor whether there is one.

HOLDINGS: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "nobody": (np.empty((0, D), np.float32), np.empty(0, np.int64)),
    "one picture": (features(1, 1), np.zeros(1, np.int64)),
    "one-picture people": (features(4, 1), np.arange(4)),
    "many": (features(40, 2), np.repeat(np.arange(40), 2)),
    "nan": (np.full((4, D), np.nan, np.float32), np.repeat(np.arange(2), 2)),
    "infinite": (np.full((4, D), np.inf, np.float32), np.repeat(np.arange(2), 2)),
    "huge": (np.full((4, D), 3e38, np.float32), np.repeat(np.arange(2), 2)),
}


@pytest.mark.parametrize("held", sorted(HOLDINGS))
def test_whoever_is_at_a_site_it_answers_alike_and_charges_alike(site: Site, held: str) -> None:
    site.features, site.person = HOLDINGS[held]
    room = accepted(site, long_plan())
    for number in range(1, 5):
        left = room.train(RUN, number, request(number))
        for array in left.values():
            assert np.isfinite(array).all()
    assert site.kinds() == ["accept", *["reserve", "release"] * 4]
    cost = accountant.epsilon(long_plan().events(), 1e-4)
    assert site.ledger.epsilon() == pytest.approx(cost, abs=0.01)


def test_a_broken_person_counts_as_zero_and_nobody_else_changes(site: Site) -> None:
    whole = moment(site, features(4, 2))
    broken = features(5, 2)
    broken[:8] = features(4, 2)
    broken[9, 0] = np.nan
    np.testing.assert_allclose(moment(site, broken, "r2"), whole, atol=1e-6)


def moment(site: Site, held: np.ndarray, run: str = RUN) -> np.ndarray:
    """The mean release of people with two pictures each, without its noise."""

    class Silent(OsEntropy):
        def normal(self, n: int) -> np.ndarray:
            return np.zeros(n)

    site.entropy = Silent()
    site.features, site.person = held, np.repeat(np.arange(len(held) // 2), 2)
    room = site.training()
    room.accept(offer(mean_plan(), run))
    return np.asarray(room.train(run, 1, frame())[SUM])


@given(
    pictures=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
    seed=st.integers(0, 99),
)
def test_a_person_moves_a_moment_by_at_most_the_clip(
    pictures: list[int], scale: float, seed: int
) -> None:
    plan = noiseless(long_plan())
    person = np.repeat(np.arange(len(pictures)), pictures)
    held = scale * features(len(person), 1, seed)
    for current in plan.rounds[:2]:
        terms = mechanisms.Terms(0.0, OsEntropy(), plan.people)
        sums = [
            next(iter(release(current, held[keep], person[keep], terms).values()))
            for keep in (person >= 0, person > 0)
        ]
        assert np.linalg.norm(sums[0] - sums[1]) <= current.mechanism.clip * (1 + 1e-5)


def release(current: Any, held: np.ndarray, person: np.ndarray, terms: Any) -> Arrays:
    people = SitePeople(held, person)
    return mechanisms.release(current, frame(), people, features(8, 1), terms)


@pytest.mark.parametrize("size", [1e30, 3e38])
def test_absurd_coordinates_do_not_change_what_a_person_may_move(site: Site, size: float) -> None:
    room = site.training()
    room.accept(offer(long_plan(), arrays={n: np.full_like(a, size) for n, a in initial().items()}))
    for number in range(1, 5):
        shared = {n: np.full_like(a, size) for n, a in request(number).items()}
        for array in room.train(RUN, number, shared).values():
            assert np.isfinite(array).all()


def test_nothing_of_a_site_is_printed(site: Site) -> None:
    site.features[:] = 0.123456789
    room = site.training()
    for thing in (room, SitePeople(site.features, site.person)):
        told = re.sub(r"0x[0-9a-f]+", "", repr(thing))  # but for where it lies in memory
        assert "0.123" not in told and "15" not in told
    assert math.isfinite(site.ledger.epsilon())
