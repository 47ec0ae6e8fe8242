"""The jury: the same report people and the same resamples of them for every arm, site and seed."""

import dataclasses

import numpy as np
import pytest

from common.metrics.verification import FARS, tar_at_far
from common.models.tail import Tail
from simulations import evaluation
from simulations.evaluation import Jury
from simulations.material import Material
from simulations.pieces import FMR_GRID
from simulations.sites import open_sites, report_pictures
from tests.small_world import TURN, small_scenario, small_world

SCENARIO = small_scenario()


@pytest.fixture(scope="module")
def material() -> Material:
    return small_world()


def jury(material: Material, fold: int = 5) -> Jury:
    return Jury(material, report_pictures(material, SCENARIO, TURN.report), 50, fold)


def test_pieces_are_aligned_with_the_sites_and_their_cameras(material: Material) -> None:
    sites = open_sites(material, SCENARIO, TURN, 0)
    tails = [material.tail.then(np.eye(12) * (1 + n), np.full(12, n)) for n in range(6)]
    piece = jury(material).judge(sites, tails, spent=tuple(map(float, range(6))))
    assert piece.sites == tuple(site.name for site in sites)
    assert piece.camera_types == ("camera-0", "camera-1", "camera-2") * 2
    assert piece.epsilon_spent == (0, 1, 2, 3, 4, 5)
    assert piece.people == (20,) * 6
    pictures = report_pictures(material, SCENARIO, TURN.report)
    for number, (site, tail) in enumerate(zip(sites, tails, strict=True)):
        seen = tail.embed(material.features[site.camera][pictures])
        exact = tar_at_far(seen, material.person[pictures], FARS)
        wanted = [np.nan if exact[far] is None else exact[far] for far in FARS]
        np.testing.assert_allclose(piece.tar[number], wanted)


def test_an_arm_is_estimated_once_however_often_it_is_judged(
    material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = evaluation.estimate

    def counted(*how: object) -> object:
        asked.append(1)
        return real(*how)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation, "estimate", counted)
    judge = jury(material)
    for seed in range(3):
        judge.judge(open_sites(material, SCENARIO, TURN, seed), [material.tail] * 6)
    assert len(asked) == 3  # one a camera


def test_the_same_people_are_drawn_for_every_arm_and_others_in_another_fold(
    material: Material,
) -> None:
    sites = open_sites(material, SCENARIO, TURN, 0)
    one = jury(material).judge(sites, [material.tail] * 6)
    again = jury(material).judge(sites, [material.tail] * 6)
    other = jury(material, fold=6).judge(sites, [material.tail] * 6)
    np.testing.assert_array_equal(one.draws, again.draws)
    np.testing.assert_array_equal(one.tar, other.tar)
    assert (one.draws[:, 0] != other.draws[:, 0]).any()


def test_tails_must_be_one_a_site(material: Material) -> None:
    with pytest.raises(ValueError, match="zip"):
        jury(material).judge(open_sites(material, SCENARIO, TURN, 0), [material.tail] * 5)


def test_cameras_that_see_some_report_people_share_their_resamples(material: Material) -> None:
    taken = np.zeros(len(material.person), np.int64)
    taken[material.person % 4 == 0] = 1
    as_is = dataclasses.replace(material, taken=taken)
    judge = Jury(as_is, report_pictures(as_is, SCENARIO, TURN.report), 50, 5)
    weights = judge._weights
    people = np.unique(as_is.person[judge.pictures])
    for camera in (0, 1):
        _, pairs, mine = judge._bench(camera)
        seen = np.isin(people, np.unique(as_is.person[as_is.seen(judge.pictures, camera)]))
        np.testing.assert_array_equal(mine, weights[:, seen])
        assert pairs.people == seen.sum()


def test_site_whose_camera_saw_nobody_of_the_report_has_no_estimate(material: Material) -> None:
    taken = np.full(len(material.person), 2)
    taken[np.isin(material.fold, list(TURN.train))] = 0
    as_is = dataclasses.replace(material, taken=taken)
    judge = Jury(as_is, report_pictures(as_is, SCENARIO, TURN.report), 50, 5)
    sites = open_sites(material, small_scenario(sites=1), TURN, 0)
    piece = judge.judge(sites, [material.tail])
    assert piece.people == (0,)
    assert piece.pairs == (0,)
    assert np.isnan(piece.tar).all()
    assert np.isnan(piece.draws).all()


def test_tar_without_an_interval_is_the_same_figure(material: Material) -> None:
    other = Tail(material.tail.weight * 2, material.tail.bias)  # the same embedding, rescaled
    one, same = jury(material).tar(1, material.tail), jury(material).tar(1, other)
    np.testing.assert_allclose(one, same, atol=0.02)


def test_a_piece_keeps_spend_and_notes(material: Material) -> None:
    sites = open_sites(material, SCENARIO, TURN, 0)
    spent = tuple(map(float, range(6)))
    piece = jury(material).judge(sites, [material.tail] * 6, spent, {"people": {"site-0": 5}})
    assert piece.epsilon_spent == tuple(float(name[-1]) for name in piece.sites)
    assert piece.notes == {"people": {"site-0": 5}}


def test_points_of_the_det_curve_agree_with_the_rates(material: Material) -> None:
    sites = open_sites(material, SCENARIO, TURN, 0)
    piece = jury(material).judge(sites, [material.tail] * 6)
    assert piece.fnmr is not None
    for index, far in enumerate(FARS):
        at = FMR_GRID.index(far)
        np.testing.assert_allclose(piece.fnmr[:, at], 1 - piece.tar[:, index])
    known = piece.fnmr[0][np.isfinite(piece.fnmr[0])]
    assert (np.diff(known) <= 0).all()  # fewer genuine people refused as more impostors pass
