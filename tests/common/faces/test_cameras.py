from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from common.faces.cameras import _BOUNDS, RANDOMISED, Camera, Crop, Operation, load_cameras

CAMERAS = Path(__file__).parents[3] / "simulations" / "cameras"
GOLDEN = Path(__file__).parents[2] / "golden" / "cameras.npz"


@pytest.fixture(scope="module")
def crop() -> Crop:
    """A smooth pattern with an edge: enough for every operation to change something."""
    row, column = np.mgrid[0:112, 0:112]
    red = 120 + 80 * np.sin(row / 9)
    green = 120 + 80 * np.cos(column / 7)
    blue = np.where(row > column, 200, 60)
    return np.stack([red, green, blue], axis=2).astype(np.uint8)


def camera(kind: str, low: float, high: float, **rest: float) -> Camera:
    operation = Operation(kind=kind, low=low, high=high, **rest)  # type: ignore[arg-type]
    return Camera(name="test", operations=(operation,))


@pytest.mark.parametrize(
    ("kind", "strength"),
    [
        ("resize", 16),
        ("gamma", 2),
        ("gain", 1.5),
        ("noise", 10),
        ("jpeg", 10),
        ("motion", 12),
        ("defocus", 2),
        ("grey", 1),
        ("occlude", 0.4),
    ],
)
def test_each_operation_changes_the_crop_and_keeps_its_shape(
    crop: Crop, kind: str, strength: float
) -> None:
    before = crop.copy()
    shot = camera(kind, strength, strength).shoot(crop)
    assert shot.shape == crop.shape
    assert shot.dtype == np.uint8
    assert np.abs(shot.astype(int) - crop).mean() > 2
    assert np.array_equal(crop, before)


@pytest.mark.parametrize("kind", sorted(_BOUNDS))
@given(data=st.data())
def test_every_strength_within_bounds_is_survived(
    crop: Crop, kind: str, data: st.DataObject
) -> None:
    least, most = _BOUNDS[kind]
    strength = data.draw(st.floats(least, most))
    assert camera(kind, strength, strength).shoot(crop).shape == crop.shape


def test_gamma_above_one_darkens_and_grey_removes_colour(crop: Crop) -> None:
    assert camera("gamma", 2, 2).shoot(crop).mean() < crop.mean()
    grey = camera("grey", 1, 1).shoot(crop)
    assert (grey[..., 0] == grey[..., 1]).all()


def test_no_blur_leaves_the_crop_alone(crop: Crop) -> None:
    for kind in ("motion", "defocus", "occlude", "noise", "grey"):
        assert np.array_equal(camera(kind, 0, 0).shoot(crop), crop), kind


def test_the_same_crop_is_the_same_picture_in_any_order(crop: Crop) -> None:
    shots = load_cameras(CAMERAS / "four.toml")[0]
    other = np.ascontiguousarray(crop[::-1])
    first = shots.shoot(crop)
    shots.shoot(other)
    assert np.array_equal(shots.shoot(crop), first)
    assert np.array_equal(shots.shoot(np.asfortranarray(crop)), first)


def test_another_view_seed_or_crop_is_another_draw(crop: Crop) -> None:
    noisy = camera("noise", 5, 20)
    reseeded = Camera(name="test", operations=noisy.operations, seed=1)
    first = noisy.shoot(crop)
    assert not np.array_equal(noisy.shoot(crop, view=1), first)
    assert not np.array_equal(reseeded.shoot(crop), first)


def test_an_operation_happens_as_often_as_its_chance_says(crop: Crop) -> None:
    rare = camera("gain", 0.5, 0.5, chance=0.25)
    changed = sum(not np.array_equal(rare.shoot(crop, view), crop) for view in range(200))
    assert 30 <= changed <= 72


def test_operations_are_applied_in_order(crop: Crop) -> None:
    dark = Operation(kind="gain", low=0.1, high=0.1)
    noise = Operation(kind="noise", low=30, high=30)
    clean = Camera(name="a", operations=(noise, dark)).shoot(crop)
    noisy = Camera(name="b", operations=(dark, noise)).shoot(crop)
    assert noisy.std() > 1.5 * clean.std()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing camera"),
        ("camera = []", r"no \[\[camera\]\]"),
        ("[[camera]]\nname='a'\noperations=[]\n[[camera]]\nname='a'\noperations=[]", "same name"),
        ("[[camera]]\nname='a'\noperations=[{kind='blur',low=1,high=1}]", "expected one of"),
        ("[[camera]]\nname='a'\noperations=[{kind='jpeg',low=9,high=1}]", "must not exceed"),
        ("[[camera]]\nname='a'\noperations=[{kind='jpeg',low=0,high=1}]", "within"),
        ("[[camera]]\nname='a'\noperations=[{kind='gain',low=nan,high=1}]", "must not exceed"),
        ("[[camera]]\nname='a'\noperations=[{kind='gain',low=1,high=1,chance=2}]", "chance"),
        ("[[camera]]\nname='a'\nsede=1\noperations=[]", "did you mean 'seed'"),
        ("[[camera]]\nname='a'\nseed=-1\noperations=[]", "seed"),
        ("[[camera", "cannot read"),
    ],
)
def test_a_bad_camera_file_is_refused_by_file_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "cameras.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as refused:
        load_cameras(path)
    assert "cameras.toml" in str(refused.value)


def test_shipped_cameras_load() -> None:
    names = [c.name for c in load_cameras(CAMERAS / "four.toml")]
    assert names == ["low-light", "motion", "near-infrared", "compressed"]
    assert len(load_cameras(RANDOMISED)) == 1


def test_shipped_cameras_still_shoot_the_golden_pictures(crop: Crop) -> None:
    """Every fourth pixel, to half a grey level on average: another JPEG build may round otherwise.

    After a change on purpose write it anew: ``np.savez_compressed(GOLDEN, **sampled(crop))``.
    """
    with np.load(GOLDEN) as golden:
        for name, pixels in sampled(crop).items():
            assert np.abs(pixels.astype(int) - golden[name]).mean() < 0.5, name


def sampled(crop: Crop) -> dict[str, Crop]:
    return {c.name: c.shoot(crop)[::4, ::4] for c in load_cameras(CAMERAS / "four.toml")}
