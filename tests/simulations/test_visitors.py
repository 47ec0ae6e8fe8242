"""Who comes to a door is the same every time, and nobody who enrols comes back as a stranger."""

import numpy as np
import pytest

from common.errors import DataSetError
from common.faces.crops import EncodedCrops
from common.faces.faceset import FaceSet
from common.faces.pictures import decode, encode
from simulations.visitors import SIZE, Crowd, invented, of_faces

SMALL = Crowd(people=2, pictures=2, later=1, strangers=1)


def faces(counts: list[int]) -> FaceSet:
    """So many pictures of each person; the grey of a picture says whose it is."""
    person = np.repeat(np.arange(len(counts)), counts)
    crops = [encode(np.full((112, 112, 3), 20 * (1 + one), np.uint8)) for one in person]
    names = tuple(f"person-{one}" for one in range(len(counts)))
    return FaceSet(source=EncodedCrops.of(crops), person=person, names=names)


def grey(picture: bytes) -> int:
    return round(float(decode(picture).mean()) / 20) - 1


@pytest.mark.parametrize(("scenes", "side"), [(False, 112), (True, SIZE.height)])
def test_invented_visitors_are_nobody_twice_and_the_same_again(scenes: bool, side: int) -> None:
    told: list[int] = []
    crowd = invented(SMALL, told.append, scenes=scenes)
    assert told == [1, 2, 3]
    assert [len(album) for album in crowd.enrolling] == [2, 2]
    assert [len(album) for album in crowd.later] == [1, 1]
    everything = [p for album in (*crowd.enrolling, *crowd.later, crowd.strangers) for p in album]
    assert len(set(everything)) == len(everything) == 7
    assert {decode(picture).shape for picture in everything} == {(side, side, 3)}
    assert invented(SMALL, told.append, scenes=scenes).strangers == crowd.strangers


def test_people_of_a_pack_enrol_come_back_or_stay_strangers() -> None:
    crowd = of_faces(faces([3, 1, 4, 2]), SMALL)
    assert [{grey(p) for p in album} for album in crowd.enrolling] == [{0}, {2}]
    assert [{grey(p) for p in album} for album in crowd.later] == [{0}, {2}]
    assert [grey(p) for p in crowd.strangers] == [1]


@pytest.mark.parametrize("counts", [[3, 2, 1], [3, 3]])
def test_a_pack_with_too_few_people_is_refused_in_numbers(counts: list[int]) -> None:
    with pytest.raises(DataSetError, match="are needed"):
        of_faces(faces(counts), SMALL)
