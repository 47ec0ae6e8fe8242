from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.errors import NoFaceError
from common.faces.align import TEMPLATE, align, similarity
from common.faces.pack import load_pack

Points = NDArray[np.float64]

angles = st.floats(-np.pi, np.pi)
scales = st.floats(0.1, 10)
shifts = st.tuples(st.floats(-500, 500), st.floats(-500, 500))


def moved(points: Points, angle: float, scale: float, shift: tuple[float, float]) -> Points:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(scale * points @ turn.T + np.array(shift))


@given(angles, scales, shifts)
def test_any_similarity_is_undone_exactly(
    angle: float, scale: float, shift: tuple[float, float]
) -> None:
    points = moved(TEMPLATE, angle, scale, shift)
    matrix = similarity(points, TEMPLATE)
    assert np.allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-6)


def test_a_mirrored_face_is_never_flipped_back() -> None:
    matrix = similarity(TEMPLATE * [-1, 1] + [112, 0], TEMPLATE)
    assert np.linalg.det(matrix[:, :2]) > 0
    assert np.linalg.det(similarity(TEMPLATE * [1, -1], TEMPLATE)[:, :2]) > 0


def test_no_other_similarity_fits_better() -> None:
    rng = np.random.default_rng(0)
    points = TEMPLATE + rng.normal(0, 4, (5, 2))
    matrix = similarity(points, TEMPLATE)
    linear, shift = matrix[:, :2], matrix[:, 2]
    best = ((points @ linear.T + shift - TEMPLATE) ** 2).sum()
    for _ in range(300):
        bent = moved(linear.T, rng.normal(0, 0.01), rng.normal(1, 0.01), (0, 0)).T
        other = points @ bent.T + shift + rng.normal(0, 0.1, 2)
        assert ((other - TEMPLATE) ** 2).sum() >= best - 1e-9


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((5, 2)),
        np.full((5, 2), np.nan),
        np.where(np.eye(5, 2) > 0, np.inf, TEMPLATE),
        TEMPLATE[:4],
        TEMPLATE * 1e5,
        TEMPLATE.T,
    ],
)
def test_impossible_landmarks_are_refused(points: Points) -> None:
    with pytest.raises(NoFaceError):
        align(np.zeros((200, 200, 3), np.uint8), points)


def test_landmarks_on_the_template_leave_the_picture_alone() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (112, 112, 3)).astype(np.uint8)
    assert np.array_equal(align(picture, TEMPLATE), picture)


@pytest.mark.parametrize("scale", [0.7, 1.0, 2.6, 5.3])
def test_dots_on_the_landmarks_end_up_on_the_template(scale: float) -> None:
    points = moved(TEMPLATE, 0.3, scale, (60 * scale, 30 * scale))
    size = int(280 * scale)
    row, column = np.mgrid[0:size, 0:size]
    away = ((column[..., None] - points[:, 0]) ** 2 + (row[..., None] - points[:, 1]) ** 2).min(-1)
    picture = np.repeat((255 * np.exp(-away / (2 * (2.5 * scale) ** 2)))[..., None], 3, 2)
    crop = align(picture.astype(np.uint8), points)[..., 0].astype(float)
    row, column = np.mgrid[0:112, 0:112]
    for x, y in TEMPLATE:
        near = np.where(np.hypot(column - x, row - y) < 6, crop, 0)
        centre = np.array([(column * near).sum(), (row * near).sum()]) / near.sum()
        assert np.abs(centre - (x, y)).max() < 0.15


def test_what_lies_outside_the_picture_is_black() -> None:
    crop = align(np.full((60, 60, 3), 200, np.uint8), TEMPLATE)
    assert crop[:55, :55].min() == 200
    assert crop[70:].max() == 0
    assert align(np.full((60, 60, 3), 200, np.uint8), TEMPLATE + 500).max() == 0


def test_the_landmarks_of_real_pictures_fit_the_template(shared_data: Path) -> None:
    """The pack's landmarks lie in original 250x250 pictures; faces there are a little larger."""
    landmarks = load_pack(shared_data / "lfw_112.npz").landmarks
    assert landmarks is not None
    misses = []
    for points in landmarks[::20]:
        matrix = similarity(points, TEMPLATE)
        assert 0.5 < np.hypot(*matrix[:, 0]) < 1.5
        misses.append(np.abs(points @ matrix[:, :2].T + matrix[:, 2] - TEMPLATE).mean())
    assert np.median(misses) < 2  # pixels
