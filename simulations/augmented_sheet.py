"""A contact sheet of augmentation: invented people in rows, what is done to their crops in columns.

For the eye of whoever trains: does everything on it still show the same person?
"""

from collections.abc import Callable

import numpy as np

from common.faces.augment import AUGMENTATIONS, augmented
from common.faces.cameras import RANDOMISED, load_cameras
from common.faces.crops import Crop
from common.synthetic.generate import synthetic_faces
from simulations.gallery import Pixels, titled

PEOPLE = 6

Change = Callable[[Crop, int], Crop]


def augmented_sheet(seed: int, people: int = PEOPLE) -> Pixels:
    """``people`` invented people: as they are, after each augmentation, the camera, and all."""
    faces = synthetic_faces(people, 1, seed)
    columns = _columns(seed)
    rows = [
        [change(faces.crop(index), number) for number, change in enumerate(columns.values())]
        for index in range(people)
    ]
    return titled(list(columns), rows)


def _columns(seed: int) -> dict[str, Change]:
    camera = load_cameras(RANDOMISED)[0]

    def only(*names: str) -> Change:
        return lambda crop, number: augmented(crop, names, _chance(crop, seed, number))

    changes: dict[str, Change] = {"as it is": lambda crop, number: crop}
    changes |= {name: only(name) for name in AUGMENTATIONS}
    changes["camera"] = lambda crop, number: camera.shoot(crop, seed)
    everything = only(*AUGMENTATIONS)
    changes["all"] = lambda crop, number: everything(camera.shoot(crop, seed), number)
    changes["all again"] = lambda crop, number: everything(camera.shoot(crop, seed + 1), number)
    return changes


def _chance(crop: Crop, seed: int, number: int) -> np.random.Generator:
    """A generator for one cell of the sheet."""
    return np.random.default_rng([seed, number, int(crop.sum(dtype=np.int64))])
