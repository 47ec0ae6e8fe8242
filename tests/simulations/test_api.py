"""`from simulations import run` does what `mascaron-lab run` does, quietly."""

import gc
import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flwr.app import Context
from flwr.serverapp import Grid

from common.errors import ConfigError, RunError, ScenarioError
from server.app import app as server_app
from simulations import api, run
from simulations import laboratory as room
from simulations.cli import main
from simulations.commands import run as command
from simulations.scenario import load_scenario
from tests.small_laboratory import BASE, SmallGiven, prepared

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The path of a scenario on the small world, where no picture is shot."""
    monkeypatch.setattr(room, "prepare", prepared)
    monkeypatch.setattr(api, "Given", SmallGiven)
    monkeypatch.setattr(command, "Given", SmallGiven)
    path = tmp_path / "base.toml"
    path.write_text(BASE, "utf-8")
    return str(path)


def test_a_run_from_a_program_is_the_run_of_the_command_line(small: str, tmp_path: Path) -> None:
    result = run(small, out=tmp_path / "program", epsilon=[8.0], sites=2)
    folds = ["--train-folds", "1-3", "--choose-folds", "4", "--report-folds", "5-6"]
    given = ["--epsilon", "8", "--sites", "2", "--out", str(tmp_path / "command")]
    told = CliRunner().invoke(main, ["run", small, *folds, *given])
    assert told.exit_code == 0, told.stderr
    summary = json.loads(Path(json.loads(told.stdout)["summary"]).read_text("utf-8"))
    assert result.summary == summary
    assert json.loads((result.folder / "summary.json").read_text("utf-8")) == summary
    gain = result.gain("private", 8)
    assert [gain.low, gain.high] == summary["gain"]["private"]["8"]["ci95"]
    assert gain.value == summary["gain"]["private"]["8"]["value"]
    assert result.table().row_count == len(summary["rows"])


def test_flower_is_quiet_during_a_run_only(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flower = logging.getLogger("flwr")
    flower.setLevel(logging.INFO)
    seen: list[int] = []
    centre = server_app

    def watched(grid: Grid, context: Context) -> None:
        seen.append(flower.level)
        centre(grid, context)

    monkeypatch.setattr("simulations.federation.server_app", watched)
    run(load_scenario(small), epsilon=8.0)
    assert set(seen) == {logging.ERROR}
    assert flower.level == logging.INFO
    monkeypatch.setattr("simulations.federation.server_app", lambda grid, context: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(load_scenario(small), epsilon=8.0)
    assert flower.level == logging.INFO


def test_a_run_is_quiet_and_its_folder_goes_with_the_result(
    small: str, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run(load_scenario(small), epsilon=8.0)
    folder = result.folder
    assert (folder / "summary.json").is_file()
    assert folder.stat().st_mode & 0o077 == 0
    assert "arms" not in "".join(capfd.readouterr())
    del result
    gc.collect()
    assert not folder.exists()


def test_a_listener_hears_every_step(small: str, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    run(small, out=tmp_path, epsilon=8.0, progress=lambda *told: heard.append(told))
    arms = [(done, total) for what, done, total in heard if what == "arms"]
    assert arms == [(done, arms[0][1]) for done in range(arms[0][1] + 1)]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"sede": 3}, "unknown key 'sede'; did you mean 'seeds'"),
        ({"thread": 2}, "unknown key 'thread'; did you mean 'threads'"),
        ({"seeds": "3"}, "seeds: expected int"),
        ({"sites": 0}, "[^:]: sites must be in"),
        ({"sites": 40}, "cannot fill 40 sites"),
        ({"train_folds": "1-6"}, "must not overlap"),
        ({"faces": "a.npz"}, "needs --public"),
        ({"faces": 3, "public": "b.npz"}, "faces: expected Path"),
        ({"train_folds": 3}, "train_folds: expected str"),
        ({"entropy": "OS"}, "entropy: expected one of"),
        ({"aligned": "yes"}, "aligned: expected bool"),
        ({"threads": 0}, "threads and processes must be at least 1"),
        ({"cameras": "nowhere.toml"}, "no cameras"),
    ],
)
def test_wrong_settings_are_told_before_anything_runs(
    small: str, tmp_path: Path, settings: dict[str, Any], word: str
) -> None:
    with pytest.raises(ConfigError, match=word):
        run(small, out=tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_a_failed_run_without_a_folder_leaves_none(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ScenarioError):
        run(small, sites=40)
    assert not list(tmp_path.glob("mascaron-*"))


def test_a_gain_that_is_not_there_is_told_with_those_that_are(small: str, tmp_path: Path) -> None:
    result = run(small, out=tmp_path, epsilon=8.0)
    with pytest.raises(RunError, match="no gain of 'private' at epsilon 2; there are: private at"):
        result.gain("private", 2.0)
    result.summary["gain"]["private"]["8"] = None
    with pytest.raises(RunError, match="too few pairs"):
        result.gain()


def test_importing_the_laboratory_imports_nothing_else() -> None:
    code = """
import sys
before = set(sys.modules)
import simulations
ours = ("simulations", "client", "common", "server")
seen = set(sys.modules) - before
more = {m for m in seen if m.split(".")[0] in (*ours, "numpy", "torch", "rich")}
assert more == {"simulations"}, more
assert simulations.run.__doc__
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
