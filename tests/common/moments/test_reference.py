"""The reference is what public people say: a frame, a prior, radii; or a clear refusal."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from common.errors import DataSetError
from common.models.tail import Tail
from common.moments import reference as room
from common.moments.reference import PublicViews, make_reference

World = Callable[..., PublicViews]


def test_frame_is_centred_and_of_mean_norm_one(identity: Tail, world: World) -> None:
    views = world()
    points = make_reference(identity, views).frame.embed(views.randomised.reshape(-1, 6))
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-5)
    assert np.linalg.norm(points, axis=1).mean() == pytest.approx(1, abs=1e-4)


def test_frame_turns_and_scales_but_whitens_nothing(identity: Tail, world: World) -> None:
    weight = make_reference(identity, world()).frame.weight.astype(np.float64)
    gram = weight @ weight.T
    np.testing.assert_allclose(gram, gram[0, 0] * np.eye(6), atol=1e-6)


def test_within_person_scatter_is_diagonal_in_the_frame_and_falls(
    identity: Tail, world: World
) -> None:
    views = world()
    known = make_reference(identity, views)
    scatters = []
    for camera in range(4):
        points = known.frame.embed(views.simulated[:, camera]).astype(np.float64)
        for person in range(120):
            mine = points[views.person == person]
            centred = mine - mine.mean(axis=0)
            scatters.append(centred.T @ centred / len(mine))
    np.testing.assert_allclose(np.mean(scatters, axis=0), np.diag(known.within), atol=1e-5)
    assert (np.diff(known.within) <= 0).all()
    assert known.within[-1] > 0


def test_uncentred_is_where_the_tail_has_its_origin(identity: Tail, world: World) -> None:
    known = make_reference(identity, world())
    origin = known.frame.embed(np.zeros((1, 6), np.float32))[0]
    np.testing.assert_allclose(known.uncentred, origin, atol=1e-5)


def test_cameras_that_do_not_differ_do_not_wander_and_planted_differences_show(
    identity: Tail, world: World
) -> None:
    wander = [
        make_reference(identity, world(people=400, planted=planted)).wander
        for planted in (0.0, 0.5, 1.5)
    ]
    assert wander[0] < 0.003
    assert 3 * wander[0] < wander[1] < wander[2]


def test_a_camera_that_only_adds_to_everybody_is_forgotten(identity: Tail, world: World) -> None:
    views = world()
    shift = 10 * np.arange(4, dtype=np.float32)[None, :, None]
    moved = replace(views, simulated=views.simulated + shift)
    here, there = make_reference(identity, views), make_reference(identity, moved)
    np.testing.assert_allclose(here.within, there.within, rtol=1e-3)
    np.testing.assert_allclose(here.variance, there.variance, rtol=1e-3)


def test_radius_is_the_stated_quantile_of_the_peoples_scatters(
    identity: Tail, world: World
) -> None:
    views = world()
    known = make_reference(identity, views)
    norms = []
    for camera in range(4):
        points = known.frame.embed(views.simulated[:, camera]).astype(np.float64)
        for person in range(120):
            mine = points[views.person == person]
            centred = mine - mine.mean(axis=0)
            norms.append(np.linalg.norm(centred.T @ centred / len(mine)))
    assert known.radius == pytest.approx(np.quantile(norms, room.SCATTER_QUANTILE), rel=1e-3)


def test_spread_and_variance_match_what_was_planted(identity: Tail, world: World) -> None:
    known = make_reference(identity, world(people=2000))
    # Two pictures: a person's scatter is half an outer product d d^T / 2 with d of variance 2 S,
    # so entry (i, j) has variance l_i l_j (1 + i==j) with l = S / 2: sum = (sum l)^2 + sum l^2.
    total = known.within.sum() ** 2
    assert known.spread == pytest.approx(1 + np.square(known.within).sum() / total, rel=0.1)
    assert known.variance > 0


def test_without_two_pictures_behind_one_camera_there_is_no_reference(
    identity: Tail, world: World
) -> None:
    views = world()
    alone = replace(views, person=np.arange(len(views.person)))
    with pytest.raises(DataSetError, match="two pictures behind one simulated camera"):
        make_reference(identity, alone)
