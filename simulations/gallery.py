"""A contact sheet of invented people: who they are, how one of them varies, a scene below."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from common.errors import DataSetError
from common.synthetic.generate import numbered_person, numbered_variation
from common.synthetic.people import OLDEST, YOUNGEST
from common.synthetic.renderer import render
from common.synthetic.scenes import SceneSize, draw_scene
from common.synthetic.variation import Expression, Light, Obstacle, Variation

_PAPER, _INK = (250, 249, 246), (70, 68, 64)
_SIDE, _GAP, _HEAD = 112, 6, 22  # pixels
_WIDE = 10  # pictures in a row
_PEOPLE = 5
_YEARS = (18, 24, 30, 36, 43, 50, 57, 64, 72, 80)
_STRIP = (388, 272)  # width and height of a scene

Change = Callable[[Variation], Variation]
Pixels = NDArray[np.uint8]


def write_png(path: Path, picture: Pixels) -> None:
    """Writes ``picture`` (H, W, 3) in 256 colours: a third of the size, for a web page."""
    buffer = io.BytesIO()
    whole = Image.fromarray(picture)
    whole.quantize(256, Image.Quantize.MEDIANCUT, kmeans=1).save(buffer, "PNG", optimize=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())
    except OSError as error:
        raise DataSetError(f"{path}: cannot be written ({error.strerror})") from None


def gallery(seed: int) -> Pixels:
    """People in rows and what varies in columns; then years, a crowd, and a strip of scenes."""
    changes = _changes()
    rows = [_portraits(seed, number, list(changes.values())) for number in range(_PEOPLE)]
    parts = [
        titled(list(changes), rows),
        titled([f"{years} years" for years in _YEARS], [_ageing(seed)]),
        titled([], [_crowd(seed)]),
        _strip(seed),
    ]
    return np.vstack(parts)


def titled(titles: list[str], rows: list[list[Pixels]]) -> Pixels:
    """Rows of crops, with a title over each column."""
    head = _HEAD if titles else 0
    size = _WIDE * (_SIDE + _GAP) + _GAP, head + len(rows) * (_SIDE + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, title in enumerate(titles):
        middle = _GAP + column * (_SIDE + _GAP) + _SIDE // 2
        pen.text((middle, head // 2), title, _INK, font, anchor="mm")
    for number, row in enumerate(rows):
        for column, crop in enumerate(row):
            at = _GAP + column * (_SIDE + _GAP), head + number * (_SIDE + _GAP)
            sheet.paste(Image.fromarray(crop), at)
    return np.asarray(sheet)


def _portraits(seed: int, number: int, changes: list[Change]) -> list[Pixels]:
    person = numbered_person(seed, number)
    return [render(person, change(_rest(seed, number, 0))) for change in changes]


def _ageing(seed: int) -> list[Pixels]:
    """One person from youth to old age; more than ever happens within a data set."""
    person, pictures = numbered_person(seed, _PEOPLE), []
    for years in _YEARS:
        share = (years - YOUNGEST) / (OLDEST - YOUNGEST)
        skin = dataclasses.replace(person.skin, age=share)
        hair = dataclasses.replace(person.hair, grey=float(np.clip(2 * share - 0.8, 0, 1)))
        aged = dataclasses.replace(person, skin=skin, hair=hair)
        pictures.append(render(aged, _rest(seed, _PEOPLE, 0)))
    return pictures


def _crowd(seed: int) -> list[Pixels]:
    """Other people, each as chance has it."""
    pictures = []
    for number in range(_PEOPLE + 1, _PEOPLE + 1 + _WIDE):
        variation = dataclasses.replace(numbered_variation(seed, number, 0), noise=0.0)
        pictures.append(render(numbered_person(seed, number), variation))
    return pictures


def _strip(seed: int) -> Pixels:
    """Three scenes side by side, as wide as the sheet."""
    size = SceneSize(width=_STRIP[0], height=_STRIP[1], smallest=32, largest=110)
    total = _WIDE * (_SIDE + _GAP) + _GAP
    sheet = Image.new("RGB", (total, _STRIP[1] + 2 * _GAP), _PAPER)
    for number in range(3):
        scene = Image.fromarray(draw_scene(number, seed, size).picture)
        sheet.paste(scene, (_GAP + number * (_STRIP[0] + _GAP), _GAP))
    return np.asarray(sheet)


def _rest(seed: int, number: int, view: int) -> Variation:
    """A frontal picture in even light, on an ordinary day."""
    drawn = numbered_variation(seed, number, view)
    person = numbered_person(seed, number)
    h, worn = person.hair, person.glasses.frame != "none"
    return dataclasses.replace(
        drawn,
        pose=dataclasses.replace(drawn.pose, yaw=0.06, pitch=0.0, roll=0.0, distance=700.0),
        light=_SOFT,
        expression=_CALM,
        looks=dataclasses.replace(
            drawn.looks,
            years=0.0,
            style=h.style,
            beard=h.beard,
            growth=1.0,
            hat="headscarf" if person.hat == "headscarf" else "none",
            eyewear="glasses" if worn else "none",
            tan=0.0,
        ),
        obstacle="none",
        cut=0.0,
        blur=0.35,
        noise=0.0,
    )


def _with(part: str, **values: object) -> Change:
    """A change of some fields of one part of a variation."""

    def change(variation: Variation) -> Variation:
        new = dataclasses.replace(getattr(variation, part), **values)
        return dataclasses.replace(variation, **{part: new})

    return change


def _changes() -> dict[str, Change]:
    """What each column shows, and how."""
    side = {"direction": (0.86, -0.3, 0.41), "ambient": 0.22, "hardness": 0.8}
    behind = {
        "ambient": 0.55,
        "second": (-0.63, -0.35, -0.69),
        "second_colour": (2.0, 1.8, 1.5),
        "exposure": 0.75,
    }

    def hidden(variation: Variation) -> Variation:
        kinds: tuple[Obstacle, ...] = ("hand", "mask", "microphone", "scarf", "telephone")
        return dataclasses.replace(variation, obstacle=kinds[variation.scene % 5])

    def another(variation: Variation) -> Variation:
        shaved = "none" if variation.looks.beard == "none" else "stubble"
        return _with("looks", style="tied", hat="beanie", beard=shaved)(variation)

    return {
        "frontal": lambda variation: variation,
        "turned": _with("pose", yaw=0.7),
        "looking down": _with("pose", yaw=-0.3, pitch=0.3),
        "lamp at a side": _with("light", **side),
        "from behind": _with("light", **behind),
        "smiling": _with("expression", smile=0.9, lids=0.85),
        "speaking": _with("expression", open=0.8, brows=0.5),
        "another day": another,
        "sunglasses": _with("looks", eyewear="sunglasses"),
        "hidden": hidden,
    }


_SOFT = Light(
    direction=(-0.41, -0.5, 0.76),
    colour=(1.0, 1.0, 1.0),
    second=(0.9, -0.2, 0.39),
    second_colour=(0.18, 0.18, 0.2),
    ambient=0.75,
    hardness=0.4,
    exposure=1.12,
    tint=(1.0, 1.0, 1.0),
    shine=0.1,
)
_CALM = Expression(
    smile=0.12, open=0.0, brows=0.1, lids=0.98, gaze=(0.0, 0.0), pucker=0.0, lean=0.0
)
