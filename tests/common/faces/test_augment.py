from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.errors import ConfigError
from common.faces import augment
from common.faces.augment import AUGMENTATIONS, augmented, parse_augmentations
from common.faces.crops import SIDE, Crop
from common.faces.faceset import FaceSet
from common.metrics.verification import Floats, unit_rows
from common.models.trunk import load_trunk
from common.synthetic.generate import synthetic_faces

SEEDS = st.integers(0, 2**32)
Embed = Callable[[NDArray[np.uint8]], Floats]
NAMES = pytest.mark.parametrize("name", AUGMENTATIONS)


def noise(seed: int = 0) -> Crop:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def blurred() -> Crop:
    """Something smooth, as faces are, with a bright spot in its middle."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    spot = 200 * np.exp(-((rows - 55.5) ** 2 + (columns - 55.5) ** 2) / 128)
    return np.repeat((30 + spot)[..., None], 3, axis=2).astype(np.uint8)


def draw(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@NAMES
@settings(max_examples=25)
@given(seed=SEEDS)
def test_a_crop_becomes_another_crop_and_is_left_as_it_was(name: str, seed: int) -> None:
    crop = noise()
    made = AUGMENTATIONS[name](crop, draw(seed))
    assert made.shape == crop.shape and made.dtype == np.uint8 and made.flags.c_contiguous
    assert not np.shares_memory(made, crop)
    assert (crop == noise()).all()
    assert (made == AUGMENTATIONS[name](crop, draw(seed))).all(), "the generator decides alone"


@NAMES
def test_every_augmentation_changes_something(name: str) -> None:
    assert any((AUGMENTATIONS[name](noise(), draw(seed)) != noise()).any() for seed in range(8))


@settings(max_examples=25)
@given(seed=SEEDS)
def test_a_shift_moves_what_is_seen_by_a_few_pixels_only(seed: int) -> None:
    crop, reach = noise(), augment.REACH
    middle = augment.shift(crop, draw(seed))[reach:-reach, reach:-reach]
    size = len(middle)
    places = [(r, c) for r in range(2 * reach + 1) for c in range(2 * reach + 1)]
    assert any((middle == crop[r : r + size, c : c + size]).all() for r, c in places)


def test_a_mirrored_crop_is_the_same_when_mirrored_again() -> None:
    seed = next(s for s in range(99) if (augment.flip(noise(), draw(s)) != noise()).any())
    once = augment.flip(noise(), draw(seed))
    assert (augment.flip(once, draw(seed)) == noise()).all()


@settings(max_examples=25)
@given(seed=SEEDS)
def test_turning_and_cutting_keep_the_middle_in_the_middle(seed: int) -> None:
    turned = augment.rotate(blurred(), draw(seed))
    assert spot_of(turned) == pytest.approx((55.5, 55.5), abs=1)
    cut = augment.cut(blurred(), draw(seed))
    furthest = (1 - augment.LEAST_SIDE) / 2 * SIDE / augment.LEAST_SIDE + 1
    assert np.abs(np.array(spot_of(cut)) - 55.5).max() <= furthest


@settings(max_examples=25)
@given(seed=SEEDS)
def test_other_colours_keep_what_is_brighter_brighter(seed: int) -> None:
    ramp = np.repeat(np.linspace(60, 180, SIDE).astype(np.uint8)[None], SIDE, axis=0)
    made = augment.colour(np.repeat(ramp[..., None], 3, axis=2), draw(seed)).astype(int)
    assert (np.diff(made[0], axis=0) >= 0).all()
    assert made[0, -1].min() > made[0, 0].max()


@settings(max_examples=25)
@given(seed=SEEDS)
def test_an_occlusion_is_flat_and_leaves_most_of_the_face(seed: int) -> None:
    made = augment.occlude(noise(), draw(seed))
    changed = (made != noise()).any(axis=2)
    if changed.any():
        assert len(np.unique(made[changed], axis=0)) == 1
        assert changed.mean() <= augment.MOST_COVERED + 1e-9
        rows = np.flatnonzero(changed.any(axis=1))
        assert rows.max() - rows.min() < 0.5 * SIDE


def test_eyes_mouth_and_boxes_are_all_covered_some_time() -> None:
    made = [augment.occlude(noise(), draw(seed)) != noise() for seed in range(60)]
    whole = [m.any(axis=2) for m in made]
    bands = {int(np.flatnonzero(m.any(axis=1)).mean() > 66) for m in whole if m.mean(1).max() > 0.9}
    assert bands == {0, 1}, "eyes above, the mouth below"
    assert any(0 < m.mean(1).max() < 0.5 for m in whole), "a box"
    assert any(not m.any() for m in whole), "and often nothing"


def test_all_of_them_follow_one_order_whatever_order_is_asked_for() -> None:
    crop, names = noise(), ("flip", "shift", "crop")
    forward, back = (augmented(crop, n, draw(4)) for n in (names, names[::-1]))
    assert (forward == back).all()
    by_hand = draw(4)
    assert (
        forward == augment.flip(augment.shift(augment.cut(crop, by_hand), by_hand), by_hand)
    ).all()
    assert augmented(crop, (), draw(4)) is crop


@NAMES
def test_a_network_still_sees_the_same_person(name: str, people: FaceSet, starter: Embed) -> None:
    crops, rng = people.crops(range(len(people))), draw(0)
    made = np.stack([AUGMENTATIONS[name](crop, rng) for crop in crops])
    likeness = starter(made) @ starter(crops).T
    assert (likeness.argmax(axis=1) == np.arange(len(people))).mean() > 0.8


@pytest.fixture(scope="module")
def people() -> FaceSet:
    """A picture each of a dozen invented people."""
    return synthetic_faces(12, 1, seed=7102)


@pytest.fixture(scope="module")
def starter() -> Embed:
    """Crops to unit embeddings, by the trunk that comes with the project."""
    trunk, tail = load_trunk(Path(__file__).parents[3] / "simulations" / "starter")
    return lambda crops: unit_rows(tail.embed(trunk.features(crops)))


def test_names_are_read_and_misspelt_ones_told() -> None:
    assert parse_augmentations("flip, shift") == ("shift", "flip")
    assert parse_augmentations("all") == tuple(AUGMENTATIONS)
    assert parse_augmentations("none") == ()
    with pytest.raises(ConfigError, match="did you mean 'rotate'"):
        parse_augmentations("rotat")


def spot_of(crop: Crop) -> tuple[float, float]:
    """Row and column of the centre of what is bright."""
    bright = np.where(crop[..., 0] > 110, crop[..., 0].astype(float), 0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (
        float((rows * bright).sum() / bright.sum()),
        float((columns * bright).sum() / bright.sum()),
    )
