"""What changes from one picture of a person to the next: pose, light, expression, surroundings."""

import math
from dataclasses import dataclass

import numpy as np

from common.synthetic.people import Person, Rgb


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """Angles in radians; ``jitter`` (5, 2) is the error of the landmarks the crop is aligned by."""

    yaw: float
    pitch: float
    jitter: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression:
    """Shares from 0 (at rest) to 1, but ``smile`` and ``brows`` may also go below."""

    smile: float
    open: float
    brows: float
    lids: float  # how far the eyes are open, 1 at rest
    gaze: tuple[float, float]  # pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """One lamp and the light from everywhere else."""

    direction: tuple[float, float, float]  # unit vector towards the lamp; z to the viewer
    ambient: float  # share
    exposure: float
    tint: Rgb
    shine: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Variation:
    """One picture of somebody."""

    pose: Pose
    expression: Expression
    light: Light
    hair_shift: tuple[float, float]
    hair_volume: float  # factor
    glasses: bool
    blur: float  # pixels
    noise: float  # standard deviation in grey levels
    scene: int  # seed of background, clothing and stray texture


def draw_variation(person: Person, rng: np.random.Generator) -> Variation:
    """One way ``person`` may look; the same state of ``rng`` gives the same one."""
    wears = person.glasses.frame != "none"
    return Variation(
        pose=_pose(rng),
        expression=_expression(rng),
        light=_light(rng),
        hair_shift=(float(rng.normal(0, 1.2)), float(rng.normal(0, 1.2))),
        hair_volume=float(rng.uniform(0.75, 1.3)),
        glasses=bool(wears and rng.uniform() < 0.85),
        blur=float(rng.uniform(0.3, 0.9)),
        noise=float(rng.uniform(0.5, 5)),
        scene=int(rng.integers(2**31)),
    )


def _pose(rng: np.random.Generator) -> Pose:
    jitter = rng.normal(0, 1.1, (5, 2)) + rng.normal(0, 0.8, 2)
    return Pose(
        yaw=math.radians(float(np.clip(rng.normal(0, 11), -26, 26))),
        pitch=math.radians(float(np.clip(rng.normal(0, 7), -16, 16))),
        jitter=tuple((float(x), float(y)) for x, y in jitter),
    )


def _expression(rng: np.random.Generator) -> Expression:
    smiling = rng.uniform() < 0.5
    speaking = rng.uniform() < 0.35
    return Expression(
        smile=float(rng.uniform(0.2, 1) if smiling else rng.normal(0, 0.15)),
        open=float(rng.uniform(0.15, 1) if speaking else 0.0),
        brows=float(np.clip(rng.normal(0.1, 0.4), -0.7, 1.2)),
        lids=float(0.12 if rng.uniform() < 0.03 else np.clip(rng.normal(0.95, 0.14), 0.5, 1.25)),
        gaze=(float(rng.normal(0, 0.9)), float(rng.normal(0, 0.4))),
    )


def _light(rng: np.random.Generator) -> Light:
    side, height = float(rng.normal(0, 0.75)), float(rng.normal(-0.45, 0.4))
    length = math.sqrt(side**2 + height**2 + 1)
    warmth = float(rng.normal(0, 0.07))
    return Light(
        direction=(side / length, height / length, 1 / length),
        ambient=float(rng.uniform(0.3, 0.75)),
        exposure=float(np.exp(rng.normal(0.02, 0.17))),
        tint=(1 + warmth, 1 + 0.02 * float(rng.standard_normal()), 1 - warmth),
        shine=float(rng.uniform(0, 0.25)),
    )
