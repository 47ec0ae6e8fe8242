"""Whole data sets of invented people, so that everything can be shown without anyone's face."""

from collections.abc import Callable

import numpy as np

from common.faces.crops import EncodedCrops
from common.faces.faceset import FaceSet
from common.faces.pictures import encode
from common.synthetic.people import draw_person
from common.synthetic.renderer import render
from common.synthetic.variation import draw_variation

FOLDS = 8


def synthetic_faces(
    people: int, pictures: int, seed: int, progress: Callable[[int], None] | None = None
) -> FaceSet:
    """``people`` invented people with ``pictures`` each, in folds 1..8 as evenly as can be.

    Deterministic: person i of a seed is the same however many others there are, and so are the
    pictures. ``progress`` is told after each person how many pictures there are so far. Kept as
    JPEG (about 5 kB a picture).
    """
    if people < 1 or pictures < 1:
        raise ValueError(f"need at least one person and one picture, got {people} and {pictures}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    encoded: list[bytes] = []
    for number in range(people):
        encoded.extend(_pictures_of(number, pictures, seed))
        if progress is not None:
            progress(len(encoded))
    person = np.repeat(np.arange(people), pictures)
    return FaceSet(
        source=EncodedCrops.of(encoded),
        person=person,
        names=tuple(f"synthetic-{number:05}" for number in range(people)),
        fold=(1 + person % FOLDS).astype(np.int8),
    )


def _pictures_of(number: int, pictures: int, seed: int) -> list[bytes]:
    person = draw_person(np.random.default_rng([seed, number, 0]))
    draws = (np.random.default_rng([seed, number, 1, view]) for view in range(pictures))
    return [encode(render(person, draw_variation(person, rng))) for rng in draws]
