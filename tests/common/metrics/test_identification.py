"""Searches are ranked and refused as ISO/IEC 19795-1 says, ties against the embedder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.metrics.identification import Roles, Searches, deal_roles, search

PEOPLE = st.lists(st.integers(0, 7), min_size=2, max_size=40)


def plane(*degrees: float) -> NDArray[np.float64]:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def roles(gallery: list[int], probes: list[int], strangers: list[int]) -> Roles:
    arrays = (np.array(part, np.int64) for part in (gallery, probes, strangers))
    return Roles(**dict(zip(("gallery", "probes", "strangers"), arrays, strict=True)))


def test_hand_computed_searches() -> None:
    # Templates: person 0 at 0 and 20 degrees, so at 10; person 1 at 60; person 2 at 90.
    # Mated:  0 at 40 degrees is 30 from its own, 20 from person 1, 50 from person 2: rank 2.
    #         1 at 60 is 0 from its own: rank 1.
    #         2 at 0 is 90 from its own, 60 from person 1, 10 from person 0: rank 3.
    # Strangers at 75 and 180 degrees: nearest templates are 15 and 90 degrees away.
    made = plane(0, 20, 60, 90, 40, 60, 0, 75, 180)
    person = [0, 0, 1, 2, 0, 1, 2, 8, 9]
    found = search(made, person, roles([0, 1, 2, 3], [4, 5, 6], [7, 8]))
    assert found.people == 3
    assert found.rank.tolist() == [2, 1, 3]
    assert found.score.tolist() == pytest.approx(np.cos(np.radians([30, 0, 90])), abs=1e-6)
    assert found.stranger.tolist() == pytest.approx(np.cos(np.radians([15, 90])), abs=1e-6)
    assert found.cmc(10) == pytest.approx([1 / 3, 2 / 3, 1])
    assert (found.rank_k(1), found.rank_k(2)) == pytest.approx((1 / 3, 2 / 3))


def test_hand_computed_open_set() -> None:
    # 100 strangers, 10 of them at .5 and above, so FPIR .1 puts the threshold just above .4.
    # Of four mated searches: .9 at rank 1, .45 at rank 1, .4 at rank 1 (refused), .8 at rank 2.
    stranger = np.array([0.4] * 90 + [0.5] * 10, np.float32)
    score = np.array([0.9, 0.45, 0.4, 0.8], np.float32)
    found = Searches(np.arange(4), np.array([1, 1, 1, 2]), score, stranger, 9)
    assert found.threshold(0.1) == pytest.approx(0.4, abs=1e-6)
    assert found.dir_at_fpir(0.1) == 0.5
    assert found.fnir_at_fpir(0.1) == 0.5
    assert found.fnir_at_fpir(0.1, rank=2) == 0.25
    # At FPIR .5 the ninety ties cannot be let in together: the threshold stays.
    assert found.dir_at_fpir(0.5) == 0.5
    assert found.dir_at_fpir(1.0) == 0.75


def test_too_few_strangers_say_nothing() -> None:
    none = np.zeros(99, np.float32)
    found = Searches(np.zeros(1, int), np.ones(1, int), np.ones(1, np.float32), none, 1)
    assert found.fnir_at_fpir(0.1) is None  # 9.9 expected false positives
    assert found.dir_at_fpir(0.11) == 1.0
    nobody = Searches(np.zeros(0, int), np.zeros(0, int), np.zeros(0, np.float32), none, 1)
    assert (nobody.rank_k(1), nobody.cmc(3), nobody.fnir_at_fpir(0.5)) == (None, [], None)


def test_an_embedder_that_says_one_thing_of_everybody_finds_nobody_first() -> None:
    person = [0, 0, 1, 1, 2, 2]
    found = search(np.ones((6, 3)), person, roles([0, 2, 4], [1, 3, 5], []))
    assert found.rank.tolist() == [3, 3, 3]
    assert found.rank_k(1) == 0


def test_template_is_the_mean_of_directions_not_of_vectors() -> None:
    made = np.concatenate([1000 * plane(0), plane(90), plane(45, 0)])
    found = search(made, [0, 0, 0, 1], roles([0, 1, 3], [2], []))
    assert found.score.tolist() == pytest.approx([1.0], abs=1e-6)


@given(people=PEOPLE, enrolled=st.integers(1, 3), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_roles_share_out_every_picture(
    people: list[int], enrolled: int, share: float, seed: int
) -> None:
    person = np.array(people)
    dealt = deal_roles(person, seed=seed, enrolled=enrolled, strangers=share)
    parts = [dealt.gallery, dealt.probes, dealt.strangers]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(person)))
    inside, outside = set(person[dealt.gallery]), set(person[dealt.strangers])
    assert not inside & outside
    assert set(person[dealt.probes]) <= inside
    assert len(outside) == round(share * len(set(people)))
    counts = np.bincount(person[dealt.gallery], minlength=8)
    assert all(counts[p] == min(enrolled, people.count(p)) for p in inside)
    again = deal_roles(person, seed=seed, enrolled=enrolled, strangers=share)
    assert all((a == b).all() for a, b in zip(parts, _parts(again), strict=True))


@given(people=PEOPLE, seed=st.integers(0, 10**6))
def test_searches_agree_with_brute_force(people: list[int], seed: int) -> None:
    person = np.array(people)
    made = np.random.default_rng(seed).integers(-2, 3, (len(person), 3)).astype(float)
    dealt = deal_roles(person, seed=seed, strangers=0.4)
    if not len(dealt.gallery):
        return
    found = search(made, person, dealt)
    unit = [row / np.linalg.norm(row) if row.any() else row for row in made]
    enrolled = {int(person[i]): unit[i] for i in dealt.gallery}
    for place, probe in enumerate(dealt.probes):
        scores = {p: float(unit[probe] @ t) for p, t in enrolled.items()}
        own = scores.pop(int(person[probe]))
        ahead = sum(s > own + 1e-6 for s in scores.values())
        level = sum(abs(s - own) <= 1e-6 for s in scores.values())
        assert ahead < found.rank[place] <= 1 + ahead + level
        assert found.score[place] == pytest.approx(own, abs=1e-6)
    for place, probe in enumerate(dealt.strangers):
        best = max(float(unit[probe] @ t) for t in enrolled.values())
        assert found.stranger[place] == pytest.approx(best, abs=1e-6)


@given(seed=st.integers(0, 10**6), shift=st.integers(-500, 500))
def test_names_of_people_do_not_matter_and_rates_rise_with_rank_and_fpir(
    seed: int, shift: int
) -> None:
    rng = np.random.default_rng(seed)
    person = rng.integers(0, 12, 120)
    made = rng.standard_normal((120, 8)) + rng.standard_normal((12, 8))[person]
    dealt = deal_roles(person, seed=seed)
    found, other = search(made, person, dealt), search(made, shift - 3 * person, dealt)
    assert (found.rank == other.rank).all()
    assert (np.sort(found.stranger) == np.sort(other.stranger)).all()
    curve = found.cmc(50)
    assert len(curve) == found.people
    assert curve == sorted(curve)
    assert curve[-1] == 1
    rates = [found.dir_at_fpir(f) for f in (0.3, 0.6, 1.0)]
    known = [r for r in rates if r is not None]
    assert known == sorted(known)
    assert found.dir_at_fpir(1.0) == found.rank_k(1)


def test_impossible_galleries_are_programming_mistakes() -> None:
    with pytest.raises(ValueError, match="at least one person"):
        search(plane(0, 1), [0, 1], roles([], [], [0, 1]))
    with pytest.raises(ValueError, match="not in the gallery"):
        search(plane(0, 1), [0, 1], roles([0], [1], []))
    with pytest.raises(ValueError, match="cannot enrol 0"):
        deal_roles([0], seed=0, enrolled=0)


def _parts(dealt: Roles) -> list[NDArray[np.int64]]:
    return [dealt.gallery, dealt.probes, dealt.strangers]
