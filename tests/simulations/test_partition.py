"""However people are dealt: everybody once, nobody with a single picture, no site left empty."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ScenarioError
from simulations.material import Labels
from simulations.partition import able, drawn_sizes, first_people, seats
from simulations.settings import Dealing, Partition

WAYS: tuple[Partition, ...] = ("equal", "dirichlet", "camera", "attribute")


def labels(people: int = 60, kinds: int = 3, groups: int = 2, taken: bool = False) -> Labels:
    """``people`` with one to five pictures; every third picture of a person looks otherwise."""
    rng = np.random.default_rng(people)
    person = np.repeat(np.arange(people), rng.integers(1, 6, people))
    group = (person + (np.arange(len(person)) % 3 == 0)) % groups
    return Labels(
        types=tuple("abcde"[:kinds]),
        person=person,
        fold=np.ones(len(person), np.int8),
        taken=rng.integers(0, kinds, len(person)) if taken else None,
        attribute=group,
    )


def dealing(partition: Partition, **more: object) -> Dealing:
    attribute = "hat" if partition == "attribute" else ""
    return Dealing(partition=partition, attribute=attribute, **more)  # type: ignore[arg-type]


def deal(known: Labels, sites: int, how: Dealing, seed: int = 0) -> dict[int, set[int]]:
    """The people of each site; checks that each has all pictures there that may be seen."""
    everything = np.arange(len(known.person))
    dealt = seats(known, everything, sites, how, np.random.default_rng(seed))
    for number, pictures in dealt.items():
        mine = np.flatnonzero(np.isin(known.person, known.person[pictures]))
        np.testing.assert_array_equal(pictures, known.seen(mine, number % len(known.types)))
    return {number: set(known.person[p].tolist()) for number, p in dealt.items()}


@given(
    partition=st.sampled_from(WAYS),
    people=st.integers(30, 80),
    sites=st.integers(1, 9),
    alpha=st.sampled_from([1e-3, 0.1, 1.0, 100.0]),
    taken=st.booleans(),
    seed=st.integers(0, 99),
)
def test_everybody_who_has_two_pictures_goes_to_exactly_one_site(
    partition: Partition, people: int, sites: int, alpha: float, taken: bool, seed: int
) -> None:
    known = labels(people, taken=taken)
    try:
        dealt = deal(known, sites, dealing(partition, alpha=alpha), seed)
    except ScenarioError:
        assert taken  # so few have two pictures at one of the cameras
        return
    assert set(dealt) == set(range(sites))
    assert all(dealt.values())
    everybody = [person for there in dealt.values() for person in there]
    assert len(everybody) == len(set(everybody))
    two = set(able(known, np.arange(len(known.person))).tolist())
    assert set(everybody) <= two
    assert taken or set(everybody) == two
    assert dealt == deal(known, sites, dealing(partition, alpha=alpha), seed)


@given(
    partition=st.sampled_from(["equal", "attribute"]),
    few=st.integers(2, 4),
    taken=st.booleans(),
    seed=st.integers(0, 99),
)
def test_more_people_a_site_keep_those_who_were_there(
    partition: Partition, few: int, taken: bool, seed: int
) -> None:
    known = labels(300, taken=taken)
    smaller, larger, all_of_them = (
        deal(known, 6, dealing(partition, people=people), seed) for people in (few, few + 3, None)
    )
    for number in range(6):
        assert len(smaller[number]) == few
        assert len(larger[number]) == few + 3
        assert smaller[number] < larger[number] < all_of_them[number]


def test_too_few_people_are_told_with_all_counts() -> None:
    known = labels(30)
    two = len(able(known, np.arange(len(known.person))))
    with pytest.raises(ScenarioError, match=f"{two} people .* fill 6 sites with 9 people each"):
        deal(known, 6, dealing("equal", people=9))
    for way in ("equal", "dirichlet", "camera"):
        with pytest.raises(ScenarioError, match=f"{two} people .* cannot fill {two + 1} sites"):
            deal(known, two + 1, dealing(way))


def test_even_dealing_is_even() -> None:
    sizes = [len(people) for people in deal(labels(), 7, dealing("equal")).values()]
    assert max(sizes) - min(sizes) <= 1


def spread(partition: Partition, alpha: float) -> float:
    """Mean over seeds of the largest site's share."""
    known = labels(400)
    shares = []
    for seed in range(20):
        sizes = [len(p) for p in deal(known, 8, dealing(partition, alpha=alpha), seed).values()]
        shares.append(max(sizes) / sum(sizes))
    return float(np.mean(shares))


def test_a_small_alpha_makes_a_few_large_sites_and_a_large_one_equal_ones() -> None:
    assert spread("dirichlet", 0.05) > 0.6
    assert 1 / 8 <= spread("dirichlet", 1e5) < 1 / 8 + 0.01
    assert spread("equal", 0.05) < 1 / 8 + 0.01


@given(
    least=st.lists(st.integers(0, 5), min_size=1, max_size=20),
    spare=st.integers(0, 500),
    alpha=st.floats(1e-6, 1e6),
    seed=st.integers(0, 99),
)
def test_drawn_sizes_add_up_and_leave_nobody_below_the_least(
    least: list[int], spare: int, alpha: float, seed: int
) -> None:
    people = sum(least) + spare
    sizes = drawn_sizes(people, least, alpha, np.random.default_rng(seed))
    assert sum(sizes) == people
    assert all(size >= low for size, low in zip(sizes, least, strict=True))


def test_by_camera_types_differ_in_size_and_sites_of_one_do_not() -> None:
    known = labels(600)
    dealt = deal(known, 9, dealing("camera", alpha=0.3), 1)
    sizes = np.array([len(dealt[number]) for number in range(9)]).reshape(3, 3)
    assert (np.ptp(sizes, axis=0) <= 1).all()  # three sites of each type
    assert (np.ptp(sizes, axis=1) > 20).all()


def purity(**how: Any) -> float:
    """The mean share of a site's commoner group, of ten people a site."""
    known = labels(400)
    group = {p: int(np.bincount(known.attribute[known.person == p]).argmax()) for p in range(400)}
    shares = []
    for seed in range(10):
        for people in deal(known, 8, dealing(people=10, **how), seed).values():
            count = np.bincount([group[p] for p in people], minlength=2)
            shares.append(count.max() / count.sum())
    return float(np.mean(shares))


def test_a_small_alpha_makes_sites_of_people_alike_and_a_large_one_mixes_them() -> None:
    assert purity(partition="attribute", alpha=1e-3) > 0.97
    mixed = purity(partition="attribute", alpha=1e4)
    assert mixed == pytest.approx(purity(partition="equal"), abs=0.03)
    assert mixed < 0.75


def test_a_person_belongs_to_the_group_of_most_pictures() -> None:
    person = np.repeat(np.arange(40), 3)
    odd = np.arange(120) % 3 == 0  # one picture of three shows otherwise
    known = dataclasses.replace(
        labels(40),
        person=person,
        fold=np.ones(120, np.int8),
        attribute=np.where(odd, 1 - person % 2, person % 2),
    )
    dealt = deal(known, 4, dealing("attribute", alpha=1e-6, people=3))
    assert all(len({p % 2 for p in people}) == 1 for people in dealt.values())


def test_grouping_by_what_is_not_known_is_refused() -> None:
    known = dataclasses.replace(labels(), attribute=None)
    with pytest.raises(ScenarioError, match="needs faces with attributes"):
        deal(known, 3, dealing("attribute"))


def test_a_declared_site_keeps_its_first_people_too() -> None:
    known = labels(40)
    everything = np.arange(len(known.person))
    few, more = (
        set(known.person[first_people(known, everything, n, np.random.default_rng(3))].tolist())
        for n in (5, 9)
    )
    assert (len(few), len(more)) == (5, 9)
    assert few < more
    with pytest.raises(ScenarioError, match="40 people with two pictures, not 41"):
        first_people(known, everything, 41, np.random.default_rng(3))
