"""A sweep checks everything first, measures each point once, and survives being killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import RunError, ScenarioError
from simulations import laboratory as room
from simulations.journal import JOURNAL, opened, read_lines
from simulations.laboratory import Laboratory
from simulations.points import load_sweep
from simulations.sweep import POINTS, Sweep
from tests import small_laboratory as small
from tests.small_laboratory import SWEEP, Listener, small_laboratory, write_sweep

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True, scope="module")
def shot() -> Iterator[list[str]]:
    """Every time features are made; none of them is looked for in a picture."""
    made: list[str] = []

    def prepare(*given: Any) -> Any:
        made.append(given[0].cameras)
        return small.prepared(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "prepare", prepare)
        yield made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, shot: list[str]) -> Path:
    """The folder of an uninterrupted sweep."""
    folder = tmp_path_factory.mktemp("whole")
    start(folder)
    return folder


def start(
    folder: Path, text: str = SWEEP, laboratory: Laboratory | None = None, **given: Any
) -> list[Any]:
    """Runs the sweep ``text`` into ``folder``."""
    asked = load_sweep(write_sweep(folder / "asked", text))
    used = laboratory or small_laboratory(folder, **given)
    return list(Sweep(asked=asked, laboratory=used, folder=folder, clock=lambda: 0.0).everything())


def test_every_point_of_the_grid_has_a_line_and_a_run_folder(whole: Path) -> None:
    lines = read_lines(whole / JOURNAL)
    points = [(line["point"]["sites"], line["point"]["report_pictures"]) for line in lines]
    assert points == [(2, 3), (2, 4), (3, 3), (3, 4)]
    for line in lines:
        assert (line["status"], line["scenario"], line["seeds"], line["folds"]) == (
            *("done", "base"),
            *(1, 1),
        )
        assert line["sites"] == line["point"]["sites"]
        assert line["people"] == 30 / line["sites"]
        assert set(line["gain"]) == {"private", "private_secagg"}
        assert set(line["gain"]["private"]) == {"8"}
        assert {"name", "epsilon", "tar_at_far", "ci95"} == set(line["rows"][0])
        summary = json.loads((whole / POINTS / line["key"] / "summary.json").read_text("utf-8"))
        assert summary["gain"] == line["gain"]
    assert (whole / "sweep.toml").read_text("utf-8") == SWEEP


def test_features_are_made_once_for_all_points_that_need_the_same(
    tmp_path: Path, shot: list[str]
) -> None:
    shot.clear()
    text = SWEEP.replace("report_pictures = [3, 4]", 'cameras = ["four.toml", "harsh.toml"]')
    asked = load_sweep(write_sweep(tmp_path, text))
    laboratory = small_laboratory(tmp_path)
    ready = Sweep(asked=asked, laboratory=laboratory, folder=tmp_path).checked()
    cameras = [one.point.scenario.cameras for one in ready]
    assert cameras == ["four.toml", "four.toml", "harsh.toml", "harsh.toml"]
    for one in ready:
        laboratory._prepared(one.point.scenario)
    assert shot == ["four.toml", "harsh.toml"]


def test_a_settled_sweep_is_not_measured_again(whole: Path, shot: list[str]) -> None:
    before = (whole / JOURNAL).read_bytes()
    shot.clear()
    start(whole)
    assert shot == []
    assert (whole / JOURNAL).read_bytes() == before


def test_values_may_be_added_to_an_axis_later(whole: Path, tmp_path: Path) -> None:
    lines = start(tmp_path, SWEEP.replace("[2, 3]", "[3]"))
    assert len(lines) == 2
    lines = start(tmp_path, SWEEP.replace("[2, 3]", "[2, 3]"))
    assert sorted(map(json.dumps, lines)) == sorted(map(json.dumps, read_lines(whole / JOURNAL)))


@pytest.mark.parametrize(
    ("text", "given"),
    [
        (SWEEP.replace("epsilon = 8", "epsilon = 4"), {}),
        (SWEEP.replace("[2, 3]", "[4]"), {}),
        (SWEEP, {"seen": "other faces"}),
        (SWEEP, {"train_folds": "1-2"}),
        (SWEEP, {"entropy": "os"}),
    ],
    ids=["settings", "lost values", "faces", "folds", "entropy"],
)
def test_the_folder_of_another_sweep_is_refused(
    whole: Path, text: str, given: dict[str, Any]
) -> None:
    before = (whole / JOURNAL).read_bytes()
    with pytest.raises(RunError, match="point sites=2, report_pictures=3 of another sweep"):
        start(whole, text, **given)
    assert (whole / JOURNAL).read_bytes() == before


def test_one_bad_point_is_named_before_anything_runs(tmp_path: Path) -> None:
    listener = Listener()
    text = SWEEP.replace("[2, 3]", "[2, 40]")
    with pytest.raises(ScenarioError) as caught:
        start(tmp_path, text, small_laboratory(tmp_path, listener))
    assert "sites=40, report_pictures=3" in str(caught.value)
    assert "30 people with two pictures cannot fill 40 sites" in str(caught.value)
    assert listener.started == []
    assert not (tmp_path / JOURNAL).exists()


def test_a_bad_camera_is_named_with_its_point(tmp_path: Path) -> None:
    text = SWEEP.replace("report_pictures = [3, 4]", 'cameras = ["four.toml", "nowhere.toml"]')
    with pytest.raises(ScenarioError, match=r"sites=2, cameras=nowhere\.toml: no cameras"):
        start(tmp_path, text)


def test_where_people_suffice_a_point_without_them_is_skipped_with_the_reason(
    tmp_path: Path,
) -> None:
    text = SWEEP.replace("[2, 3]", "[40]").replace("[3, 4]", "[3]")
    text = text.replace("[set]", "where_people_suffice = true\n[set]")
    text += "[[point]]\nsites = 2\n"
    skipped, done = start(tmp_path, text)
    assert (skipped["status"], done["status"]) == ("skipped", "done")
    assert "cannot fill 40 sites" in skipped["reason"]
    assert done["point"] == {"sites": 2}
    assert start(tmp_path, text) == [skipped, done]


def test_an_epsilon_on_an_axis_is_a_point_of_its_own(tmp_path: Path) -> None:
    text = SWEEP.replace("sites = [2, 3]", "epsilon = [4]").replace("[3, 4]", "[3]")
    (line,) = start(tmp_path, text)
    assert line["point"] == {"epsilon": 4, "report_pictures": 3}
    assert set(line["gain"]["private"]) == {"4"}


def test_progress_says_which_point_and_how_long_the_rest_takes(tmp_path: Path) -> None:
    listener, clock = Listener(), iter([0.0, 0.0, 300.0])
    text = SWEEP.replace("[3, 4]", "[3]")
    asked = load_sweep(write_sweep(tmp_path / "asked", text))
    laboratory = small_laboratory(tmp_path, listener)
    Sweep(
        asked=asked, laboratory=laboratory, folder=tmp_path, clock=lambda: next(clock)
    ).everything()
    assert listener.said == [
        "point 1 of 2: sites=2, report_pictures=3",
        "point 2 of 2: sites=3, report_pictures=3 (about 5 min left)",
    ]


def test_a_sweep_killed_in_the_middle_goes_on_to_the_same_lines(
    whole: Path, tmp_path: Path
) -> None:
    out, mark = tmp_path / "out", tmp_path / "stuck"
    sweep = write_sweep(out / "asked")
    command = [sys.executable, "-m", "tests.small_laboratory", sweep, str(out), str(mark)]
    killed = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        while not mark.exists():
            assert killed.poll() is None, "the sweep ended before it was killed"
            time.sleep(0.05)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert len(read_lines(out / JOURNAL)) == 2
    start(out)
    assert (out / JOURNAL).read_bytes() == (whole / JOURNAL).read_bytes()


def test_a_half_written_line_is_dropped_and_measured_again(whole: Path, tmp_path: Path) -> None:
    text = SWEEP.replace("[2, 3]", "[3]").replace("[3, 4]", "[3]")
    start(tmp_path, text)
    written = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(written[:-40])
    listener = Listener()
    start(tmp_path, text, small_laboratory(tmp_path, listener))
    assert "a half-written line was dropped" in listener.said[0]
    assert (tmp_path / JOURNAL).read_bytes() == written


def test_two_sweeps_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with (
        opened(tmp_path / JOURNAL),
        pytest.raises(RunError, match="written by another"),
    ):
        start(tmp_path)
