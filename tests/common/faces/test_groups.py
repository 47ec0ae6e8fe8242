"""Groups come from audit packs, belong to people, and never into a face set."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import DataSetError, NoFaceError
from common.faces.crops import SIDE
from common.faces.detect import Face
from common.faces.faceset import FaceSet
from common.faces.groups import Audited, load_audited
from common.faces.pack import load_pack
from common.faces.pictures import Picture, encode
from common.metrics.fairness import NOBODY


def test_people_of_a_pack_are_in_the_group_of_all_their_pictures(tmp_path: Path) -> None:
    """Of four people one is in both groups, one in neither."""
    path = pack(tmp_path, SIDE, person=list("aabbccd"), gender=[0, 0, 1, 1, 0, 1, -1])
    audited = load_audited(path)
    assert audited.names == ("gender 0", "gender 1")
    assert audited.group.tolist() == [0, 1, NOBODY, NOBODY]
    assert audited.identities
    assert audited.faces.fold is not None


def test_a_column_of_texts_names_its_groups(tmp_path: Path) -> None:
    path = pack(tmp_path, SIDE, person=["a", "b"], group=["north", "east"], gender=[0, 1])
    assert load_audited(path).names == ("east", "north")
    assert load_audited(path, "gender").names == ("gender 0", "gender 1")


def test_without_identities_every_picture_is_a_person_of_112_pixels(tmp_path: Path) -> None:
    audited = load_audited(pack(tmp_path, 64, group=["x", "y", "x"]))
    assert not audited.identities
    assert audited.group.tolist() == [0, 1, 0]
    assert len(audited.faces.people) == 3
    assert audited.faces.crop(2).shape == (SIDE, SIDE, 3)
    assert audited.found is None


def test_pictures_without_a_face_are_left_out_and_counted_by_group(tmp_path: Path) -> None:
    audited = load_audited(pack(tmp_path, 64, group=["x", "y", "x", "x"]), detector=EveryOther())
    assert audited.group.tolist() == [0, 0]
    assert audited.found is not None
    assert audited.found.tolist() == pytest.approx([2 / 3, 0])


def test_where_no_face_is_found_at_all_it_is_told(tmp_path: Path) -> None:
    detector = EveryOther()
    detector.seen = 1
    with pytest.raises(NoFaceError, match="any picture"):
        load_audited(pack(tmp_path, 64, group=["x"]), detector=detector)


@pytest.mark.parametrize(
    ("columns", "asked", "told"),
    [
        ({}, None, "nobody here is in a group"),
        ({"group": ["x", "y"]}, "gender", "no array gender"),
        ({"group": ["x", "y"]}, "person", "are in group, gender, age"),
        ({"group": [0.5, 1.5]}, None, "texts or integers"),
        ({"gender": [-1, -1]}, None, "up to 32 groups"),
        ({"group": ["x"]}, None, "have 1 groups"),
        ({"person": ["a", "b"], "group": ["x"]}, None, "expected 2 entries"),
    ],
)
def test_mistakes_name_the_column(
    tmp_path: Path, columns: dict[str, Any], asked: str | None, told: str
) -> None:
    with pytest.raises(DataSetError, match=told):
        load_audited(pack(tmp_path, SIDE, pictures=2, **columns), asked)


def test_a_face_set_has_no_group_even_of_a_pack_that_tells_them(tmp_path: Path) -> None:
    faces = load_pack(pack(tmp_path, SIDE, person=["a", "b"], group=["x", "y"], gender=[0, 1]))
    assert not {field.name for field in dataclasses.fields(FaceSet)} & {"group", "gender"}
    assert not hasattr(faces, "group")
    assert not hasattr(faces, "gender")


def test_what_was_loaded_shows_nobody(tmp_path: Path) -> None:
    audited = load_audited(pack(tmp_path, SIDE, person=["Ann"], gender=[0]))
    assert isinstance(audited, Audited)
    assert "Ann" not in repr(audited)


class EveryOther:
    """Finds a face in the first, the third ... picture it is shown."""

    seen = 0

    def find(self, picture: Picture) -> tuple[Face, ...]:
        self.seen += 1
        if self.seen % 2 == 0:
            return ()
        height, width = picture.shape[:2]
        places = [(0.4, 0.4), (0.6, 0.4), (0.5, 0.5), (0.42, 0.62), (0.58, 0.62)]
        landmarks = np.array(places, np.float32) * (width, height)
        return (Face((0.0, 0.0, width * 1.0, height * 1.0), 1.0, landmarks),)


def pack(folder: Path, side: int, pictures: int | None = None, **columns: Any) -> Path:
    """A pack of coloured squares; as many as the first column says."""
    count = pictures if pictures is not None else len(next(iter(columns.values())))
    rng = np.random.default_rng(0)
    encoded = [encode(np.full((side, side, 3), rng.integers(256), np.uint8)) for _ in range(count)]
    arrays: dict[str, NDArray[Any]] = {key: np.array(value) for key, value in columns.items()}
    offsets = np.cumsum([0, *map(len, encoded)])
    path = folder / "audit.npz"
    np.savez(path, jpeg=np.frombuffer(b"".join(encoded), np.uint8), offsets=offsets, **arrays)
    return path
