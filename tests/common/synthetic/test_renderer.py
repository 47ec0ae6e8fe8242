import dataclasses

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from common.faces.align import TEMPLATE
from common.synthetic.people import Person, draw_person
from common.synthetic.renderer import landmarks, render
from common.synthetic.variation import Obstacle, Variation, draw_variation, on_the_day

Pixels = NDArray[np.float64]


@pytest.fixture(scope="module")
def person() -> Person:
    drawn = draw_person(np.random.default_rng(4))
    hair = dataclasses.replace(drawn.hair, colour=(0.1, 0.08, 0.07), beard="none")
    return dataclasses.replace(drawn, hair=hair)


@pytest.fixture(scope="module")
def plain(person: Person) -> Variation:
    """A frontal, well-lit picture found without error."""
    drawn = draw_variation(person, np.random.default_rng(4))
    pose = dataclasses.replace(drawn.pose, yaw=0.0, pitch=0.0, roll=0.0, jitter=((0.0, 0.0),) * 5)
    light = dataclasses.replace(
        drawn.light, direction=(0.0, 0.0, 1.0), second_colour=(0.0, 0.0, 0.0), exposure=1.0
    )
    rest = dataclasses.replace(
        drawn.expression, smile=0.0, open=0.0, lids=1.0, gaze=(0.0, 0.0), pucker=0.0, lean=0.0
    )
    looks = dataclasses.replace(
        drawn.looks, beard=person.hair.beard, style="short", hat="none", eyewear="none", years=0.0
    )
    return dataclasses.replace(
        drawn,
        pose=pose,
        light=light,
        expression=rest,
        looks=looks,
        obstacle="none",
        cut=0.0,
        noise=0.0,
        blur=0.3,
    )


def test_a_rendering_is_a_crop_and_always_the_same(person: Person, plain: Variation) -> None:
    crop = render(person, plain)
    assert crop.shape == (112, 112, 3)
    assert crop.dtype == np.uint8
    assert 30 < crop.mean() < 225
    assert np.array_equal(render(person, plain), crop)


def test_two_hundred_people_in_any_pose_render_without_a_numerical_warning() -> None:
    for seed in range(200):
        rng = np.random.default_rng([9, seed])
        someone = draw_person(rng)
        crop = render(someone, draw_variation(someone, rng))
        assert crop.std() > 10  # never a blank picture


def test_a_frontal_face_is_about_symmetric_and_a_turned_one_is_not(
    person: Person, plain: Variation
) -> None:
    def skew(variation: Variation) -> float:
        middle = render(person, variation)[48:100, 20:92].astype(float)
        return float(np.abs(middle - middle[:, ::-1]).mean())

    turned = dataclasses.replace(plain, pose=dataclasses.replace(plain.pose, yaw=0.4))
    assert skew(turned) > 1.5 * skew(plain)


def test_turning_the_head_moves_the_nose_against_the_eyes(person: Person, plain: Variation) -> None:
    def nose(yaw: float) -> float:
        pose = dataclasses.replace(plain.pose, yaw=yaw)
        points = landmarks(person, dataclasses.replace(plain, pose=pose))
        return float(points[2, 0] - points[:2, 0].mean())

    assert nose(-0.3) < nose(0) - 1 < nose(0.3) - 2


def test_the_eyes_are_where_the_template_has_them() -> None:
    """Pupils are dark: the picture is darker there than beside them, over many people."""
    darker = 0
    for seed in range(40):
        rng = np.random.default_rng([2, seed])
        someone = draw_person(rng)
        grey = cv2.cvtColor(render(someone, draw_variation(someone, rng)), cv2.COLOR_RGB2GRAY)
        for x, y in TEMPLATE[:2].round().astype(int):
            cheek = grey[y + 14 : y + 19, x - 3 : x + 4].mean()
            darker += bool(grey[y - 3 : y + 4, x - 4 : x + 5].min() < 0.75 * cheek)
    assert darker > 70


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("expression", {"smile": 1.0}),
        ("expression", {"open": 1.0}),
        ("expression", {"lids": 0.1}),
        ("expression", {"brows": 1.0}),
        ("light", {"direction": (0.6, 0.0, 0.8)}),
        ("light", {"exposure": 0.6}),
        ("pose", {"pitch": 0.25}),
        ("looks", {"beard": "full", "growth": 1.3}),
        ("looks", {"style": "fringe"}),
        ("looks", {"hat": "beanie"}),
        ("looks", {"hat": "cap"}),
        ("looks", {"hat": "headscarf"}),
        ("looks", {"eyewear": "sunglasses"}),
        ("looks", {"years": 30.0}),
    ],
)
def test_each_variation_shows(
    person: Person, plain: Variation, part: str, change: dict[str, object]
) -> None:
    changed = dataclasses.replace(getattr(plain, part), **change)
    other = render(person, dataclasses.replace(plain, **{part: changed}))
    difference = np.abs(other.astype(int) - render(person, plain))
    assert difference.max() > 20


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("eyes", {"spacing": 20.5}),
        ("eyes", {"colour": (0.3, 0.6, 0.9), "height": 5.0}),
        ("brows", {"thickness": 3.2, "density": 1.0}),
        ("nose", {"wings": 11.0, "height": 14.0, "tip_y": 4.0}),
        ("mouth", {"width": 18.0, "lower": 6.0}),
        ("outline", {"jaw": 30.0, "chin_y": 39.0}),
        ("skin", {"melanin": 1.0}),
    ],
)
def test_each_part_of_a_person_shows(
    person: Person, plain: Variation, part: str, change: dict[str, object]
) -> None:
    changed = dataclasses.replace(getattr(person, part), **change)
    other = render(dataclasses.replace(person, **{part: changed}), plain)
    assert np.abs(other.astype(int) - render(person, plain)).max() > 20


@pytest.mark.parametrize("obstacle", ["hand", "microphone", "telephone", "mask", "scarf"])
def test_each_obstacle_hides_something(
    person: Person, plain: Variation, obstacle: Obstacle
) -> None:
    hidden = render(person, dataclasses.replace(plain, obstacle=obstacle))
    assert (np.abs(hidden.astype(int) - render(person, plain)).max(axis=2) > 20).mean() > 0.02


def test_a_picture_cut_at_its_edge_is_black_there(person: Person, plain: Variation) -> None:
    crop = render(person, dataclasses.replace(plain, cut=0.25))
    assert not crop[:, 84:].any()
    assert crop[:, :84].any(axis=2).mean() > 0.9


def test_glasses_show_only_on_who_wears_them(plain: Variation) -> None:
    crowd = [draw_person(np.random.default_rng(seed)) for seed in range(40)]
    wearer = next(p for p in crowd if p.glasses.frame != "none")
    worn, bare = (
        render(wearer, dataclasses.replace(plain, looks=looks))
        for looks in (dataclasses.replace(plain.looks, eyewear=e) for e in ("glasses", "none"))
    )
    assert np.abs(worn.astype(int) - bare).max() > 20
    for someone in crowd:
        drawn = draw_variation(someone, np.random.default_rng(0))
        assert drawn.looks.eyewear != "glasses" or someone.glasses.frame != "none"


def test_who_never_grows_a_beard_never_has_one() -> None:
    for seed in range(60):
        rng = np.random.default_rng([6, seed])
        someone = draw_person(rng)
        beards = {draw_variation(someone, rng).looks.beard for _ in range(8)}
        assert someone.hair.beard != "none" or beards == {"none"}


def test_years_line_the_face_and_grey_the_hair(person: Person, plain: Variation) -> None:
    older = dataclasses.replace(plain, looks=dataclasses.replace(plain.looks, years=20.0))
    assert on_the_day(person, older).years == pytest.approx(min(80, person.years + 20))
