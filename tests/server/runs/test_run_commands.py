"""What an administrator types to run: told beforehand what would fail, followed, read again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from common.errors import BusyError, CharterError, CohortError, DeploymentError, RunError
from common.locks import locked
from server.checkpoint import RunState, write_checkpoint
from server.cli import main
from server.clock import Clock
from server.commands.rounds import rounds_command
from server.commands.run import Way, run_command
from server.commands.status import status_command
from server.home import CentreConfig, CentreHome
from server.runs.manner import Manner
from server.runs.progress import LOCK, Progress, RoundNote, note_round, write_progress
from tests.small_centre import NOW, admit, centre, proposed, signed

TIME = Clock(now=lambda: NOW, sleep=lambda seconds: None)


def ready(folder: Path, **changes: Any) -> CentreHome:
    home = centre(folder)
    home.settings.write_text(CentreConfig(name="doors", host="fl.example").to_toml(), "utf-8")
    admit(home, 3)
    signed(home, **changes)
    return home


def stands(home: CentreHome, state: str, done: int = 0, attempt: int = 1, **told: Any) -> None:
    progress = Progress(
        run="r1",
        plan="p" * 64,
        state=state,  # type: ignore[arg-type]
        round=done,
        rounds=2,
        attempt=attempt,
        updated=NOW,
        **told,
    )
    write_progress(home.run("r1"), progress)


def ran(home: CentreHome, **how: Any) -> dict[str, Any]:
    """As if `serve` ran, and Flower did at once what ``start`` says."""
    if not home.state.exists():
        daemons_are(home, "up")
    with locked(home.lock, "serve"):
        return run_command(home, "r1", Way(**{"clock": TIME, **how}))


def daemons_are(home: CentreHome, state: str) -> None:
    table = {"daemons": {"superlink": {"state": state}, "gateway": {"state": "up"}}}
    home.state.parent.mkdir(parents=True, exist_ok=True)
    home.state.write_text(json.dumps(table), "utf-8")


def test_a_run_is_started_with_the_home_it_belongs_to_and_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ready(tmp_path)
    asked: list[dict[str, str | bool]] = []

    def start(home: CentreHome, config: dict[str, str | bool]) -> int:
        assert "asking Flower to start it" in capsys.readouterr().err  # told while one waits
        asked.append(config)
        stands(home, "done", 2, sites=("site-0", "site-1"))
        return 77

    told = ran(home, start=start)
    assert (told["state"], told["round"], told["flower_run"]) == ("done", 2, "77")
    (config,) = asked
    assert config["resume"] is False
    assert Path(str(config["centre"])) == home.folder.resolve()
    assert Path(str(config["charter"])).name == "r1"
    assert "r1: done, round 2 of 2, 2 sites" in capsys.readouterr().err


def test_who_does_not_wait_is_told_where_to_look(tmp_path: Path) -> None:
    told = ran(ready(tmp_path), start=lambda home, config: 5, follow=False)
    assert told == {
        "run": "r1",
        "flower_run": "5",
        "state": "started",
        "next": "mascaron-admin rounds r1",
    }


def test_an_older_attempt_is_not_taken_for_this_one(tmp_path: Path) -> None:
    home = ready(tmp_path)
    stands(home, "paused", 1, attempt=3, message="two sites")
    looks = iter(range(4))

    def sleep(_: float) -> None:
        if next(looks) == 2:
            stands(home, "done", 2, attempt=4)

    clock = Clock(now=TIME.now, sleep=sleep)
    told = ran(home, start=lambda h, c: 1, manner=Manner(resume=True), clock=clock)
    assert told["state"] == "done"


def test_a_run_waits_for_daemons_that_start_and_not_for_ever(tmp_path: Path) -> None:
    home, seconds = ready(tmp_path), iter(range(1000))
    daemons_are(home, "starting")
    clock = Clock(now=lambda: NOW + next(seconds), sleep=lambda _: daemons_are(home, "up"))
    ran(home, start=lambda h, c: 1, follow=False, clock=clock)
    daemons_are(home, "starting")
    clock = Clock(now=lambda: NOW + next(seconds), sleep=lambda _: None)
    with pytest.raises(DeploymentError, match="not up: superlink"):
        ran(home, start=lambda h, c: 1, follow=False, clock=clock)


def test_a_run_that_looks_for_sites_again_and_again_is_told_of_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, looks = ready(tmp_path), iter(range(100))
    states = ("running", "waiting", "running", "waiting", "running", "waiting", "done")

    def sleep(_: float) -> None:
        stands(home, states[min(next(looks), 6)], message="two sites")

    clock = Clock(now=TIME.now, sleep=sleep)
    ran(home, start=lambda h, c: stands(home, "waiting", message="two sites"), clock=clock)
    told = [line for line in capsys.readouterr().err.splitlines() if "r1: " in line][1:]
    assert [line.split()[1] for line in told] == ["waiting,", "running,", "done,"]


def test_a_server_app_that_dies_or_never_starts_is_told(tmp_path: Path) -> None:
    home, hands = ready(tmp_path), iter(range(0, 100_000, 10))
    clock = Clock(now=lambda: NOW + next(hands), sleep=lambda _: None)
    with pytest.raises(DeploymentError, match="mascaron-admin doctor"):
        ran(home, start=lambda h, c: 1, clock=clock)
    asked: list[object] = []

    def ended(home: CentreHome, number: object) -> bool:
        asked.append(number)
        return True

    with pytest.raises(DeploymentError, match="did not start"):
        ran(home, start=lambda h, c: 7, clock=clock, ended=ended)
    assert asked == [7]
    with pytest.raises(RunError, match="--resume goes on"):
        ran(home, start=lambda h, c: stands(home, "running"), clock=clock)


def test_what_would_stop_a_run_is_told_before_it_starts(tmp_path: Path) -> None:
    def start(home: CentreHome, config: object) -> None:
        raise AssertionError("started")

    home = centre(tmp_path / "none")
    with pytest.raises(CharterError, match="no signed charter r1"):
        ran(home, start=start)
    admit(home, 3)
    proposed(home)
    with pytest.raises(CharterError, match="charter sign r1"):
        ran(home, start=start)
    home = ready(tmp_path / "few", cohort=4)
    with pytest.raises(CohortError, match="needs 4 sites a round and 3 are admitted"):
        ran(home, start=start)
    home = ready(tmp_path / "asleep")
    with pytest.raises(DeploymentError, match="mascaron-admin serve"):
        run_command(home, "r1", Way(start=start, clock=TIME))
    home.run("r1").mkdir()
    with locked(home.run("r1") / LOCK, "it"), pytest.raises(BusyError, match="runs already"):
        ran(home, start=start)
    late = Clock(now=lambda: NOW + 31 * 86400)
    with pytest.raises(CharterError, match="expired"):
        ran(home, start=start, clock=late)


def test_a_checkpoint_decides_whether_a_run_may_start(tmp_path: Path) -> None:
    home = centre(tmp_path)
    admit(home, 3)
    terms = signed(home)

    def stand(done: int, plan: str) -> None:
        arrays = {"a": {"x": np.zeros(1, np.float32)}}
        write_checkpoint(home.run("r1"), RunState(round=done, pools=arrays, plan=plan))

    def start(home: CentreHome, config: object) -> int:
        stands(home, "done", 2, attempt=9)
        return 1

    stand(1, terms.plan.digest)
    with pytest.raises(RunError, match=r"began already.*--resume"):
        ran(home, start=start)
    late = Clock(now=lambda: NOW + 31 * 86400, sleep=TIME.sleep)
    assert ran(home, start=start, manner=Manner(resume=True), clock=late)["state"] == "done"
    stand(1, "q" * 64)
    with pytest.raises(RunError, match="another plan"):
        ran(home, start=start, manner=Manner(resume=True))
    stand(2, terms.plan.digest)
    with pytest.raises(RunError, match="is done"):
        ran(home, start=start, manner=Manner(resume=True))


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_status_says_what_to_do_next(tmp_path: Path) -> None:
    home = ready(tmp_path)
    told = json.loads(ask("status", "--home", home.folder).stdout)
    assert told["next"] == ["mascaron-admin serve", "mascaron-admin run r1"]
    assert [site["answered"] for site in told["sites"]] == [None] * 3
    (home.heads / "site-1.json").write_text("{}", "utf-8")
    (home.waiting / "f.json").write_text("{}", "utf-8")
    stands(home, "running", 1)
    proposed(home, run="r2")
    home.state.write_text(json.dumps({"daemons": {"gateway": {"state": "up"}}}), "utf-8")
    with locked(home.lock, "serve"):
        told = status_command(home, NOW)
    assert told["serving"]
    assert told["daemons"] == {"gateway": "up"}
    assert [site["answered"] is not None for site in told["sites"]] == [False, True, False]
    assert [(run["run"], run["state"]) for run in told["runs"]] == [("r1", "stopped")]
    assert told["next"] == [
        "mascaron-admin sites  # 1 wait to be admitted",
        "mascaron-admin charter sign r2",
        "mascaron-admin run r1 --resume",
    ]
    with locked(home.run("r1") / LOCK, "it"):
        assert status_command(home, NOW)["runs"][0]["state"] == "running"


def test_status_bears_a_broken_state_file(tmp_path: Path) -> None:
    home = ready(tmp_path)
    with locked(home.lock, "serve"):
        for text in ("", "[]", '{"daemons": 3}', '{"daemons": {"a": 1}}'):
            home.state.write_text(text, "utf-8")
            assert status_command(home, NOW)["daemons"] == {}


def test_rounds_of_a_run_are_told_and_an_unknown_run_is_not(tmp_path: Path) -> None:
    home = ready(tmp_path)
    state = RunState(round=1, pools={"a": {"x": np.zeros(1, np.float32)}}, plan="p" * 64)
    state.history = [{"round": 1, "mechanism": "mean", "sites": 2}]
    write_checkpoint(home.run("r1"), state)
    note = RoundNote(
        round=1,
        mechanism="mean",
        answered=("site-0", "site-1"),
        refused={"site-2": "BUSY"},
        seconds=1.5,
        sent=10,
        received=20,
        attempt=1,
    )
    note_round(home.run("r1"), note)
    stands(home, "done", 1)
    (told,) = json.loads(ask("rounds", "r1", "--home", home.folder).stdout)["done"]
    assert told["refused"] == {"site-2": "BUSY"}
    assert told["sites"] == 2
    with pytest.raises(RunError, match="no run r9"):
        rounds_command(home, "r9")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"run": 1}', '{"state": "asleep"}'])
def test_a_broken_progress_is_told_with_its_remedy(tmp_path: Path, text: str) -> None:
    home = ready(tmp_path)
    home.run("r1").mkdir()
    (home.run("r1") / "progress.json").write_text(text, "utf-8")
    with pytest.raises(RunError, match="the checkpoint holds the run"):
        rounds_command(home, "r1")
