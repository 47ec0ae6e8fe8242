"""`mascaron-lab measure`: a table, JSON, and one clear line for every mistake."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from common.faces.pictures import encode
from common.synthetic.generate import synthetic_faces
from simulations.cli import main
from simulations.figures import rate_key

NAME = "Ada Lovelace"  # in every person's name: must never be told
PEOPLE, PICTURES = 24, 3
HEAD = "fold\tperson_a\tpicture_a\tperson_b\tpicture_b\tsame\n"
SMALL = ("--folds", "1-5", "--threshold-folds", "6-8", "--fmr", "0.1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack, the same pictures as a folder of people, and a list of pairs."""
    home = tmp_path_factory.mktemp("faces")
    faces = synthetic_faces(PEOPLE, PICTURES, seed=5)
    assert faces.fold is not None
    encoded = [encode(faces.crop(i)) for i in range(len(faces))]
    names = [f"{NAME} {p:02}" for p in faces.person]
    files = [f"picture_{1 + i % PICTURES:04}.jpg" for i in range(len(faces))]
    for name, file, content in zip(names, files, encoded, strict=True):
        (home / "people" / name).mkdir(parents=True, exist_ok=True)
        (home / "people" / name / file).write_bytes(content)
    np.savez(
        home / "faces.npz",
        jpeg=np.frombuffer(b"".join(encoded), np.uint8),
        offsets=np.cumsum([0, *map(len, encoded)]),
        person=np.array(names),
        picture=np.array(files),
        fold=faces.fold,
    )
    lines = []
    for person in range(PEOPLE):
        one, other = f"{NAME} {person:02}", f"{NAME} {(person + 1) % PEOPLE:02}"
        lines += [f"{person % 4}\t{one}\t1\t{one}\t2\t1", f"{person % 4}\t{one}\t1\t{other}\t3\t0"]
    (home / "pairs.tsv").write_text(HEAD + "\n".join(lines) + "\n", "utf-8")
    return home


def measure(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["measure", *map(str, arguments)])


def refused(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    last = [line for line in result.stderr.splitlines() if line.strip()][-1]
    for word in ("Error: ", *words):
        assert word in last
    assert NAME not in result.output
    assert result.stdout == ""


def test_pack_is_measured_into_a_table_and_json(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures" / "mine.json"
    given = measure(
        *("--faces", folder / "faces.npz", "--pairs", folder / "pairs.tsv", "--fmr", "0.1"),
        *("--folds", "1-5", "--threshold-folds", "6-8", "--out", out),
    )
    assert given.exit_code == 0, given.stderr
    figures = json.loads(given.stdout)
    assert json.loads(out.read_text("utf-8")) == figures
    assert figures["faces"] == {"pictures": 45, "people": 15, "skipped": 0}
    assert figures["classification"]["people_of_threshold"] == 9
    assert figures["verification"]["genuine_pairs"] == 15 * 3
    assert figures["verification"]["impostor_pairs"] == 45 * 44 // 2 - 45
    assert figures["verification"]["area_under_roc"] > 0.6
    assert figures["pairs"]["folds"] == 4
    assert figures["pairs"]["pairs"] == 48
    for row in ("TAR at FAR 1e-1", "F1", "rank-1", "B-cubed F1", "accuracy on given pairs"):
        assert row in given.stderr
    assert f"{figures['pairs']['accuracy']:.4f}" in given.stderr
    assert NAME not in given.output


def test_folder_of_the_same_pictures_gives_the_same_pair_figures(folder: Path) -> None:
    pack, people = (
        measure("--faces", path, "--pairs", folder / "pairs.tsv", "--aligned", *SMALL)
        for path in (folder / "faces.npz", folder / "people")
    )
    assert (pack.exit_code, people.exit_code) == (0, 0), people.stderr
    found, other = json.loads(pack.stdout)["pairs"], json.loads(people.stdout)["pairs"]
    assert other["accuracy"] == pytest.approx(found["accuracy"])
    assert other["area_under_roc"] == pytest.approx(found["area_under_roc"])


def test_harsh_cameras_make_it_harder(folder: Path) -> None:
    plain, harsh = (
        json.loads(measure("--faces", folder / "faces.npz", "--camera", c, *SMALL).stdout)
        for c in ("none", "harsh.toml")
    )
    assert harsh["verification"]["area_under_roc"] < plain["verification"]["area_under_roc"]


def test_pictures_a_person_are_capped_and_features_kept_where_asked(
    folder: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    once, again = (
        measure("--faces", folder / "faces.npz", "--pictures", "2", "--cache", cache, *SMALL)
        for _ in range(2)
    )
    assert json.loads(once.stdout) == json.loads(again.stdout)
    assert json.loads(once.stdout)["verification"]["genuine_pairs"] == 15
    assert len(list(cache.iterdir())) == 1


WRONG: dict[str, tuple[list[str], int, list[str]]] = {
    "overlap": (
        ["--folds", "1-7"],
        2,
        ["SCENARIO_INVALID", "--threshold-folds (7 by default) must not overlap: both have 7"],
    ),
    "no folds": (["--folds", "many"], 2, ["CONFIG_INVALID", "'many'"]),
    "nobody": (["--folds", "9"], 2, ["SCENARIO_INVALID", "nobody", "9"]),
    "fmr": (["--fmr", "nan"], 2, ["SCENARIO_INVALID", "fmr", "nan"]),
    "one picture": (["--pictures", "1"], 2, ["'--pictures'", "x>=2"]),
    "camera": (["--camera", "nowhere.toml"], 2, ["SCENARIO_INVALID", "nowhere.toml"]),
    "trunk": (["--trunk", "nowhere.onnx"], 1, ["MODEL_INVALID", "nowhere.onnx"]),
    "pairs": (["--pairs", "nowhere.tsv"], 1, ["DATASET_INVALID", "nowhere.tsv"]),
}


@pytest.mark.parametrize("how", WRONG)
def test_wrong_use_is_told_in_one_line(folder: Path, how: str) -> None:
    arguments, code, words = WRONG[how]
    refused(measure("--faces", folder / "faces.npz", *arguments), code, *words)


def test_missing_faces_are_told(tmp_path: Path) -> None:
    refused(measure("--faces", tmp_path / "nowhere"), 1, "DATASET_INVALID", "nowhere")


def test_picture_of_a_pair_that_is_missing_is_told_by_its_line(
    folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(f"{HEAD}1\t{NAME} 00\t1\t{NAME} 00\t77\t1\n", "utf-8")
    given = measure("--faces", folder / "faces.npz", "--pairs", path)
    refused(given, 1, "DATASET_INVALID", "pairs.tsv", "line 2")


def test_more_pictures_than_fit_are_told_with_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulations.commands.measure.MOST", 40)
    given = measure("--faces", folder / "faces.npz", *SMALL)
    refused(given, 2, "SCENARIO_INVALID", "45 pictures", "--folds", "--pictures")


def test_out_that_cannot_be_written_is_told_before_anything_is_measured(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    given = measure("--faces", folder / "faces.npz", *SMALL, "--out", tmp_path / "file" / "a.json")
    refused(given, 1, "RUN_FAILED", "a.json")
    assert "equal error rate" not in given.stderr


def test_too_few_people_for_a_threshold_are_told_in_the_table() -> None:
    given = measure("--people", "16", "--fmr", "0.001")
    assert given.exit_code == 0, given.stderr
    assert "2 people are too few to fix a threshold" in given.stderr
    assert json.loads(given.stdout)["classification"]["accuracy"] is None
    assert f"accuracy at FMR {rate_key(1e-3)}" in given.stderr
