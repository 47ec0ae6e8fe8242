"""Who comes to a door: people who enrol, the same people on later days, and strangers.

Pictures are crops that a camera has aligned or, of invented people, whole pictures of a place with
one person in it, so that the door has to find the face.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np

from common.errors import DataSetError
from common.faces.faceset import FaceSet
from common.faces.pictures import encode
from common.synthetic.generate import numbered_person, numbered_variation
from common.synthetic.renderer import shoot
from common.synthetic.scenes import SceneSize, draw_scene

SIZE = SceneSize(width=320, height=320, fewest=1, most=1, smallest=120.0, largest=200.0, people=1)
SEED = 5000  # person i of a crop is its person i; of a scene, the only person of SEED + i

Progress = Callable[[int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Crowd:
    """How many people enrol, pictures of each then and later, and strangers, a picture each."""

    people: int = 50
    pictures: int = 5
    later: int = 2
    strangers: int = 50


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Visitors:
    """Encoded pictures. Entry i of ``enrolling`` and of ``later`` are of the same person."""

    enrolling: tuple[tuple[bytes, ...], ...]
    later: tuple[tuple[bytes, ...], ...]
    strangers: tuple[bytes, ...]


def invented(
    crowd: Crowd, progress: Progress, processes: int = 1, *, scenes: bool = False
) -> Visitors:
    """Nobody's face; the same pictures every time. ``scenes``: whole pictures, in place of crops.

    ``progress`` is told how many people are done. More than one process are started afresh
    (``spawn``).
    """
    each = crowd.pictures + crowd.later
    counts = [each] * crowd.people + [1] * crowd.strangers
    albums: list[tuple[bytes, ...]] = []
    for album in _albums(counts, processes, _scenes if scenes else _crops):
        albums.append(album)
        progress(len(albums))
    return _visitors(albums, crowd)


def of_faces(faces: FaceSet, crowd: Crowd) -> Visitors:
    """People of ``faces``: those with pictures enough enrol, others are strangers.

    ``DataSetError`` if there are too few of either.
    """
    each = crowd.pictures + crowd.later
    pictures = {person: np.flatnonzero(faces.person == person) for person in faces.people}
    enough = [person for person, found in pictures.items() if len(found) >= each][: crowd.people]
    others = [person for person in pictures if person not in set(enough)][: crowd.strangers]
    if len(enough) < crowd.people or len(others) < crowd.strangers:
        raise DataSetError(
            f"{len(enough)} people have {each} pictures and {len(others)} others are there: "
            f"{crowd.people} and {crowd.strangers} are needed"
        )
    albums = [
        tuple(encode(faces.source.crop(int(index)), 95) for index in pictures[person][:count])
        for group, count in ((enough, each), (others, 1))
        for person in group
    ]
    return _visitors(albums, crowd)


def _visitors(albums: list[tuple[bytes, ...]], crowd: Crowd) -> Visitors:
    mine = albums[: crowd.people]
    return Visitors(
        enrolling=tuple(album[: crowd.pictures] for album in mine),
        later=tuple(album[crowd.pictures :] for album in mine),
        strangers=tuple(album[0] for album in albums[crowd.people :]),
    )


def _albums(
    counts: list[int], processes: int, album: Callable[[int, int], tuple[bytes, ...]]
) -> Iterator[tuple[bytes, ...]]:
    numbers = range(len(counts))
    if processes == 1:
        yield from map(album, numbers, counts)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(album, numbers, counts, chunksize=4)


def _crops(number: int, pictures: int) -> tuple[bytes, ...]:
    person = numbered_person(SEED, number)
    variations = (numbered_variation(SEED, number, view) for view in range(pictures))
    return tuple(encode(shoot(person, variation).crop) for variation in variations)


def _scenes(number: int, pictures: int) -> tuple[bytes, ...]:
    shot = partial(draw_scene, seed=SEED + number, size=SIZE)
    return tuple(encode(shot(view).picture) for view in range(pictures))
