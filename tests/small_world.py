"""A laboratory world without pictures: people are clusters, cameras move and stretch them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.models.tail import Tail
from common.moments.reference import PublicViews
from simulations.material import Material
from simulations.scenario import Scenario
from simulations.sites import Folds

DIM, EMBEDDING, PICTURES = 24, 12, 6
TURN = Folds(train=frozenset({1, 2, 3}), choose=frozenset({4}), report=frozenset({5, 6}))


class Silent:
    """Progress that nobody watches; remembers what was started."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, what: str, total: int) -> Callable[[int], None]:
        self.started.append(what)
        return lambda steps: None


@dataclass(frozen=True)
class Lenses:
    """Camera c adds ``shift[c]`` and noise whose standard deviations are ``stretch[c]``."""

    shift: NDArray[np.float64]  # (C, D)
    stretch: NDArray[np.float64]  # (C, D)

    @classmethod
    def draw(cls, count: int, size: float, seed: int) -> "Lenses":
        rng = np.random.default_rng(seed)
        stretch = np.exp(0.25 * size * rng.standard_normal((count, DIM)))
        return cls(size * rng.standard_normal((count, DIM)), 0.6 * stretch)

    def see(self, camera: int, points: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
        noise = np.random.default_rng([seed, camera]).standard_normal(points.shape)
        return (points + self.shift[camera] + noise * self.stretch[camera]).astype(np.float32)


def centres(person: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal((person.max() + 1, DIM))[person]


def small_world(people: int = 60, cameras: int = 3, size: float = 1.0) -> Material:
    """``people`` in folds 1..6 seen through ``cameras``; 60 public people see simulated ones."""
    person = np.repeat(np.arange(people), PICTURES)
    lenses = Lenses.draw(cameras, size, 3)
    points = centres(person, 1)
    weight = np.random.default_rng(9).standard_normal((EMBEDDING, DIM)).astype(np.float32)
    return Material(
        types=tuple(f"camera-{c}" for c in range(cameras)),
        features=tuple(lenses.see(c, points, 10) for c in range(cameras)),
        person=person,
        fold=(1 + person % 6).astype(np.int8),
        public=public_views(size),
        trunk="0" * 64,
        tail=Tail(weight / np.float32(np.sqrt(DIM)), np.zeros(EMBEDDING, np.float32)),
    )


def public_views(size: float) -> PublicViews:
    person = np.repeat(np.arange(60), 3)
    points = centres(person, 2)
    simulated = Lenses.draw(4, 0.7 * size, 4)
    camera = np.tile(np.arange(4), (len(person), 1))
    views = np.stack([simulated.see(c, points, 20) for c in range(4)], axis=1)
    wide = np.stack([simulated.see(c, points, 30) for c in range(3)], axis=1)
    return PublicViews(randomised=wide, simulated=views, camera=camera, person=person)


def small_scenario(**changes: object) -> Scenario:
    told = {"sites": 6, "seeds": 2, "draws": 50, "public_steps": 5, "epsilon": (8.0,), "panel": 2}
    told |= {"own_tuning": False}
    return Scenario(name="small", **{**told, **changes})  # type: ignore[arg-type]
