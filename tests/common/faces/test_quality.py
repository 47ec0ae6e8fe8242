import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import NoFaceError
from common.faces.align import TEMPLATE, align
from common.faces.detect import Face
from common.faces.load import load_faces
from common.faces.pictures import Picture
from common.faces.quality import DEFECTS, REASONS, WEIGHTS, Quality, assess, defects, quality_of
from common.synthetic.generate import numbered_person, numbered_variation
from common.synthetic.renderer import Shot, shoot
from common.synthetic.variation import Pose
from simulations.benchmarks.quality import Material, discard_curve, embedder, material

STARTER = Path(__file__).parents[3] / "simulations" / "starter"
STRAIGHT = Pose(yaw=0, pitch=0, roll=0, distance=900, jitter=((0.0, 0.0),) * 5)


def posed(yaw: float) -> Shot:
    person, variation = numbered_person(3, 1), numbered_variation(3, 1, 0)
    pose = dataclasses.replace(STRAIGHT, yaw=math.radians(yaw))
    plain = dataclasses.replace(variation, pose=pose, obstacle="none", cut=0.0, blur=0.3, noise=0.5)
    return shoot(person, plain)


@pytest.fixture(scope="module")
def good() -> Shot:
    return posed(0)


def face_at(points: object, **told: bool) -> Face:
    return Face((0, 0, 70, 100), 0.95, np.asarray(points, np.float32), **told)


def quality(picture: Picture, points: object, **told: bool) -> Quality:
    face = face_at(points, **told)
    return assess(picture, face, align(picture, points))  # type: ignore[arg-type]


def blurred(picture: Picture, much: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.3 + 3 * much), np.uint8)


def noisy(picture: Picture, much: float) -> Picture:
    noise = np.random.default_rng(1).standard_normal(picture.shape)
    return np.clip(picture + 40 * much * noise, 0, 255).astype(np.uint8)


def dark(picture: Picture, much: float) -> Picture:
    return (picture * (1 - 0.9 * much)).astype(np.uint8)


def bright(picture: Picture, much: float) -> Picture:
    return np.clip(picture + 150.0 * much, 0, 255).astype(np.uint8)


def flat(picture: Picture, much: float) -> Picture:
    return (110 + (picture - 110.0) * (1 - 0.95 * much)).astype(np.uint8)


Worse = Callable[[Picture, float], Picture]


def test_a_good_picture_has_a_high_score_and_nothing_wrong_with_it(good: Shot) -> None:
    found = quality(good.crop, good.landmarks)
    assert found.score > 0.75
    assert found.reasons == ()


@pytest.mark.parametrize(
    ("worse", "reason"),
    [
        (blurred, "blurred"),
        (noisy, None),  # costs little by itself, so it is seldom told
        (dark, "too_dark"),
        (bright, "too_bright"),
        (flat, "low_contrast"),
    ],
)
def test_the_worse_the_picture_the_lower_the_score(
    good: Shot, worse: Worse, reason: str | None
) -> None:
    found = [quality(worse(good.crop, much), good.landmarks) for much in (0, 0.4, 0.7, 1)]
    scores = [one.score for one in found]
    assert all(now < before + 0.005 for before, now in itertools.pairwise(scores))
    assert scores[3] < min(scores[0] - 0.05, scores[2])
    assert reason is None or reason in found[-1].reasons


def test_the_more_the_head_is_turned_the_lower_the_score(good: Shot) -> None:
    shots = [good, posed(25), posed(45)]
    found = [quality(shot.crop, shot.landmarks) for shot in shots]
    assert found[0].score > found[1].score > found[2].score
    assert "turned_away" in found[2].reasons


def test_a_face_at_the_border_is_cut_off(good: Shot) -> None:
    part = np.ascontiguousarray(good.crop[:, 45:])
    found = quality(part, good.landmarks - (45, 0))
    assert found.reasons[0] == "cut_off"
    assert found.score < 0.5


def test_a_small_face_costs_more_than_the_same_face_near_by(good: Shot) -> None:
    small = np.asarray(cv2.resize(good.crop, (28, 28), interpolation=cv2.INTER_AREA), np.uint8)
    far = defects(good.landmarks / 4, align(small, good.landmarks / 4), (28, 28))
    near = defects(good.landmarks, good.crop, (112, 112))
    assert far[DEFECTS.index("too_small")] > 1.5
    assert near[DEFECTS.index("too_small")] < 0.2
    assert quality_of(far).score < quality_of(near).score


def test_what_the_detector_doubts_is_told_and_costs(good: Shot) -> None:
    plain = quality(good.crop, good.landmarks)
    guessed = quality(good.crop, good.landmarks, eyes_found=False)
    doubted = quality(good.crop, good.landmarks, certain=False)
    assert guessed.reasons[0] == "eyes_not_found"
    assert doubted.reasons == ("not_certain",)
    assert guessed.score < doubted.score < plain.score


def test_only_another_face_of_some_size_counts_as_several(good: Shot) -> None:
    face = face_at(good.landmarks)
    small, large = (Face((0, 0, 70 * k, 100 * k), 0.9, None) for k in (0.3, 0.6))
    assert assess(good.crop, face, good.crop, (small,)).reasons == ()
    assert assess(good.crop, face, good.crop, (small, large)).reasons == ("several_faces",)


def test_a_face_without_landmarks_cannot_be_judged(good: Shot) -> None:
    with pytest.raises(NoFaceError):
        assess(good.crop, Face((0, 0, 9, 9), 1.0, None), good.crop)


def test_every_measured_defect_has_a_weight_and_the_worst_is_told_first() -> None:
    assert WEIGHTS.shape == (len(DEFECTS),)
    assert (WEIGHTS > 0).all()
    assert len(set(REASONS)) == len(REASONS)
    cost = np.linspace(0.3, 1, len(DEFECTS))
    assert quality_of(cost / WEIGHTS).reasons == DEFECTS[::-1]
    assert quality_of(np.zeros(len(DEFECTS))) == Quality(1.0, ())


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_picture_of_one_colour_has_a_score_like_any_other(value: int) -> None:
    plain = np.full((112, 112, 3), value, np.uint8)
    found = quality(plain, TEMPLATE)
    assert 0 <= found.score < 0.6


def test_random_landmarks_and_pixels_never_leave_the_scale() -> None:
    rng = np.random.default_rng(5)
    for _ in range(60):
        picture = rng.integers(0, 256, (90, 70, 3)).astype(np.uint8)
        points = rng.uniform(-40, 140, (5, 2))
        assert 0 <= quality(picture, points).score <= 1


@pytest.mark.slow
def test_discarding_by_quality_lowers_the_misses_on_people_never_seen() -> None:
    shown = material(30, 9300)
    curve = discard_curve(embedder(STARTER)(shown.crops), shown, -shown.defects @ WEIGHTS)
    shuffled = np.random.default_rng(1).permutation(len(shown.person)).astype(np.float64)
    chance = discard_curve(embedder(STARTER)(shown.crops), shown, shuffled)
    assert curve.mean() < 0.98 * chance.mean()


@pytest.mark.slow
def test_it_sorts_invented_people_for_a_network_trained_on_real_ones(shared_models: Path) -> None:
    shown = material(30, 9300)
    embed = embedder(shared_models / "mobilefacenet_ms1m.onnx")
    curve = discard_curve(embed(shown.crops), shown, -shown.defects @ WEIGHTS)
    assert curve.mean() / curve[0] < 0.75  # 0.54 on seed 9200


@pytest.mark.slow
def test_it_sorts_real_people_too(shared_models: Path, shared_data: Path) -> None:
    faces, _ = load_faces(shared_data / "lfw_112.npz")
    many = faces.people[faces.counts() >= 4]
    chosen = np.concatenate([faces.pictures_of(int(p))[:4] for p in many[:260]])
    crops, person = faces.crops(chosen.tolist()), faces.person[chosen]
    assert faces.landmarks is not None
    places = zip(faces.landmarks[chosen], crops, strict=True)
    measured = np.stack([defects(points, crop, (250, 250)) for points, crop in places])
    shown = Material(crops, measured, person, np.arange(len(person)))
    embeddings = embedder(shared_models / "mobilefacenet_ms1m.onnx")(crops)
    curve = discard_curve(embeddings, shown, -measured @ WEIGHTS)
    assert curve.mean() / curve[0] < 0.97  # 0.92 on another draw of 260 people
