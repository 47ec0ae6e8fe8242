from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import DataSetError, NoFaceError, PictureError
from common.faces.align import TEMPLATE
from common.faces.detect import Face
from common.faces.folder import FolderOptions, Skipped, load_folder
from common.faces.load import load_faces
from common.faces.pictures import Picture, encode
from common.synthetic.generate import synthetic_faces

ALIGNED = FolderOptions(aligned=True)


class FakeDetector:
    """Finds a face on the template in every picture that is not black."""

    def find(self, picture: Picture) -> tuple[Face, ...]:
        if picture.max() < 30:
            return ()
        return (Face((20, 20, 72, 90), 1.0, TEMPLATE.astype(np.float32)),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ada with three pictures, Bob with two, and the usual litter."""
    root = tmp_path / "faces"
    for name, count in (("Bob", 2), ("Ada", 3)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            picture = np.full((112, 112, 3), 40 * (i + 1), np.uint8)
            (root / name / f"{i}.jpg").write_bytes(encode(picture))
    (root / "notes.csv").write_text("picture,age,unknown\nAda/0.jpg,30,x\n")
    (root / "Ada" / "labels.csv").write_text("picture\n")
    (root / "Ada" / ".hidden.jpg").write_bytes(b"")
    (root / ".git").mkdir()
    (root / "Empty").mkdir()
    return root


def test_people_are_folders_in_sorted_order_and_litter_is_left_alone(folder: Path) -> None:
    faces, skipped = load_folder(folder, ALIGNED)
    assert faces.names == ("Ada", "Bob")
    assert faces.person.tolist() == [0, 0, 0, 1, 1]
    assert faces.picture == ("0.jpg", "1.jpg", "2.jpg", "0.jpg", "1.jpg")
    assert skipped == Skipped()
    assert faces.crop(2).mean() == pytest.approx(120, abs=1)


def test_progress_hears_of_every_picture(folder: Path) -> None:
    heard: list[tuple[int, int]] = []
    load_folder(folder, ALIGNED, lambda done, of: heard.append((done, of)))
    assert heard == [(i, 5) for i in range(1, 6)]


def test_a_broken_picture_is_named_by_its_ordinal_and_no_name(folder: Path) -> None:
    (folder / "Bob" / "0.jpg").write_bytes(b"broken")
    with pytest.raises(PictureError, match="faces: picture 3: ") as refused:
        load_folder(folder, ALIGNED)
    assert "Bob" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_broken_and_faceless_pictures_are_counted_when_told_to_keep_going(folder: Path) -> None:
    (folder / "Bob" / "0.jpg").write_bytes(b"broken")
    (folder / "Bob" / "1.jpg").write_bytes(encode(np.zeros((112, 112, 3), np.uint8)))
    options = FolderOptions(detector=FakeDetector(), keep_going=True)
    faces, skipped = load_folder(folder, options)
    assert (skipped.broken, skipped.faceless, skipped.total) == (1, 1, 2)
    assert faces.names == ("Ada",)
    assert len(faces) == 3


def test_a_picture_without_a_face_stops_a_careful_load(folder: Path) -> None:
    (folder / "Bob" / "1.jpg").write_bytes(encode(np.zeros((112, 112, 3), np.uint8)))
    with pytest.raises(NoFaceError, match="picture 4: no face"):
        load_folder(folder, FolderOptions(detector=FakeDetector()))


def test_aligned_pictures_of_other_sizes_are_resized_if_square(folder: Path) -> None:
    (folder / "Bob" / "0.jpg").write_bytes(encode(np.full((160, 160, 3), 90, np.uint8)))
    (folder / "Bob" / "1.jpg").write_bytes(encode(np.full((64, 64, 3), 90, np.uint8)))
    assert load_folder(folder, ALIGNED)[0].crops([3, 4]).mean() == pytest.approx(90, abs=1)
    (folder / "Bob" / "1.jpg").write_bytes(encode(np.full((64, 48, 3), 90, np.uint8)))
    with pytest.raises(PictureError, match="48x64 is not square"):
        load_folder(folder, ALIGNED)


@pytest.mark.parametrize("content", [[], ["ada/"], ["ada.jpg"], ["ada/notes.txt"], ["a/b/c.jpg"]])
def test_a_folder_without_faces_is_refused(tmp_path: Path, content: list[str]) -> None:
    root = tmp_path / "nothing"
    root.mkdir()
    for entry in content:
        (root / entry).parent.mkdir(parents=True, exist_ok=True)
        if not entry.endswith("/"):
            (root / entry).write_bytes(b"")
    with pytest.raises(DataSetError, match=r"nothing: no pictures found; expected <person>"):
        load_faces(root, ALIGNED)


def test_a_folder_of_broken_pictures_only_is_refused_even_when_keeping_going(folder: Path) -> None:
    for file in folder.glob("*/*.jpg"):
        file.write_bytes(b"broken")
    with pytest.raises(DataSetError, match=r"none of 5 pictures can be used \(5 broken"):
        load_folder(folder, FolderOptions(aligned=True, keep_going=True))


def test_real_detection_brings_invented_people_back_onto_the_template(tmp_path: Path) -> None:
    original = synthetic_faces(6, 1, seed=2)
    (tmp_path / "someone").mkdir()
    for i in range(len(original)):
        large = cv2.resize(
            np.pad(original.crop(i), ((40, 40), (60, 60), (0, 0)), "edge"), (690, 570)
        )
        (tmp_path / "someone" / f"{i}.png").write_bytes(encode(np.asarray(large, np.uint8)))
    faces, skipped = load_folder(tmp_path, FolderOptions(keep_going=True))
    assert len(faces) >= 3
    assert len(faces) + skipped.total == 6
    assert faces.picture is not None
    for i, name in enumerate(faces.picture):
        crop = faces.crop(i)[30:100, 25:90].astype(float)
        before = original.crop(int(name[0]))[30:100, 25:90].astype(float)
        assert np.corrcoef(crop.ravel(), before.ravel())[0, 1] > 0.6


def test_the_door_takes_packs_and_folders_and_refuses_nothing_at_all(
    folder: Path, pack: Callable[..., Path], tmp_path: Path
) -> None:
    assert len(load_faces(folder, ALIGNED)[0]) == 5
    assert len(load_faces(pack())[0]) == 18
    with pytest.raises(DataSetError, match="no such file or folder"):
        load_faces(tmp_path / "absent")


def test_broken_pictures_of_a_pack_are_counted_when_told_to_keep_going(
    pack: Callable[..., Path],
) -> None:
    with np.load(pack()) as arrays:
        jpeg, offsets = arrays["jpeg"].copy(), arrays["offsets"]
    jpeg[offsets[5] : offsets[7]] = 0
    path, keep = pack(jpeg=jpeg), FolderOptions(keep_going=True)
    faces, skipped = load_faces(path, keep)
    assert (len(faces), skipped.broken) == (16, 2)
    assert len(load_faces(path)[0]) == 18
    with pytest.raises(DataSetError, match="all 18 pictures are broken"):
        load_faces(pack(jpeg=np.zeros_like(jpeg)), keep)
