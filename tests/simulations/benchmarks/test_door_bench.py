"""The bench of doors asks a whole reception, and times nothing that answers wrongly."""

import json
from pathlib import Path

import pytest

from client.door.thresholds import Band
from simulations.benchmarks import door
from simulations.benchmarks.quality import STARTER


def test_every_step_from_bytes_to_the_answer_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    door.main(["--people", "60", "--templates", "2", "--repeats", "1"])
    report = json.loads(capsys.readouterr().out)
    assert report["bench"] == "door" and report["people"] == 60
    for clock in ("ms", "wall_ms"):
        assert set(report[clock]) == {*door.OF_IDENTIFY, "verify", "identify"}
    assert 0 < report["share_match"] < 1


def test_a_door_that_does_not_know_its_visitor_is_not_timed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = door.Door(tmp_path, door.Size(people=30, templates=1), door.Weights(STARTER, None))
    try:
        monkeypatch.setattr(made, "_verify", lambda: Band.NO)
        with pytest.raises(AssertionError, match="not taken for themselves"):
            door.measure(made, 1)
    finally:
        made.close()
