"""What a small site describes by: heads that read glasses, a hat and an age off three numbers."""

import dataclasses

import numpy as np

from client.door.words import Words
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.calibration import Platt
from common.heads.head import Head
from common.heads.heads import Heads
from common.heads.heads_file import heads_bytes
from common.heads.scaling import Scaling
from common.text.search import Searcher
from tests.small_releases import DIM, TRUNK, feature

GAIN = 40.0
NAMES = ("glasses", "hat")


def heads() -> Heads:
    """Number 0 of a feature is about glasses, number 1 about a hat, number 2 about the years."""
    made: tuple[Head, ...] = (
        AttributesHead(names=NAMES, shown=(50, 50), absent=(50, 50)),
        AgeHead(cuts=(30, 50, 70)),
    )
    weight, years = np.zeros((2, DIM), np.float32), np.zeros(DIM, np.float32)
    weight[0, 0] = weight[1, 1] = years[2] = GAIN
    return Heads(
        trunk=TRUNK,
        heads=made,
        scaling=Scaling(np.zeros(DIM, np.float32), np.ones(DIM, np.float32)),
        arrays={
            "heads.attributes.weight": weight,
            "heads.attributes.bias": np.zeros(2, np.float32),
            "heads.age.weight": years[None],
            "heads.age.bias": np.array([20.0, 0.0, -20.0], np.float32),
        },
        weights={"attributes": 1.0, "age": 1.0},
        calibration={"attributes": Platt(np.ones(2), np.zeros(2))},
    )


def brought(seed: float, trunk: str = TRUNK) -> bytes:
    """The file of heads that came with a release: as those above, ``seed`` times as sure; below 0
    they say the contrary."""
    arrays = {name: np.float32(seed) * array for name, array in heads().arrays.items()}
    return heads_bytes(dataclasses.replace(heads(), trunk=trunk, arrays=arrays))


def words() -> Words:
    """They, without an encoder."""
    return Words(name="f" * 64, heads=heads(), searcher=Searcher())


def looks(number: int, *views: int) -> dict[str, bool]:
    """How person ``number`` looks in these views together."""
    mean = np.mean([feature(number, view) for view in views or (0, 1)], axis=0)
    return {name: bool(mean[at] > 0) for at, name in enumerate(NAMES)}
