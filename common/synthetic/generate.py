"""Whole data sets of invented people, so that everything can be shown without anyone's face."""

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from common.faces.crops import EncodedCrops
from common.faces.faceset import FaceSet
from common.faces.pictures import encode
from common.synthetic.labels import ATTRIBUTES, Label, label
from common.synthetic.people import Person, draw_person
from common.synthetic.renderer import shoot
from common.synthetic.variation import Variation, draw_variation

FOLDS = 8


@dataclass(frozen=True, slots=True, eq=False)
class _Album:
    """All pictures of one person."""

    encoded: list[bytes]
    landmarks: list[NDArray[np.float64]]
    labels: list[Label]


def synthetic_faces(
    people: int,
    pictures: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
    processes: int = 1,
) -> FaceSet:
    """``people`` invented people with ``pictures`` each, in folds 1..8 as evenly as can be.

    Deterministic: person i of a seed is the same however many others there are and however many
    ``processes`` render them, and so are the pictures. ``progress`` is told after each person how
    many pictures there are so far. Kept as JPEG (about 5 kB a picture), with labels.

    More than one process are started afresh (``spawn``), so a script that asks for them needs
    Python's usual ``if __name__ == "__main__"``.
    """
    if people < 1 or pictures < 1:
        raise ValueError(f"need at least one person and one picture, got {people} and {pictures}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    if processes < 1:
        raise ValueError(f"need at least one process, got {processes}")
    albums: list[_Album] = []
    for album in _albums(people, partial(_album, pictures=pictures, seed=seed), processes):
        albums.append(album)
        if progress is not None:
            progress(pictures * len(albums))
    return _faces(albums, pictures)


def numbered_person(seed: int, number: int) -> Person:
    """Person ``number`` of all the people there are under ``seed``."""
    return draw_person(np.random.default_rng([seed, number, 0]))


def numbered_variation(seed: int, number: int, view: int) -> Variation:
    """How picture ``view`` shows person ``number``."""
    person = numbered_person(seed, number)
    return draw_variation(person, np.random.default_rng([seed, number, 1, view]))


def _albums(people: int, make: Callable[[int], _Album], processes: int) -> Iterator[_Album]:
    """One album a person, in order."""
    if processes == 1:
        yield from map(make, range(people))
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(make, range(people), chunksize=4)


def _album(number: int, pictures: int, seed: int) -> _Album:
    person = numbered_person(seed, number)
    album = _Album([], [], [])
    for view in range(pictures):
        variation = numbered_variation(seed, number, view)
        shot = shoot(person, variation)
        album.encoded.append(encode(shot.crop))
        album.landmarks.append(shot.landmarks)
        album.labels.append(label(person, variation))
    return album


def _faces(albums: list[_Album], pictures: int) -> FaceSet:
    person = np.repeat(np.arange(len(albums)), pictures)
    labels = [one for album in albums for one in album.labels]
    return FaceSet(
        source=EncodedCrops.of([data for album in albums for data in album.encoded]),
        person=person,
        names=tuple(f"synthetic-{number:05}" for number in range(len(albums))),
        picture=tuple(f"{view:03}.jpg" for view in range(pictures)) * len(albums),
        fold=(1 + person % FOLDS).astype(np.int8),
        landmarks=np.concatenate([album.landmarks for album in albums]).astype(np.float32),
        attributes=np.array([one.attributes for one in labels], np.bool_),
        attribute_names=ATTRIBUTES,
        age=np.array([one.age for one in labels], np.float32),
        description=tuple(one.text for one in labels),
    )
