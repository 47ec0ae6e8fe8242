"""Invented people: every number that makes one face differ from another, drawn from one seed.

Lengths are pixels of the aligned 112x112 crop, measured on the average face from a point between
the eyes and the mouth: x grows to the viewer's right, y downwards. Geometry, skin, hair and marks
are drawn independently of one another (but dark skin rarely comes with fair hair, and hair greys
with age), so no single colour tells who somebody is. 1 pixel is about 1.8 mm.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Rgb = tuple[float, float, float]  # linear share of full intensity, 0-1
HairStyle = Literal["bald", "crew", "short", "side", "fringe", "curly", "bob", "long", "tied"]
Beard = Literal["none", "stubble", "moustache", "goatee", "full"]
Frame = Literal["none", "round", "square", "half"]
Hat = Literal["none", "beanie", "cap", "headscarf"]

HAIR_STYLES: tuple[HairStyle, ...] = (
    "bald",
    "crew",
    "short",
    "side",
    "fringe",
    "curly",
    "bob",
    "long",
    "tied",
)
YOUNGEST, OLDEST = 18, 80  # years

_COMMON = (0.07, 0.12, 0.16, 0.15, 0.10, 0.11, 0.09, 0.13, 0.07)  # share of each style of hair


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """The head from the front: half widths at four heights, and where it ends."""

    temple: float
    cheek: float
    jaw: float
    chin: float
    chin_y: float
    skull_y: float  # top of the head
    squareness: float  # of the chin, 0 pointed .. 1 square
    depth: float  # from the ears to the brow
    slope: float  # how far the forehead leans back
    ears: float  # size, factor


@dataclass(frozen=True, kw_only=True, slots=True)
class Eyes:
    """Both eyes; they mirror one another."""

    spacing: float  # half the distance between the pupils
    y: float
    width: float  # half
    height: float  # half, when open
    tilt: float  # radians, > 0 outer corners up
    iris: float  # radius
    colour: Rgb
    hood: float  # share of the lid that hangs over the eye
    depth: float  # of the sockets


@dataclass(frozen=True, kw_only=True, slots=True)
class Brows:
    """Both eyebrows."""

    above: float  # height over the eyes
    length: float  # half
    thickness: float
    arch: float
    tilt: float  # > 0 outer ends up
    density: float
    ridge: float  # of the bone


@dataclass(frozen=True, kw_only=True, slots=True)
class Nose:
    """The nose."""

    tip_y: float
    bridge: float  # half width
    wings: float  # half width
    height: float  # how far the tip stands out
    tip: float  # radius
    hump: float  # of the bridge, < 0 hollow
    turn: float  # how far the tip points up


@dataclass(frozen=True, kw_only=True, slots=True)
class Mouth:
    """The mouth at rest."""

    y: float
    width: float  # half
    upper: float  # thickness of the lips
    lower: float
    bow: float  # depth of the notch in the upper lip
    curve: float  # > 0 corners up
    redness: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Skin:
    """Colour and relief of the skin; ``marks`` are moles as (x, y, radius).

    ``age`` goes from ``YOUNGEST`` at 0 to ``OLDEST`` at 1.
    """

    melanin: float  # 0 fair .. 1 dark
    redness: float
    freckles: float
    age: float
    cheekbones: float
    fullness: float  # of the cheeks, < 0 hollow
    marks: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hair:
    """Head hair and beard share one colour, up to a shade."""

    style: HairStyle
    colour: Rgb
    colour_name: str
    grey: float  # share of grey hair
    line_y: float  # where the forehead ends
    recede: float  # how far the hairline climbs at the temples
    volume: float
    parting: float
    wave: float
    beard: Beard
    beard_density: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Glasses:
    """Glasses, if the person wears any."""

    frame: Frame
    width: float  # half width of a lens
    height: float
    thickness: float
    colour: Rgb


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Someone who does not exist."""

    outline: Outline
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    skin: Skin
    hair: Hair
    glasses: Glasses
    hat: Hat  # worn now and then; a headscarf nearly always
    texture: int  # seed of the fine texture of skin and hair

    @property
    def years(self) -> float:
        """Age in years."""
        return YOUNGEST + (OLDEST - YOUNGEST) * self.skin.age


def draw_person(rng: np.random.Generator) -> Person:
    """One person; the same state of ``rng`` gives the same one."""
    outline = _outline(rng)
    skin = _skin(rng)
    eyes = _eyes(rng, skin)
    return Person(
        outline=outline,
        eyes=eyes,
        brows=_brows(rng),
        nose=_nose(rng),
        mouth=_mouth(rng),
        skin=skin,
        hair=_hair(rng, skin),
        glasses=_glasses(rng, eyes),
        hat=_HATS[int(rng.choice(4, p=[0.55, 0.2, 0.2, 0.05]))],
        texture=int(rng.integers(2**31)),
    )


_HATS: tuple[Hat, ...] = ("none", "beanie", "cap", "headscarf")


def _about(rng: np.random.Generator, mean: float, deviation: float) -> float:
    """A normal number kept within two deviations: nobody is a monster."""
    return mean + deviation * float(np.clip(rng.standard_normal(), -2, 2))


def _outline(rng: np.random.Generator) -> Outline:
    cheek = _about(rng, 38.5, 2.3)
    return Outline(
        temple=cheek + _about(rng, -2.0, 1.5),
        cheek=cheek,
        jaw=cheek + _about(rng, -5.5, 2.4),
        chin=_about(rng, 15, 3.5),
        chin_y=_about(rng, 45.5, 3.2),
        skull_y=_about(rng, -87, 3.5),
        squareness=float(rng.uniform(0, 1)),
        depth=_about(rng, 48, 2.5),
        slope=float(rng.uniform(0, 1)),
        ears=_about(rng, 1.0, 0.13),
    )


def _eyes(rng: np.random.Generator, skin: Skin) -> Eyes:
    brown, green, blue = (0.26, 0.16, 0.10), (0.36, 0.38, 0.26), (0.36, 0.45, 0.54)
    shade = float(rng.uniform(0.65, 1.25))
    light = rng.uniform() < 0.65 * (1 - min(1.0, 1.5 * skin.melanin))
    base = (green, blue)[int(rng.integers(2))] if light else brown
    return Eyes(
        spacing=_about(rng, 17.6, 1.7),
        y=_about(rng, -20.3, 1.2),
        width=_about(rng, 8.3, 0.8),
        height=_about(rng, 4.7, 0.65),
        tilt=_about(rng, 0.03, 0.09),
        iris=_about(rng, 3.7, 0.25),
        colour=(base[0] * shade, base[1] * shade, base[2] * shade),
        hood=float(rng.uniform(0, 1)),
        depth=_about(rng, 3.0, 1.2),
    )


def _brows(rng: np.random.Generator) -> Brows:
    return Brows(
        above=_about(rng, 10.6, 1.6),
        length=_about(rng, 10.5, 1.5),
        thickness=_about(rng, 1.9, 0.65),
        arch=_about(rng, 2.2, 1.0),
        tilt=_about(rng, -0.08, 0.1),
        density=float(rng.uniform(0.35, 1)),
        ridge=_about(rng, 1.5, 0.7),
    )


def _nose(rng: np.random.Generator) -> Nose:
    return Nose(
        tip_y=_about(rng, 0.5, 2.4),
        bridge=_about(rng, 4.0, 0.6),
        wings=_about(rng, 8.2, 1.3),
        height=_about(rng, 10, 2.2),
        tip=_about(rng, 4.8, 0.8),
        hump=_about(rng, 0.6, 1.0),
        turn=_about(rng, 0.0, 1.0),
    )


def _mouth(rng: np.random.Generator) -> Mouth:
    return Mouth(
        y=_about(rng, 20.3, 1.8),
        width=_about(rng, 13.8, 1.9),
        upper=_about(rng, 2.6, 0.9),
        lower=_about(rng, 3.7, 1.0),
        bow=_about(rng, 0.9, 0.5),
        curve=_about(rng, 0.0, 0.8),
        redness=float(rng.uniform(0.2, 1)),
    )


def _skin(rng: np.random.Generator) -> Skin:
    marks = tuple(
        (float(rng.uniform(-34, 34)), float(rng.uniform(-46, 36)), float(rng.uniform(0.6, 1.3)))
        for _ in range(int(rng.choice([0, 0, 0, 1, 1, 2])))
    )
    return Skin(
        melanin=float(rng.beta(1.1, 1.4)),
        redness=float(rng.uniform(0, 1)),
        freckles=float(max(0, rng.normal(-0.5, 0.7))),
        age=float(rng.uniform(0, 1)),
        cheekbones=_about(rng, 2.0, 1.1),
        fullness=_about(rng, 0.0, 1.2),
        marks=marks,
    )


def _hair(rng: np.random.Generator, skin: Skin) -> Hair:
    fair = 1 - min(1.0, 2.2 * skin.melanin)
    weight = np.array([1.2, 1.2, 1.0, 1.0 * fair, 0.4 * fair])
    name = list(_PALETTE)[int(rng.choice(len(weight), p=weight / weight.sum()))]
    shade = float(rng.uniform(0.75, 1.25))
    red, green, blue = _PALETTE[name]
    bearded = rng.uniform() < 0.4
    beards: tuple[Beard, ...] = ("stubble", "moustache", "goatee", "full")
    return Hair(
        style=HAIR_STYLES[int(rng.choice(len(HAIR_STYLES), p=_COMMON))],
        colour=(red * shade, green * shade, blue * shade),
        colour_name=name,
        grey=float(np.clip(2.4 * (skin.age - rng.uniform(0.2, 0.9)), 0, 1)),
        line_y=_about(rng, -58, 3.2),
        recede=_about(rng, 5, 3) + 5 * skin.age * float(rng.uniform(0, 1)),
        volume=_about(rng, 6, 2),
        parting=float(rng.uniform(-1, 1)),
        wave=float(rng.uniform(0, 1)),
        beard=beards[int(rng.integers(4))] if bearded else "none",
        beard_density=float(rng.uniform(0.5, 1)),
    )


_PALETTE: dict[str, Rgb] = {
    "black": (0.11, 0.10, 0.10),
    "dark brown": (0.21, 0.15, 0.11),
    "brown": (0.34, 0.25, 0.18),
    "blond": (0.68, 0.57, 0.41),
    "red": (0.52, 0.31, 0.20),
}


def _glasses(rng: np.random.Generator, eyes: Eyes) -> Glasses:
    frames: tuple[Frame, ...] = ("round", "square", "half")
    colours: tuple[Rgb, ...] = ((0.05, 0.05, 0.05), (0.25, 0.15, 0.08), (0.55, 0.5, 0.42))
    worn = rng.uniform() < 0.25
    return Glasses(
        frame=frames[int(rng.integers(3))] if worn else "none",
        width=min(eyes.spacing - 3.0, _about(rng, 13, 1.2)),
        height=_about(rng, 9, 1.4),
        thickness=float(rng.uniform(0.7, 1.9)),
        colour=colours[int(rng.integers(3))],
    )
