import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, DataSetError
from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.faces.splits import check_one_site, parse_folds, split, with_folds


def people_named(names: list[str], pictures: int = 2) -> FaceSet:
    person = np.repeat(np.arange(len(names)), pictures)
    blank = np.zeros((len(person), 112, 112, 3), np.uint8)
    return FaceSet(source=StoredCrops(blank), person=person, names=tuple(names))


@pytest.mark.parametrize(
    ("text", "folds"),
    [("1-6,8", {1, 2, 3, 4, 5, 6, 8}), ("7", {7}), (" 1 , 3 - 4 ", {1, 3, 4}), ("2-2", {2})],
)
def test_fold_lists_are_read(text: str, folds: set[int]) -> None:
    assert parse_folds(text) == folds


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "6-1", "1,,2", "1.5", "999", "1--2", "²"])
def test_other_fold_lists_are_refused_by_their_text(text: str) -> None:
    with pytest.raises(ConfigError, match="folds"):
        parse_folds(text)


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=30, unique=True))
def test_every_person_is_in_one_fold_whoever_else_is_there(names: list[str]) -> None:
    whole, half = with_folds(people_named(names)), with_folds(people_named(names[::2]))
    assert whole.fold is not None
    assert half.fold is not None
    assert ((whole.fold >= 1) & (whole.fold <= 8)).all()
    assert (whole.fold[::2] == whole.fold[1::2]).all()  # both pictures of each person
    assert np.array_equal(half.fold, whole.fold.reshape(-1, 2)[::2].reshape(-1))


def test_another_key_deals_other_folds_and_folds_are_about_even() -> None:
    faces = people_named([f"person {i}" for i in range(800)], pictures=1)
    one, other = with_folds(faces), with_folds(faces, key=b"other")
    assert one.fold is not None
    assert other.fold is not None
    assert (one.fold != other.fold).mean() > 0.8
    assert np.bincount(one.fold)[1:].min() > 70


def test_faces_that_bring_folds_keep_them() -> None:
    faces = with_folds(people_named(["a", "b"]), folds=2, key=b"x")
    assert with_folds(faces, folds=8) is faces


def test_splits_share_no_person_and_lose_none() -> None:
    faces = with_folds(people_named([f"person {i}" for i in range(60)]))
    train, report = split(faces, "1-6"), split(faces, "7,8")
    assert not set(train.people) & set(report.people)
    assert len(train) + len(report) == len(faces)


def test_a_split_without_people_or_folds_is_refused() -> None:
    faces = people_named(["a", "b"])
    with pytest.raises(DataSetError, match="no folds"):
        split(faces, "1")
    with pytest.raises(DataSetError, match="nobody is in folds 9-10; there are folds"):
        split(with_folds(faces), "9-10")


@pytest.mark.parametrize("folds", [0, 128])
def test_an_impossible_number_of_folds_is_refused(folds: int) -> None:
    with pytest.raises(ConfigError, match="folds"):
        with_folds(people_named(["a"]), folds=folds)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 3)), max_size=20))
def test_declared_sites_are_refused_just_when_they_share_a_person(
    pictures: list[tuple[int, int]],
) -> None:
    person, site = np.array(pictures, np.int64).reshape(-1, 2).T
    places = {p: sorted({s for q, s in pictures if q == p}) for p, _ in pictures}
    shared = {p: at for p, at in places.items() if len(at) > 1}
    if not shared:
        check_one_site(person, site)
        return
    with pytest.raises(DataSetError) as caught:
        check_one_site(person, site)
    first = shared[min(shared)]
    if first[0] == -1:
        assert f"at site {first[1]} and also a report person" in str(caught.value)
    else:
        told = f"{len(shared)} of {len(places)} people are at more than one site, such as "
        told += " and ".join(map(str, first))
        assert told in str(caught.value)
