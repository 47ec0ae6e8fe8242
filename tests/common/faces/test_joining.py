"""Several sets of faces as one."""

import numpy as np
import pytest

from common.errors import DataSetError
from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.faces.joining import joined_faces
from common.synthetic.generate import synthetic_faces


def stored(people: int, seed: int) -> FaceSet:
    crops = np.random.default_rng(seed).integers(0, 256, (2 * people, 112, 112, 3)).astype(np.uint8)
    names = tuple(f"p{number}" for number in range(people))
    return FaceSet(source=StoredCrops(crops), person=np.repeat(np.arange(people), 2), names=names)


def test_all_pictures_come_in_order_and_nobody_is_taken_for_another() -> None:
    sets = (stored(3, 0), synthetic_faces(2, 2, 5), stored(3, 0))
    both = joined_faces(sets)
    assert len(both) == 16
    assert len(both.people) == 8  # whoever is in two sets is two people
    wanted = np.concatenate([one.crops(range(len(one))) for one in sets])
    assert np.array_equal(both.crops(range(16)), wanted)


def test_parts_of_it_are_those_pictures_and_people() -> None:
    first, second = stored(3, 0), stored(2, 1)
    some = joined_faces((first, second)).subset([9, 0, 6])
    assert np.array_equal(some.crop(0), second.crop(3))
    assert np.array_equal(some.crop(1), first.crop(0))
    assert np.array_equal(some.crop(2), second.crop(0))
    assert some.names[some.person[1]] == "p0"
    assert len(joined_faces((first, second)).of_people([1, 4])) == 4


def test_its_digest_is_that_of_its_pictures_in_their_order() -> None:
    first, second = stored(3, 0), stored(2, 1)
    both = joined_faces((first, second))
    assert both.digest == joined_faces((stored(3, 0), stored(2, 1))).digest
    assert both.digest != joined_faces((second, first)).digest
    assert both.subset([0, 6]).digest != both.subset([6, 0]).digest
    assert both.subset([0, 6]).digest != both.subset([0, 7]).digest
    again = both.subset([3, 4]).subset([1])
    assert again.digest == both.subset([4]).digest


def test_one_set_stays_what_it_is_and_none_is_refused() -> None:
    one = stored(2, 0)
    assert joined_faces([one]) is one
    with pytest.raises(DataSetError, match="no faces"):
        joined_faces([])
