"""Twenty people who are patterns of colour: told apart at a glance, and drawn in no time."""

import numpy as np
import pytest

from common.faces.crops import SIDE, StoredCrops
from common.faces.faceset import FaceSet

PEOPLE, PICTURES, TILE = 20, 6, 16


@pytest.fixture(scope="session")
def crowd() -> FaceSet:
    """20 people, 6 pictures each: one's own coarse pattern, in another light, under noise."""
    rng = np.random.default_rng(3)
    pattern = rng.uniform(60, 190, (PEOPLE, SIDE // TILE, SIDE // TILE, 3))
    seen = np.kron(np.repeat(pattern, PICTURES, axis=0), np.ones((1, TILE, TILE, 1)))
    light = rng.uniform(0.7, 1.3, (PEOPLE * PICTURES, 1, 1, 1))
    crops = np.clip(light * seen + 25 * rng.standard_normal(seen.shape), 0, 255).astype(np.uint8)
    return FaceSet(
        source=StoredCrops(crops),
        person=np.repeat(np.arange(PEOPLE), PICTURES),
        names=tuple(f"pattern-{number}" for number in range(PEOPLE)),
    )
