"""Photographs of one invented person each, and an eye that sees them."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree

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
from tests.small_reception import Site

os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def photograph(person: int, view: int = 0) -> Picture:
    """A portrait with some wall around it, (192, 192, 3)."""
    crop = shoot(numbered_person(5, person), numbered_variation(5, person, view)).crop
    return np.pad(crop, ((40, 40), (40, 40), (0, 0)), mode="edge")


@pytest.fixture(scope="session")
def trunk() -> object:
    return load_trunk(STARTER)[0]


@pytest.fixture(scope="module")
def twelve(quick_module_path: Path) -> Path:
    """A site of twelve people whose release decides, closed: to be copied."""
    folder = quick_module_path / "twelve"
    with Site(folder) as site:
        site.open_for(range(12))
    return folder


@pytest.fixture
def site(twelve: Path, quick_path: Path) -> Iterator[Site]:
    """The same, open."""
    with Site(copytree(twelve, quick_path / "site")) as made:
        yield made


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
