"""Photographs of one invented person each, and an eye that sees them."""

import itertools
import os
from dataclasses import replace

import numpy as np
import pytest

from client.door.eye import Eye, EyeRules
from common.faces.detect import make_detector
from common.faces.pictures import Picture, decode, encode
from common.models.manifest import NAME, read_manifest
from common.models.trunk import Trunk, load_trunk
from common.synthetic.generate import numbered_person, numbered_variation
from common.synthetic.renderer import shoot
from simulations.benchmarks.quality import STARTER

os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def photograph(person: int, view: int = 0) -> Picture:
    """A portrait with some wall around it, (192, 192, 3)."""
    crop = shoot(numbered_person(5, person), numbered_variation(5, person, view)).crop
    return np.pad(crop, ((40, 40), (40, 40), (0, 0)), mode="edge")


@pytest.fixture(scope="session")
def trunk() -> object:
    return load_trunk(STARTER)[0]


@pytest.fixture(scope="session")
def other_trunk(trunk: Trunk) -> Trunk:
    """Another one: of the same network, with other conventions about pixels."""
    manifest = replace(read_manifest(STARTER / NAME), mean=(0.4, 0.4, 0.4))
    return load_trunk(STARTER, manifest)[0]


@pytest.fixture(scope="session")
def portraits() -> list[bytes]:
    """Four in which the cascades find the face."""
    detector, found = make_detector(None), list[bytes]()
    for person in itertools.count():
        if len(found) == 4:
            break
        data = encode(photograph(person))
        if len(detector.find(decode(data))) == 1:
            found.append(data)
    return found


@pytest.fixture(scope="session")
def eye(trunk: object) -> Eye:
    """With the cascades, which place landmarks coarsely, so that little quality is asked for."""
    return Eye(trunk, make_detector(None), EyeRules(least_quality=0.05))  # type: ignore[arg-type]
