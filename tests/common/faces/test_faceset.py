import dataclasses

import numpy as np
import pytest

from common.errors import DataSetError
from common.faces.crops import EncodedCrops, StoredCrops
from common.faces.faceset import FaceSet
from common.faces.pictures import encode


@pytest.fixture
def faces() -> FaceSet:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3)).astype(np.uint8)
    return FaceSet(
        source=StoredCrops(pixels),
        person=np.array([2, 0, 2, 0, 0]),
        names=("Ada", "Bob", "Cy"),
        picture=("a", "b", "c", "d", "e"),
        fold=np.array([1, 2, 1, 2, 2], np.int8),
        site=np.array([0, -1, 0, -1, -1]),
        camera_type=("door", "door", "hall", "hall", "door"),
        landmarks=np.zeros((5, 5, 2), np.float32),
    )


def test_neither_repr_nor_str_shows_a_name_or_a_file_name(faces: FaceSet) -> None:
    assert repr(faces) == str(faces) == f"{faces}" == "FaceSet(5 pictures of 2 people)"


def test_truths_about_pictures_are_ones_and_zeros(faces: FaceSet) -> None:
    truths = np.array([[True], [False], [True], [True], [False]])
    said = dataclasses.replace(faces, attributes=truths, attribute_names=("hat",))
    assert said.attributes is not None and said.attributes.dtype == np.int8
    assert said.subset([1, 2]).attributes.tolist() == [[0], [1]]  # type: ignore[union-attr]
    for wrong in (np.full((5, 1), 2), np.zeros((5, 1)), np.zeros(5, np.bool_)):
        with pytest.raises(DataSetError, match="attributes"):
            dataclasses.replace(faces, attributes=wrong, attribute_names=("hat",))


def test_people_are_those_with_a_picture_and_counts_follow_them(faces: FaceSet) -> None:
    assert faces.people.tolist() == [0, 2]
    assert faces.counts().tolist() == [3, 2]
    assert faces.pictures_of(0).tolist() == [1, 3, 4]
    assert faces.pictures_of(1).tolist() == []


def test_a_subset_keeps_global_ids_order_and_every_column(faces: FaceSet) -> None:
    part = faces.subset([4, 2])
    assert part.person.tolist() == [0, 2]
    assert part.names == faces.names
    assert part.picture == ("e", "c")
    assert part.fold is not None
    assert part.fold.tolist() == [2, 1]
    assert part.site is not None
    assert part.site.tolist() == [-1, 0]
    assert part.camera_type == ("door", "hall")
    assert part.landmarks is not None
    assert part.landmarks.shape == (2, 5, 2)
    assert np.array_equal(part.crop(1), faces.crop(2))


def test_a_subset_by_mask_equals_one_by_indices(faces: FaceSet) -> None:
    mask = faces.person == 2
    assert np.array_equal(faces.subset(mask).crops([0, 1]), faces.crops([0, 2]))
    with pytest.raises(IndexError):
        faces.subset(mask[:3])


def test_a_subset_of_nothing_is_an_empty_set(faces: FaceSet) -> None:
    empty = faces.subset([])
    assert repr(empty) == "FaceSet(0 pictures of 0 people)"
    assert empty.crops([]).shape == (0, 112, 112, 3)


def test_of_people_takes_all_their_pictures(faces: FaceSet) -> None:
    assert faces.of_people([0]).picture == ("b", "d", "e")
    assert faces.of_people(np.array([1])).picture == ()


def test_columns_of_another_length_are_refused(faces: FaceSet) -> None:
    with pytest.raises(DataSetError, match="fold has 2 entries"):
        FaceSet(
            source=faces.source, person=faces.person, names=faces.names, fold=np.zeros(2, np.int8)
        )
    with pytest.raises(DataSetError, match="person"):
        FaceSet(source=faces.source, person=faces.person, names=("only one",))


def test_a_crop_may_be_changed_without_changing_the_set(faces: FaceSet) -> None:
    before = faces.crop(0).copy()
    faces.crop(0)[:] = 0
    assert np.array_equal(faces.crop(0), before)


def test_the_digest_names_the_pictures_and_their_order(faces: FaceSet) -> None:
    same = faces.subset([0, 1, 2, 3, 4])
    assert same.digest == faces.digest
    assert faces.subset([1, 0, 2, 3, 4]).digest != faces.digest
    assert faces.subset([0, 1, 2, 3]).digest != faces.digest


def test_encoded_crops_move_and_decode_like_stored_ones(faces: FaceSet) -> None:
    encoded = EncodedCrops.of([encode(faces.crop(i)) for i in range(5)])
    moved = encoded.take(np.array([3, 1]))
    assert np.array_equal(moved.crop(0), encoded.crop(3))
    assert moved.digest() == encoded.take(np.array([3, 1])).digest()
    assert moved.digest() != encoded.digest()
    assert len(moved) == 2


def test_stored_crops_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="112"):
        StoredCrops(np.zeros((2, 64, 64, 3), np.uint8))
