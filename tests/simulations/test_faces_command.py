import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from common.faces.augment import AUGMENTATIONS
from common.faces.folder import FolderOptions, load_folder
from common.faces.pack import load_pack
from simulations import gallery
from simulations.augmented_sheet import augmented_sheet
from simulations.cli import main
from simulations.commands import faces as command


def lab(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["faces", *arguments])
    return done.exit_code, done.output


def test_a_folder_with_labels_and_scenes_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "faces"
    code, text = lab("--people", "2", "--pictures", "2", "--scenes", "1", "--out", str(out))
    assert code == 0
    told = json.loads(text.splitlines()[-1])
    assert told["pictures"] == 4
    faces, _ = load_folder(out, FolderOptions(aligned=True))
    assert faces.names == ("synthetic-00000", "synthetic-00001")
    assert list(faces.attribute_names) == told["attributes"]
    lines = (tmp_path / "faces-scenes" / "scenes.jsonl").read_text().splitlines()
    scene = json.loads(lines[0])
    assert (tmp_path / "faces-scenes" / scene["picture"]).exists()
    assert len(scene["faces"]) == told["faces_in_scenes"]
    assert set(scene["faces"][0]) == {"person", "box", "landmarks", "age", "attributes", "text"}


def test_a_pack_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    digests = set()
    for name in ("a.npz", "b.NPZ"):
        assert lab("--people", "1", "--pictures", "2", "--out", str(tmp_path / name))[0] == 0
        digests.add(load_pack(tmp_path / name).digest)
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to do"),
        (("--scenes", "1", "--out", "x.npz"), "scenes need a folder"),
        (("--scenes", "1", "--out", "x.NPZ"), "scenes need a folder"),
        (("--scenes", "1", "--out", "."), "scenes need a folder"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...], message: str) -> None:
    code, text = lab(*arguments)
    assert code == 2
    assert message in text


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    code, text = lab("--people", "1", "--pictures", "1", "--out", str(tmp_path))
    assert code == 1
    assert "holds something already" in text
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_pack_that_is_there_is_left_alone(tmp_path: Path) -> None:
    pack = tmp_path / "mine.npz"
    pack.write_bytes(b"precious")
    code, text = lab("--people", "1", "--pictures", "1", "--out", str(pack))
    assert code == 1
    assert "is there already" in text
    assert pack.read_bytes() == b"precious"


def test_scenes_that_are_there_are_told_before_anything_is_rendered(tmp_path: Path) -> None:
    (tmp_path / "out-scenes").mkdir()
    (tmp_path / "out-scenes" / "mine.txt").write_text("")
    code, _ = lab("--people", "1", "--scenes", "1", "--out", str(tmp_path / "out"))
    assert code == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["mine.txt", "mine.txt/faces", "mine.txt/faces.npz"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.setattr(command, "synthetic_faces", lambda *_, **__: pytest.fail("rendered"))
    (tmp_path / "mine.txt").write_text("precious")
    code, text = lab("--people", "1", "--out", str(tmp_path / out))
    assert code == 1
    assert "choose another" in text
    assert "with --out" in text


def test_the_gallery_is_a_picture_of_many_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "_PEOPLE", 1)
    monkeypatch.setattr(gallery, "_STRIP", (388, 140))
    picture = gallery.gallery(seed=3)
    assert picture.shape[1] == 1186
    assert picture.std() > 30
    gallery.write_png(tmp_path / "pictures" / "g.png", picture[:200, :300])
    again = Image.open(tmp_path / "pictures" / "g.png").convert("RGB")
    assert np.abs(np.asarray(again).astype(int) - picture[:200, :300]).mean() < 4


def test_the_sheet_of_augmentation_shows_everything_that_training_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "augmented_sheet", lambda seed: augmented_sheet(seed, 1))
    code, text = lab("--augmented", str(tmp_path / "a.png"))
    assert code == 0
    assert json.loads(text.splitlines()[-1]) == {"augmented": str(tmp_path / "a.png")}
    with Image.open(tmp_path / "a.png") as picture:
        row = np.asarray(picture.convert("RGB"))[-118:-6].astype(int)
    cells = [row[:, 6 + 118 * number :][:, :112] for number in range(10)]
    names = ["as it is", *AUGMENTATIONS, "camera", "all", "all again"]
    assert len(cells) == len(names)
    quiet = {"as it is", "flip", "occlude"}  # may by chance have done nothing
    for name, cell in zip(names, cells, strict=True):
        assert name in quiet or np.abs(cell - cells[0]).mean() > 1, name
