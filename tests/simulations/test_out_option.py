"""Where results cannot be kept, no command invents a person or shoots a picture first."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from common.errors import RunError
from simulations import laboratory as room
from simulations.cli import main
from simulations.laboratory import Laboratory
from simulations.pieces import SUMMARY
from simulations.runner import Run
from tests.small_laboratory import SWEEP, Listener, SmallGiven, prepared, write_sweep
from tests.small_world import small_scenario

COMMANDS: dict[str, list[str]] = {
    "demo": ["demo"],
    "run": ["run", "demo"],
    "sweep": ["sweep", "small"],
    "measure": ["measure"],
    "faces": ["faces"],
}
CACHED = ("run", "sweep", "measure")


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails where anybody is invented or anything is looked at."""

    def worked(*_: Any, **__: Any) -> None:
        pytest.fail("work was done first")

    monkeypatch.setattr("common.synthetic.generate.synthetic_faces", worked)
    monkeypatch.setattr("simulations.commands.faces.synthetic_faces", worked)
    monkeypatch.setattr("simulations.commands.faces.gallery", worked)
    monkeypatch.setattr("common.models.studio.Studio.shoot", worked)


def lab(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(result: Result, *words: str) -> None:
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert "Error: RUN_FAILED" in result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_in_the_way_is_told_first(
    tmp_path: Path, idle: None, command: str, below: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"precious")
    if command == "measure" and not below:
        below = "figures.json"  # measure writes a file; another file would be replaced
    told = lab(*COMMANDS[command], "--out", file / below)
    refused(told, "is not a folder; choose another", "with --out")
    assert file.read_bytes() == b"precious"


@pytest.mark.parametrize("command", CACHED)
def test_a_file_in_place_of_the_cache_is_told_with_its_option(
    tmp_path: Path, idle: None, command: str
) -> None:
    (tmp_path / "file").touch()
    told = lab(*COMMANDS[command], "--out", tmp_path / "out", "--cache", tmp_path / "file")
    refused(told, "is not a folder; choose another folder with --cache")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["demo", "run"])
def test_a_run_does_not_go_into_the_folder_of_a_sweep(
    tmp_path: Path, idle: None, command: str
) -> None:
    (tmp_path / "sweep.jsonl").touch()
    refused(lab(*COMMANDS[command], "--out", tmp_path), "holds a sweep; choose another folder")
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.jsonl"]


@pytest.mark.parametrize("taken", ["federation", "report.html/page"])
def test_what_the_demo_writes_beside_the_run_is_tried_first(
    tmp_path: Path, idle: None, taken: str
) -> None:
    place = tmp_path / taken
    place.parent.mkdir(exist_ok=True)
    place.touch()
    refused(lab("demo", "--out", tmp_path), "choose another")
    assert place.is_file()


def test_a_folder_for_the_figures_of_measure_is_told_first(tmp_path: Path, idle: None) -> None:
    refused(lab("measure", "--out", tmp_path), "it is a folder; choose another file with --out")


def test_a_gallery_that_cannot_be_written_is_told_first(tmp_path: Path, idle: None) -> None:
    refused(lab("faces", "--gallery", tmp_path), "choose another file with --gallery")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("ran")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "prepare", prepared)
        laboratory(folder).measure(small_scenario(seeds=1), folder)
    yield folder


def laboratory(folder: Path, **given: Any) -> Laboratory:
    return Laboratory(SmallGiven(**given), folder / "features", Listener())


@pytest.fixture
def again(ran: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "again"
    shutil.copytree(ran, folder)
    return folder


def test_another_scenario_is_told_by_the_setting_before_faces_are_loaded(
    again: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmallGiven, "load_faces", lambda *_: pytest.fail("faces were loaded"))
    with pytest.raises(RunError, match=r"another run \(sites was 6, not 5\); choose another"):
        laboratory(again).measure(small_scenario(seeds=1, sites=5), again)
    with pytest.raises(RunError, match=r"another run \(other entropy\)"):
        laboratory(again, entropy="os").measure(small_scenario(seeds=1), again)
    origin = json.loads((again / "origin.json").read_text("utf-8"))
    del origin["settings"]["own_tuning"]
    (again / "origin.json").write_text(json.dumps(origin), "utf-8")
    with pytest.raises(RunError, match="own_tuning was no setting then"):
        laboratory(again).measure(small_scenario(seeds=1), again)


@pytest.mark.parametrize(
    ("given", "what"),
    [({"seen": "other"}, "other faces"), ({"train_folds": "1-2"}, "other folds")],
)
def test_other_people_are_told_before_a_picture_is_shot(
    again: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], what: str
) -> None:
    monkeypatch.setattr(room, "prepare", lambda *_: pytest.fail("pictures were shot"))
    with pytest.raises(RunError, match=rf"another run \({what}\); choose another folder"):
        laboratory(again, **given).measure(small_scenario(seeds=1), again)


def test_more_seeds_or_epsilons_may_join_a_run(
    again: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "prepare", prepared)
    seen: list[int] = []
    monkeypatch.setattr(Run, "everything", lambda run: seen.append(run.scenario.seeds))
    laboratory(again).measure(small_scenario(seeds=2, epsilon=(2.0,)), again)
    assert seen == [2]
    assert (again / SUMMARY).is_file()


def test_another_sweep_is_told_before_faces_are_loaded(tmp_path: Path, idle: None) -> None:
    line = {"schema": 1, "key": "k", "status": "done", "point": {"sites": 7}}
    out = tmp_path / "out"
    out.mkdir()
    (out / "sweep.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    told = lab("sweep", write_sweep(tmp_path, SWEEP), "--out", out)
    refused(told, "the point sites=7 of another sweep", "choose another folder with --out")
