"""A world of vectors: public people behind simulated cameras whose differences are planted."""

from collections.abc import Callable

import numpy as np
import pytest

from common.models.tail import Tail
from common.moments.reference import PublicViews, Reference, make_reference

World = Callable[..., PublicViews]
Bags = Callable[..., list[np.ndarray]]


@pytest.fixture
def identity() -> Tail:
    return Tail(np.eye(6, dtype=np.float32), np.zeros(6, np.float32))


@pytest.fixture
def world() -> World:
    def make(
        people: int = 120, cameras: int = 4, planted: float = 0.0, dim: int = 6
    ) -> PublicViews:
        """Everybody twice behind every camera; ``planted`` stretches one axis a camera."""
        rng = np.random.default_rng(5)
        person = np.repeat(np.arange(people), 2)
        centre = rng.standard_normal((people, dim))[person]
        sizes = np.linspace(0.2, 0.6, dim)
        simulated = np.empty((len(person), cameras, dim))
        for camera in range(cameras):
            stretched = sizes.copy()
            stretched[camera % dim] *= 1 + planted
            noise = rng.standard_normal((len(person), dim)) * stretched
            simulated[:, camera] = 3 + camera + centre + noise
        spread = rng.standard_normal((len(person), 3, dim)) * sizes
        return PublicViews(
            randomised=(3 + centre[:, None] + spread).astype(np.float32),
            simulated=simulated.astype(np.float32),
            camera=np.tile(np.arange(cameras), (len(person), 1)),
            person=person,
        )

    return make


@pytest.fixture
def known(identity: Tail, world: World) -> Reference:
    return make_reference(identity, world(planted=0.5))


@pytest.fixture
def bags() -> Bags:
    def make(people: int, pictures: int = 3, size: float = 0.3) -> list[np.ndarray]:
        """(k, 6) features of each of ``people``."""
        rng = np.random.default_rng(people)
        centre = 3 + rng.standard_normal((people, 1, 6))
        noise = size * rng.standard_normal((people, pictures, 6))
        return list((centre + noise).astype(np.float32))

    return make
