"""What changes from one picture of a person to the next: pose, light, expression, looks, lens."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from common.synthetic.people import OLDEST, YOUNGEST, Beard, HairStyle, Hat, Person, Rgb

Eyewear = Literal["none", "glasses", "sunglasses"]
Obstacle = Literal["none", "hand", "microphone", "telephone", "mask", "scarf"]
Vector = tuple[float, float, float]

_ARRANGED: dict[HairStyle, tuple[HairStyle, ...]] = {  # how hair of one cut may also be worn
    "short": ("short", "side"),
    "side": ("side", "short"),
    "fringe": ("fringe", "side"),
    "bob": ("bob", "bob", "tied"),
    "long": ("long", "long", "tied"),
    "tied": ("tied", "tied", "long"),
}
_OBSTACLES: tuple[Obstacle, ...] = ("hand", "microphone", "telephone", "mask", "scarf")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """Angles in radians; ``jitter`` (5, 2) is the error of the landmarks the crop is aligned by."""

    yaw: float
    pitch: float
    roll: float
    distance: float  # of the camera, pixels
    jitter: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression:
    """Shares from 0 (at rest) to 1, but ``smile`` and ``brows`` may also go below."""

    smile: float
    open: float
    brows: float
    lids: float  # how far the eyes are open, 1 at rest
    gaze: tuple[float, float]  # pixels
    pucker: float
    lean: float  # how much more one corner of the mouth moves, -1 to 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """A lamp that casts shadows, one that does not, and the light from everywhere else.

    Directions are unit vectors towards the lamps: x right, y down, z to the viewer.
    """

    direction: Vector
    colour: Rgb
    second: Vector
    second_colour: Rgb
    ambient: float  # share of the key lamp
    hardness: float  # of the shadows, 0-1
    exposure: float
    tint: Rgb
    shine: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Looks:
    """What somebody chose, or what the years did, before this picture."""

    years: float  # since the person was drawn, may be negative
    style: HairStyle
    beard: Beard
    growth: float  # of the beard, factor
    hair_shift: tuple[float, float]
    hair_volume: float  # factor
    eyewear: Eyewear
    hat: Hat
    tan: float
    colour: Rgb  # of whatever cloth is worn


@dataclass(frozen=True, kw_only=True, slots=True)
class Variation:
    """One picture of somebody."""

    pose: Pose
    expression: Expression
    light: Light
    looks: Looks
    obstacle: Obstacle
    cut: float  # share of the crop that lay outside the photograph; < 0 on the left
    blur: float  # pixels
    noise: float  # standard deviation in grey levels
    scene: int  # seed of background, clothing and stray texture


def draw_variation(person: Person, rng: np.random.Generator) -> Variation:
    """One way ``person`` may look; the same state of ``rng`` gives the same one."""
    hidden = rng.uniform() < 0.1
    cut = float(rng.uniform(0.08, 0.3) * rng.choice([-1, 1])) if rng.uniform() < 0.05 else 0.0
    return Variation(
        pose=_pose(rng),
        expression=_expression(rng),
        light=_light(rng),
        looks=_looks(person, rng),
        obstacle=_OBSTACLES[int(rng.integers(5))] if hidden else "none",
        cut=cut,
        blur=float(rng.uniform(0.3, 0.55) if rng.uniform() < 0.7 else rng.uniform(0.55, 1.4)),
        noise=float(rng.uniform(0.5, 4)),
        scene=int(rng.integers(2**31)),
    )


def on_the_day(person: Person, variation: Variation) -> Person:
    """``person`` as old, tanned, shaved and combed as in this picture."""
    looks = variation.looks
    years = float(np.clip(person.years + looks.years, YOUNGEST, OLDEST))
    grey = float(np.clip(person.hair.grey + 0.03 * looks.years, 0, 1)) if person.hair.grey else 0.0
    skin = dataclasses.replace(
        person.skin,
        age=(years - YOUNGEST) / (OLDEST - YOUNGEST),
        melanin=float(np.clip(person.skin.melanin + looks.tan, 0, 1)),
        fullness=person.skin.fullness + 0.12 * looks.years,
    )
    hair = dataclasses.replace(
        person.hair,
        style=looks.style,
        beard=looks.beard,
        grey=grey,
        volume=person.hair.volume * looks.hair_volume,
        beard_density=min(1.0, person.hair.beard_density * looks.growth),
    )
    return dataclasses.replace(person, skin=skin, hair=hair)


def _pose(rng: np.random.Generator) -> Pose:
    jitter = rng.normal(0, 1.1, (5, 2)) + rng.normal(0, 0.8, 2)
    wide = rng.uniform() < 0.35
    yaw = rng.uniform(-45, 45) if wide else np.clip(rng.normal(0, 13), -40, 40)
    return Pose(
        yaw=math.radians(float(yaw)),
        pitch=math.radians(float(np.clip(rng.normal(0, 9), -22, 22))),
        roll=math.radians(float(np.clip(rng.normal(0, 8), -25, 25))),
        distance=float(np.exp(rng.uniform(math.log(260), math.log(1500)))),
        jitter=tuple((float(x), float(y)) for x, y in jitter),
    )


def _expression(rng: np.random.Generator) -> Expression:
    smiling = rng.uniform() < 0.45
    speaking = rng.uniform() < 0.3
    return Expression(
        smile=float(rng.uniform(0.2, 1) if smiling else np.clip(rng.normal(0, 0.2), -0.5, 0.4)),
        open=float(rng.uniform(0.15, 1) ** 1.5 if speaking else 0.0),
        brows=float(np.clip(rng.normal(0.05, 0.45), -0.8, 1.2)),
        lids=float(0.1 if rng.uniform() < 0.04 else np.clip(rng.normal(0.9, 0.13), 0.5, 1.15)),
        gaze=(float(np.clip(rng.normal(0, 1.3), -3, 3)), float(rng.normal(0, 0.5))),
        pucker=float(rng.uniform(0.2, 0.8)) if not smiling and rng.uniform() < 0.1 else 0.0,
        lean=float(np.clip(rng.normal(0, 0.35), -1, 1)),
    )


def _light(rng: np.random.Generator) -> Light:
    kind = rng.choice(4, p=[0.42, 0.33, 0.13, 0.12])  # soft room, lamp at a side, sun, from behind
    side = float(rng.normal(0, (0.6, 1.6, 1.0, 0.5)[kind]))
    height = float(rng.normal((-0.5, -0.35, -1.1, -0.3)[kind], 0.4))
    warmth = float(rng.normal(0, 0.09))
    coloured = kind == 1 and rng.uniform() < 0.25
    far = float(rng.choice([-1, 1]))
    second = _unit((far * float(rng.uniform(0.8, 2)), -0.5, -1.0 if kind == 3 else 0.3))
    strength = float(rng.uniform(0.9, 2.2) if kind == 3 else rng.uniform(0, 0.35))
    hue = rng.uniform(0.6, 1.15, 3) if coloured else np.ones(3)
    low, high = ((0.7, 1.3), (0.12, 0.5), (0.2, 0.5), (0.5, 1.0))[kind]
    return Light(
        direction=_unit((side, height, 1.0)),
        colour=(float(hue[0]), float(hue[1]), float(hue[2])),
        second=second,
        second_colour=(strength, strength * (1 - warmth), strength * (1 - 2 * warmth)),
        ambient=float(rng.uniform(low, high)),
        hardness=(0.25, 0.7, 1.0, 0.2)[kind],
        exposure=float(np.exp(rng.normal(-0.02, 0.24))) * (0.7 if kind == 3 else 1.0),
        tint=(1 + warmth, 1 + 0.02 * float(rng.standard_normal()), 1 - warmth),
        shine=float(rng.uniform(0.02, 0.2)),
    )


def _looks(person: Person, rng: np.random.Generator) -> Looks:
    h = person.hair
    styles = _ARRANGED.get(h.style, (h.style,))
    shown: tuple[Beard, ...] = (h.beard, h.beard, h.beard, h.beard, "stubble", "none")
    wears = person.glasses.frame != "none" and rng.uniform() < 0.75
    sun = rng.uniform() < 0.05
    covered = rng.uniform() < {"none": 0.02, "headscarf": 0.9}.get(person.hat, 0.18)
    hat: Hat = ("beanie" if person.hat == "none" else person.hat) if covered else "none"
    red, green, blue = _cloth(rng)
    return Looks(
        years=float(np.clip(rng.normal(0, 2.5), -6, 6)),
        style=styles[int(rng.integers(len(styles)))],
        beard=shown[int(rng.integers(6))] if h.beard != "none" else "none",
        growth=float(rng.uniform(0.6, 1.3)),
        hair_shift=(float(rng.normal(0, 1.5)), float(rng.normal(0, 1.5))),
        hair_volume=float(rng.uniform(0.7, 1.4)),
        eyewear="sunglasses" if sun else "glasses" if wears else "none",
        hat=hat,
        tan=float(rng.normal(0, 0.03)),
        colour=(red, green, blue),
    )


def _cloth(rng: np.random.Generator) -> Rgb:
    grey, strength = float(rng.uniform(0.15, 0.85)), float(rng.uniform(0, 0.25))
    red, green, blue = np.clip(grey + strength * rng.uniform(-1, 1, 3), 0.03, 0.95)
    return float(red), float(green), float(blue)


def _unit(vector: Vector) -> Vector:
    x, y, z = vector
    length = math.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length
