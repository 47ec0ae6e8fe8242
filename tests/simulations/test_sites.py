"""Who is where: nobody in two places, everybody's report seen through every declared camera."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DataSetError, ScenarioError
from common.faces.faceset import FaceSet
from simulations.material import Labels, labels_of
from simulations.sites import (
    Folds,
    SimulatedSite,
    check_people,
    judged_sites,
    open_sites,
    pictures_of_folds,
    report_pictures,
    rotation,
)
from tests.small_world import TURN, small_scenario


def labels(people: int = 60, pictures: int = 4) -> Labels:
    person = np.repeat(np.arange(people), pictures)
    return Labels(
        types=("door", "hall", "yard"), person=person, fold=(1 + person % 6).astype(np.int8)
    )


def declared(people: int = 12, pictures: int = 6) -> Labels:
    """Sites 0, 1, 2 with four people each but the last four, who report; one type a site."""
    person = np.repeat(np.arange(people), pictures)
    site = np.where(person < people - 4, person % 3, -1)
    taken = np.where(site >= 0, site, np.arange(len(person)) % 3)
    return Labels(
        types=("door", "hall", "yard"),
        person=person,
        fold=np.ones(len(person), np.int8),
        taken=taken,
        site=site,
    )


def people_of(known: Labels, sites: list[SimulatedSite]) -> list[set[int]]:
    return [set(known.person[site.pictures].tolist()) for site in sites]


@pytest.mark.parametrize(
    ("train", "choose", "report"),
    [({1, 2}, {3}, {2}), ({1}, {2}, {2}), ({1, 2}, {2}, {3}), (set(), {1}, {2}), ({1}, {2}, set())],
)
def test_folds_that_overlap_or_are_empty_are_refused(train: set, choose: set, report: set) -> None:
    with pytest.raises(ScenarioError):
        Folds(train=frozenset(train), choose=frozenset(choose), report=frozenset(report))


@given(st.sets(st.integers(0, 20), min_size=3, max_size=8))
def test_rotation_reports_every_fold_once_and_uses_all(folds: set[int]) -> None:
    turns = rotation(frozenset(folds))
    assert sorted(min(t.report) for t in turns) == sorted(folds)
    assert sorted(min(t.choose) for t in turns) == sorted(folds)
    for turn in turns:
        assert turn.train | turn.choose | turn.report == folds


def test_rotation_of_two_folds_is_refused() -> None:
    with pytest.raises(ScenarioError, match="at least three folds"):
        rotation(frozenset({1, 2}))


def test_people_are_dealt_evenly_and_nobody_twice() -> None:
    known = labels()
    sites = open_sites(known, small_scenario(sites=7), TURN, 0)
    people = people_of(known, sites)
    assert sorted(map(len, people)) == [4] * 5 + [5] * 2
    assert sum(map(len, people)) == len(set().union(*people)) == 30
    assert [site.camera for site in sites] == [0, 1, 2, 0, 1, 2, 0]
    for site in sites:  # with all their pictures
        mine = np.flatnonzero(np.isin(known.person, known.person[site.pictures]))
        np.testing.assert_array_equal(site.pictures, mine)


def test_no_report_or_development_person_is_at_a_site() -> None:
    known = labels()
    trained = set().union(*people_of(known, open_sites(known, small_scenario(), TURN, 0)))
    others = {int(p) for p in np.unique(known.person) if 1 + p % 6 not in TURN.train}
    assert not trained & others
    assert set(known.person[report_pictures(known, small_scenario(), TURN.report)]) <= others


def test_another_seed_deals_otherwise_and_the_same_seed_the_same() -> None:
    known = labels()
    first, again, other = (
        people_of(known, open_sites(known, small_scenario(), TURN, seed)) for seed in (0, 0, 1)
    )
    assert first == again != other


def test_one_picture_people_train_nobody() -> None:
    person = np.array([0, 1, 1, 2, 3, 3, 4, 4, 5])
    known = dataclasses.replace(labels(), person=person, fold=np.ones(9, np.int8))
    sites = open_sites(known, small_scenario(sites=3), TURN, 0)
    assert set().union(*people_of(known, sites)) == {1, 3, 4}


def test_too_few_people_are_told_with_both_counts() -> None:
    with pytest.raises(ScenarioError, match="30 people with two pictures cannot fill 31 sites"):
        open_sites(labels(), small_scenario(sites=31), TURN, 0)
    with pytest.raises(ScenarioError, match="0 people with two pictures cannot fill 6 sites"):
        check_people(labels(pictures=1), small_scenario(), [TURN])


def test_nobody_to_report_is_told() -> None:
    turn = Folds(train=frozenset({1}), choose=frozenset(), report=frozenset({9}))
    with pytest.raises(ScenarioError, match=r"nobody to report in folds \[9\]"):
        check_people(labels(), small_scenario(), [turn])


def test_report_people_bring_a_limited_number_of_pictures() -> None:
    known = labels(pictures=5)
    kept = report_pictures(known, small_scenario(report_pictures=3), TURN.report)
    assert set(np.unique(known.person[kept], return_counts=True)[1]) == {3}
    assert (np.diff(kept) > 0).all()
    first = np.flatnonzero(known.person == known.person[kept[0]])[:3]
    np.testing.assert_array_equal(kept[:3], first)


def test_declared_sites_are_taken_as_they_are() -> None:
    known = declared()
    sites = open_sites(known, small_scenario(sites=50), TURN, 0)
    assert [site.name for site in sites] == ["site-00", "site-01", "site-02"]
    assert [site.camera for site in sites] == [0, 1, 2]
    assert people_of(known, sites) == [{0, 3, 6}, {1, 4, 7}, {2, 5}]


def test_report_people_are_seen_at_every_site_of_their_camera_types() -> None:
    known = declared()
    kept = report_pictures(known, small_scenario(), TURN.report)
    assert set(known.person[kept]) == {8, 9, 10, 11}
    for camera in range(3):
        seen = known.seen(kept, camera)
        assert set(known.person[seen]) == {8, 9, 10, 11}
        assert (known.taken[seen] == camera).all()


def test_limit_of_report_pictures_leaves_no_camera_type_out() -> None:
    known = declared(pictures=12)
    order = np.lexsort((known.taken, known.person))  # all of one camera before the next
    sorted_ = dataclasses.replace(
        known, person=known.person[order], taken=known.taken[order], site=known.site[order]
    )
    kept = report_pictures(sorted_, small_scenario(report_pictures=2), TURN.report)
    for camera in range(3):
        seen = sorted_.seen(kept, camera)
        assert set(np.unique(sorted_.person[seen], return_counts=True)[1]) == {2}
        assert len(np.unique(sorted_.person[seen])) == 4


def test_site_with_two_camera_types_is_refused() -> None:
    known = declared()
    mixed = known.taken.copy()
    mixed[0] = 1
    with pytest.raises(ScenarioError, match="site 0 declares 2 camera types, not one"):
        check_people(dataclasses.replace(known, taken=mixed), small_scenario(), [TURN])


def test_declared_site_of_one_picture_people_is_left_out() -> None:
    known = declared()
    only = np.r_[np.flatnonzero(known.site != 2), np.unique(known.person, return_index=True)[1][2]]
    few = dataclasses.replace(
        known,
        person=known.person[only],
        fold=known.fold[only],
        taken=known.taken[only],
        site=known.site[only],
    )
    assert [s.name for s in open_sites(few, small_scenario(), TURN, 0)] == ["site-00", "site-01"]


def test_pack_without_report_people_is_told_so() -> None:
    known = declared()
    site = np.where(known.site < 0, 2, known.site)
    taken = np.where(known.site < 0, 2, known.taken)
    with pytest.raises(ScenarioError, match="site array has no -1"):
        check_people(dataclasses.replace(known, site=site, taken=taken), small_scenario(), [TURN])


def test_people_of_packs_with_camera_types_are_dealt_to_sites_of_their_own_type() -> None:
    person = np.repeat(np.arange(30), 4)
    taken = person % 3
    taken[::4] = (taken[::4] + 1) % 3  # everybody's first picture is from elsewhere
    known = Labels(types=("a", "b", "c"), person=person, fold=np.ones(120, np.int8), taken=taken)
    sites = open_sites(known, small_scenario(sites=7), TURN, 0)
    assert [site.camera for site in sites] == [0, 1, 2, 0, 1, 2, 0]
    for site in sites:
        assert (known.taken[site.pictures] == site.camera).all()
        assert (known.person[site.pictures] % 3 == site.camera).all()
    assert sum(map(len, people_of(known, sites))) == 30


def test_folds_choose_pictures_and_spare_declared_report_people() -> None:
    known = declared()
    assert len(pictures_of_folds(known, frozenset({1}))) == (known.site >= 0).sum()
    assert not len(pictures_of_folds(known, frozenset({2})))


def test_declared_sites_keep_so_many_people_as_the_scenario_says() -> None:
    known = declared()
    sites = open_sites(known, small_scenario(people=2), TURN, 0)
    kept, everybody = people_of(known, sites), people_of(known, open_sites_of(known))
    assert [len(people) for people in kept] == [2, 2, 2]
    assert all(few <= all_of_them for few, all_of_them in zip(kept, everybody, strict=True))
    with pytest.raises(ScenarioError, match=r"a declared site has 2 people .* not 3"):
        open_sites(known, small_scenario(people=3), TURN, 0)


def test_nobody_is_at_two_declared_sites() -> None:
    known = declared()
    assert known.site is not None
    moved = known.site.copy()
    moved[np.flatnonzero(known.person == 4)[-1]] = 2  # who was at site 1 only
    twice = dataclasses.replace(known, site=moved)
    with pytest.raises(
        DataSetError, match="1 of 12 people are at more than one site, such as 1 and 2"
    ):
        open_sites(twice, small_scenario(), TURN, 0)
    with pytest.raises(DataSetError, match="1 and 2"):
        check_people(twice, small_scenario(), [TURN])


def test_sites_that_a_pack_declares_are_not_dealt_otherwise() -> None:
    with pytest.raises(ScenarioError, match="the pack declares its sites"):
        check_people(declared(), small_scenario(partition="dirichlet"), [TURN])


def test_unevenly_dealt_sites_have_unevenly_many_people() -> None:
    known = labels(people=600)
    scenario = small_scenario(partition="dirichlet", alpha=0.2)
    sizes = [len(people) for people in people_of(known, open_sites(known, scenario, TURN, 0))]
    assert sum(sizes) == 300
    assert max(sizes) > 2 * min(sizes)


def test_people_are_grouped_by_an_attribute_of_their_faces() -> None:
    person = np.repeat(np.arange(40), 3)
    faces = FaceSet(
        source=np.empty(len(person)),  # type: ignore[arg-type]
        person=person,
        names=tuple(map(str, range(40))),
        fold=np.ones(len(person), np.int8),
        attributes=np.stack([person < 0, person % 2 == 1], axis=1),
        attribute_names=("beard", "glasses"),
    )
    scenario = small_scenario(
        sites=4, people=4, partition="attribute", attribute="glasses", alpha=1e-3, cameras="none"
    )
    known = labels_of(scenario, faces)
    for people in people_of(known, open_sites(known, scenario, TURN, 0)):
        assert len({person % 2 for person in people}) == 1
    assert faces.attributes is not None
    unsaid = np.where(person[:, None] < 2, -1, faces.attributes)
    partly = labels_of(scenario, dataclasses.replace(faces, attributes=unsaid))
    assert partly.attribute is not None and known.attribute is not None
    assert partly.attribute.tolist() == [2] * 6 + known.attribute[6:].tolist()
    with pytest.raises(ScenarioError, match="no attribute 'hat'; these faces have beard, glasses"):
        labels_of(dataclasses.replace(scenario, attribute="hat"), faces)


def test_judged_sites_are_spread_over_sites_and_cameras() -> None:
    sites = [
        SimulatedSite(name=f"site-{n:03d}", camera=n % 4, pictures=np.arange(2)) for n in range(256)
    ]
    judged = [site.name for site in judged_sites(sites, 16)]
    assert judged == sorted(set(judged))
    assert len(judged) == 16
    assert [sum(int(name[-3:]) % 4 == c for name in judged) for c in range(4)] == [4] * 4
    assert judged[0] < "site-064" < "site-192" <= judged[-1]
    assert judged_sites(sites[:5], 16) == sites[:5]


def open_sites_of(known: Labels) -> list[SimulatedSite]:
    return open_sites(known, small_scenario(), TURN, 0)
