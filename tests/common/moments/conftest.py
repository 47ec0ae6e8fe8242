"""A world of vectors: public people behind simulated cameras whose differences are planted."""

from collections.abc import Callable

import numpy as np
import pytest

from common.models.tail import Tail
from common.moments.reference import PublicViews

World = Callable[..., PublicViews]


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
