"""What calibrated heads read, named as in the vocabulary whatever their columns are called."""

import numpy as np
from numpy.typing import NDArray

from common.heads.heads import Readings
from common.text.vocabulary import FEMALE, canonical

Doubles = NDArray[np.float64]


def read_chances(readings: Readings) -> dict[str, Doubles]:
    """(N,) probabilities by canonical name, gender among them where its head is on."""
    found: dict[str, Doubles] = {}
    if readings.female is not None:
        found[FEMALE] = np.asarray(readings.female, np.float64)
    if readings.attributes is not None:
        for column, name in enumerate(readings.names):
            meant = canonical(name)
            if meant is not None and meant[0] not in found:
                value = readings.attributes[:, column]
                found[meant[0]] = value if meant[1] else 1 - value
    return found
