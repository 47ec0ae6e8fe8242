import dataclasses
from pathlib import Path

import numpy as np
import pytest

from common.errors import DataSetError
from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.faces.folder import FolderOptions, load_folder
from common.faces.pack import load_pack
from common.faces.store import save_folder, save_pack
from common.synthetic.generate import synthetic_faces


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return synthetic_faces(3, 2, seed=8)


def same_labels(one: FaceSet, other: FaceSet) -> bool:
    return (
        np.array_equal(one.attributes, other.attributes)  # type: ignore[arg-type]
        and np.array_equal(one.age, other.age)  # type: ignore[arg-type]
        and one.attribute_names == other.attribute_names
        and one.description == other.description
        and one.picture == other.picture
        and np.array_equal(one.person, other.person)
    )


def test_a_pack_keeps_everything(tmp_path: Path, faces: FaceSet) -> None:
    save_pack(tmp_path / "p.npz", faces)
    again = load_pack(tmp_path / "p.npz")
    assert same_labels(again, faces)
    assert again.names == faces.names
    assert again.digest == faces.digest
    assert np.array_equal(again.fold, faces.fold)  # type: ignore[arg-type]
    assert np.array_equal(again.landmarks, faces.landmarks)  # type: ignore[arg-type]


def test_what_nobody_said_is_kept_as_unsaid(tmp_path: Path, faces: FaceSet) -> None:
    assert faces.attributes is not None and faces.age is not None
    attributes, age = faces.attributes.copy(), faces.age.copy()
    attributes[0, 0], age[1] = -1, np.nan
    partly = dataclasses.replace(faces, attributes=attributes, age=age)
    save_pack(tmp_path / "p.npz", partly)
    save_folder(tmp_path / "f", partly)
    folder, _ = load_folder(tmp_path / "f", FolderOptions(aligned=True))
    for again in (load_pack(tmp_path / "p.npz"), folder):
        assert again.age is not None
        assert np.array_equal(again.attributes, attributes)  # type: ignore[arg-type]
        assert np.array_equal(again.age, age, equal_nan=True)


def test_a_part_of_a_set_is_stored_with_its_own_people_only(tmp_path: Path, faces: FaceSet) -> None:
    save_pack(tmp_path / "p.npz", faces.subset([5, 0]))
    again = load_pack(tmp_path / "p.npz")
    assert again.names == (faces.names[0], faces.names[2])
    assert np.array_equal(again.crop(0), faces.crop(5))


def test_a_folder_keeps_pictures_and_labels(tmp_path: Path, faces: FaceSet) -> None:
    save_folder(tmp_path / "f", faces)
    again, skipped = load_folder(tmp_path / "f", FolderOptions(aligned=True))
    assert skipped.total == 0
    assert same_labels(again, faces)
    assert np.array_equal(again.crops(range(6)), faces.crops(range(6)))


def test_decoded_crops_are_stored_too(tmp_path: Path, faces: FaceSet) -> None:
    plain = FaceSet(source=StoredCrops(faces.crops([0])), person=np.array([0]), names=("a",))
    save_pack(tmp_path / "p.npz", plain)
    save_folder(tmp_path / "f", plain)
    assert [p.name for p in (tmp_path / "f").iterdir()] == ["a"]
    assert len(load_pack(tmp_path / "p.npz")) == 1


@pytest.mark.parametrize("name", ["../out", "a/b", "", "..", ".hidden", "a\0b", "a\\b"])
def test_a_name_that_leads_out_of_the_folder_is_refused(
    tmp_path: Path, faces: FaceSet, name: str
) -> None:
    bad = dataclasses.replace(faces, names=(name, *faces.names[1:]))
    with pytest.raises(DataSetError, match="1 names"):
        save_folder(tmp_path / "f", bad)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over(tmp_path: Path, faces: FaceSet) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(DataSetError, match="not empty"):
        save_folder(tmp_path, faces)
    with pytest.raises(DataSetError, match="cannot be written"):
        save_folder(tmp_path / "mine", faces)
    with pytest.raises(DataSetError, match="cannot be written"):
        save_pack(tmp_path, faces)
