"""`mascaron-lab` given nonsense: one clear line, the documented exit code, nothing half-written."""

import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from common.faces.pictures import encode
from common.synthetic.generate import synthetic_faces
from simulations.cli import main
from simulations.sources import STARTER

NAME = "Ada Lovelace"  # in every person's name: must never be told
TINY = """name = "tiny"
sites = 2
views = 1
simulated_views = 2
simulated_cameras = 2
public_steps = 2
seeds = 1
draws = 50
epsilon = [8.0]
panel = 1
"""


@dataclass(frozen=True)
class Desk:
    """A folder with faces of invented people under a real-looking name, and a place to write."""

    folder: Path
    out: Path

    def run(self, *arguments: str | Path) -> Result:
        given = [str(a) for a in arguments]
        return CliRunner().invoke(main, ["run", *given, "--out", str(self.out)])

    def faces(self, *arguments: str | Path, scenario: str = "tiny.toml") -> Result:
        public = self.folder / "public.npz"
        faces = [] if "--faces" in arguments else ["--faces", self.folder / "faces.npz"]
        return self.run(self.folder / scenario, *faces, "--public", public, *arguments)


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    write_pack(folder / "faces.npz", people=16, pictures=3, seed=1)
    write_pack(folder / "public.npz", people=6, pictures=2, seed=2)
    write_pack(folder / "single.npz", people=16, pictures=1, seed=1)
    site = np.where(np.arange(48) // 3 < 8, np.arange(48) // 3 % 2, -1)
    kinds = np.where(site < 0, np.where(np.arange(48) % 2, "hall", "door"), "")
    kinds = np.where(site == 0, "door", np.where(site == 1, "hall", kinds))
    declared = {"site": site, "camera_type": kinds}
    write_pack(folder / "declared.npz", people=16, pictures=3, seed=1, **declared)
    (folder / "tiny.toml").write_text(TINY, "utf-8")
    return folder


@pytest.fixture
def desk(packs: Path, tmp_path: Path) -> Desk:
    folder = tmp_path / "desk"
    shutil.copytree(packs, folder)
    return Desk(folder, tmp_path / "out")


def write_pack(path: Path, people: int, pictures: int, seed: int, **arrays: Any) -> None:
    faces = synthetic_faces(people, pictures, seed)
    encoded = [encode(faces.crop(i)) for i in range(len(faces))]
    arrays["jpeg"] = np.frombuffer(b"".join(encoded), np.uint8)
    arrays["offsets"] = np.cumsum([0, *map(len, encoded)])
    arrays["person"] = np.array([f"{NAME} {p}" for p in faces.person])
    np.savez(path, fold=faces.fold, **arrays)


def write_folder(path: Path, people: int, content: Callable[[int, int], bytes]) -> Path:
    for person in range(people):
        home = path / f"{NAME} {person}"
        home.mkdir(parents=True)
        for picture in range(2):
            (home / f"{picture}.jpg").write_bytes(content(person, picture))
    return path


def refused(result: Result, code: int, *words: str) -> None:
    """``result`` failed as documented: one line on stderr that holds ``words`` and no name."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert lines[-1].startswith("Error: ")
    assert len([line for line in lines if line.startswith("Error")]) == 1
    for word in words:
        assert word in lines[-1]
    assert "Traceback" not in result.output
    assert NAME not in result.output
    assert result.stdout == ""


def untouched(desk: Desk) -> None:
    assert not desk.out.exists()


WRONG_USE: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "epsilon of zero": (["--epsilon", "0"], ["epsilon", "0.0"]),
    "negative epsilon": (["--epsilon", "-1"], ["epsilon", "-1.0"]),
    "second epsilon not a number": (["--epsilon", "8", "--epsilon", "nan"], ["epsilon", "nan"]),
    "delta of one": (["--delta", "1"], ["delta"]),
    "no seeds": (["--seeds", "0"], ["seeds"]),
    "no sites": (["--sites", "0"], ["sites"]),
    "more sites than people": (["--sites", "40"], ["12 people with two pictures", "40 sites"]),
    "overlapping folds": (
        ["--train-folds", "1-7"],
        ["must not overlap", "train and choose both have 7", "--choose-folds is 7"],
    ),
    "folds that are no numbers": (["--report-folds", "x"], ["'x'", "1-6,8"]),
    "nobody in the report folds": (["--report-folds", "9"], ["nobody to report", "9"]),
    "nobody in the train folds": (["--train-folds", "9"], ["0 people"]),
    "cross-fit of two folds": (["--cross-fit", "1-2"], ["three folds"]),
    "unknown cameras": (["--camera", "nowhere.toml"], ["nowhere.toml", "four.toml"]),
}


@pytest.mark.parametrize("how", WRONG_USE)
def test_wrong_use_is_told_in_one_line(desk: Desk, how: str) -> None:
    arguments, words = WRONG_USE[how]
    refused(desk.faces(*arguments), 2, "SCENARIO_INVALID" if "x" not in arguments else "", *words)
    untouched(desk)


def test_misspelt_key_is_told_with_file_and_key(desk: Desk) -> None:
    (desk.folder / "typo.toml").write_text(TINY + "sede = 3\n", "utf-8")
    refused(desk.faces(scenario="typo.toml"), 2, "CONFIG_INVALID", "typo.toml", "'sede'", "'seeds'")
    untouched(desk)


def test_misspelt_key_of_a_camera_is_told_with_file_and_key(desk: Desk) -> None:
    text = '[[camera]]\nname = "a"\noperations = [{ kind = "gamma", low = 1.0, hihg = 2.0 }]\n'
    (desk.folder / "mine.toml").write_text(text, "utf-8")
    given = desk.faces("--camera", desk.folder / "mine.toml")
    refused(given, 2, "CONFIG_INVALID", "mine.toml", "'hihg'", "'high'")
    untouched(desk)


def test_unknown_scenario_lists_those_there_are(desk: Desk) -> None:
    refused(desk.run("fleat"), 2, "SCENARIO_INVALID", "'fleat'", "fleet", "cameras")
    untouched(desk)


def test_faces_without_public_people_are_refused_at_once(desk: Desk) -> None:
    result = desk.run(desk.folder / "tiny.toml", "--faces", desk.folder / "nowhere.npz")
    refused(result, 2, "SCENARIO_INVALID", "--public")
    untouched(desk)


def test_unknown_option_is_wrong_use(desk: Desk) -> None:
    result = desk.faces("--epsylon", "3")
    assert result.exit_code == 2
    assert "--epsylon" in result.stderr


def test_missing_or_empty_faces_are_told(desk: Desk) -> None:
    (desk.folder / "empty").mkdir()
    for name in ("nowhere", "nowhere.npz", "empty"):
        given = desk.faces("--faces", desk.folder / name)
        refused(given, 1, "DATASET_INVALID", name)
    untouched(desk)


PACKS: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: path.write_bytes(b"no zip file"),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:2000]),
    "empty": lambda path: path.write_bytes(b""),
    "no arrays": lambda path: zipfile.ZipFile(path, "w").close(),
    "objects": lambda path: np.savez(path, jpeg=np.array([{}]), offsets=[0, 1], person=["a"]),
    "lengths differ": lambda path: np.savez(
        path, jpeg=np.zeros(9, np.uint8), offsets=[0, 4, 9], person=[f"{NAME} 1"]
    ),
}


@pytest.mark.parametrize("how", PACKS)
def test_unreadable_pack_is_told_by_name(desk: Desk, how: str) -> None:
    PACKS[how](desk.folder / "faces.npz")
    refused(desk.faces(), 1, "DATASET_INVALID", "faces.npz")
    untouched(desk)


def test_broken_picture_is_told_by_its_ordinal(desk: Desk) -> None:
    path = desk.folder / "faces.npz"
    with np.load(path) as pack:
        arrays = dict(pack)
    start, end = arrays["offsets"][7], arrays["offsets"][8]
    arrays["jpeg"] = arrays["jpeg"].copy()
    arrays["jpeg"][start:end] = 0
    np.savez(path, **arrays)
    refused(desk.faces(), 1, "PICTURE_REFUSED", "7")
    shutil.rmtree(desk.out, ignore_errors=True)


def test_folder_of_broken_pictures_is_told_without_a_name(desk: Desk) -> None:
    folder = write_folder(desk.folder / "people", 3, lambda *_: b"no picture")
    given = desk.faces("--faces", folder, "--aligned")
    refused(given, 1, "PICTURE_REFUSED", "picture 0")
    skipping = desk.faces("--faces", folder, "--aligned", "--keep-going")
    refused(skipping, 1, "DATASET_INVALID", "none of 6 pictures can be used")
    untouched(desk)


def test_pictures_without_a_face_are_told(desk: Desk) -> None:
    grey = encode(np.full((112, 112, 3), 127, np.uint8))
    folder = write_folder(desk.folder / "people", 2, lambda *_: grey)
    remedies = ("--aligned", "--keep-going")
    refused(desk.faces("--faces", folder), 1, "NO_SINGLE_FACE", "picture 0", *remedies)
    skipping = desk.faces("--faces", folder, "--keep-going")
    refused(skipping, 1, "DATASET_INVALID", "4 without a face; are they aligned crops already?")
    untouched(desk)


def test_one_picture_people_only_cannot_train(desk: Desk) -> None:
    given = desk.faces("--faces", desk.folder / "single.npz")
    refused(given, 2, "0 people with two pictures cannot fill 2 sites")
    untouched(desk)


def test_pack_that_declares_sites_wants_no_camera(desk: Desk) -> None:
    given = desk.faces("--faces", desk.folder / "declared.npz")
    refused(given, 2, "SCENARIO_INVALID", "--camera none")
    untouched(desk)


def test_one_public_person_is_not_enough(desk: Desk) -> None:
    write_pack(desk.folder / "public.npz", people=1, pictures=2, seed=2)
    refused(desk.faces(), 1, "DATASET_INVALID", "public")
    untouched(desk)


def test_trunk_that_is_not_its_manifests_is_told(desk: Desk) -> None:
    shutil.copytree(STARTER, desk.folder / "trunk")
    weights = desk.folder / "trunk" / "trunk.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    for path in (desk.folder / "trunk", weights):
        refused(desk.faces("--trunk", path), 1, "TRUNK_MISMATCH", "trunk.safetensors", "sha256")
    untouched(desk)


def test_missing_trunk_or_misspelt_manifest_is_told(desk: Desk) -> None:
    refused(desk.faces("--trunk", desk.folder / "no.onnx"), 1, "MODEL_INVALID", "no.onnx")
    shutil.copytree(STARTER, desk.folder / "trunk")
    manifest = desk.folder / "trunk" / "trunk.toml"
    manifest.write_text(manifest.read_text("utf-8") + '\nlisense = "x"\n', "utf-8")
    refused(desk.faces("--trunk", manifest), 2, "CONFIG_INVALID", "trunk.toml", "'lisense'")
    untouched(desk)


def test_unsupported_operator_is_told_with_its_node(desk: Desk) -> None:
    from onnx import TensorProto, helper, save

    node = helper.make_node("Mish", ["x"], ["y"], name="odd")
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 112, 112])],
    )
    opset = [helper.make_opsetid("", 18)]
    save(helper.make_model(graph, opset_imports=opset), str(desk.folder / "odd.onnx"))
    given = desk.faces("--trunk", desk.folder / "odd.onnx")
    refused(given, 1, "ONNX_OPERATOR_UNSUPPORTED", "Mish", "odd")
    untouched(desk)


def test_missing_detector_is_told(desk: Desk) -> None:
    folder = write_folder(desk.folder / "people", 2, lambda *_: b"")
    given = desk.faces("--faces", folder, "--detector", desk.folder / "no.onnx")
    refused(given, 1, "no.onnx")
    untouched(desk)


def test_out_that_is_a_file_is_told_before_a_picture_is_shot(desk: Desk) -> None:
    desk.out.write_text("precious", "utf-8")
    cache = desk.folder / "features"
    refused(desk.faces("--cache", cache), 1, "RUN_FAILED", "out", "choose another folder")
    assert desk.out.read_text("utf-8") == "precious"
    assert not cache.exists()


def test_public_people_who_are_the_others_are_refused(desk: Desk) -> None:
    given = desk.faces("--faces", desk.folder / "public.npz")
    refused(given, 2, "SCENARIO_INVALID", "--public has the pictures of --faces")
    untouched(desk)


def test_a_scenario_file_that_is_not_there_is_told_as_a_file(desk: Desk) -> None:
    refused(desk.run("nowhere.toml"), 2, "no scenario file nowhere.toml")


def test_declared_sites_run_from_pack_to_summary(desk: Desk) -> None:
    given = desk.faces("--faces", desk.folder / "declared.npz", "--camera", "none")
    assert given.exit_code == 0, given.stderr
    path = Path(json.loads(given.stdout)["summary"])
    summary = json.loads(path.read_text("utf-8"))
    assert summary["sites"] == {"site-00": "door", "site-01": "hall"}
    assert len(summary["rows"]) == 8
    assert NAME not in given.output + path.read_text("utf-8")
    assert path.parent == desk.out
    other = desk.faces("--sites", "1")
    refused(other, 1, "RUN_FAILED", "pieces of another run")


def test_broken_pictures_are_skipped_and_counted_when_asked(desk: Desk) -> None:
    faces = synthetic_faces(16, 2, 1)

    def content(person: int, picture: int) -> bytes:
        return b"broken" if person == 3 and picture else encode(faces.crop(2 * person + picture))

    folder = write_folder(desk.folder / "people", 16, content)
    given = desk.faces("--faces", folder, "--aligned", "--keep-going", "--report-folds", "8,1,2")
    refused(given, 2, "must not overlap")
    given = desk.faces(
        *("--faces", folder, "--aligned", "--keep-going"),
        *("--train-folds", "1-4", "--choose-folds", "", "--report-folds", "5-8"),
    )
    assert given.exit_code == 0, given.stderr
    assert "skipped 1 pictures" in given.stderr
    assert NAME not in given.output
