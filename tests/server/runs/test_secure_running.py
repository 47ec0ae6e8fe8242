"""A run of secure sums as an administrator sees it: phases, who was left out, pauses, resuming."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.secagg.phases import KEYS, PHASES, VECTOR
from server.clock import Clock
from server.runs.manner import Manner
from server.runs.progress import Progress, read_rounds
from server.runs.running import Running
from tests.small_afternoon import Afternoon, Hooked
from tests.small_site import initial, long_plan
from tests.small_sums import NAMES, shared_mean


@dataclass
class Hours:
    """Time that passes only when somebody waits."""

    now: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def running(it: Afternoon, resume: bool) -> Running:
    hours = Hours()
    return Running(
        grid=Hooked(it),
        charter=it.charter,
        signed=it.signed,
        folder=it.folder,
        register=it.register,
        manner=Manner(resume=resume),
        clock=Clock(now=lambda: hours.now, sleep=hours.sleep),
    )


def go(it: Afternoon, *, resume: bool = False) -> Progress:
    return running(it, resume).go(initial())


def told(it: Afternoon) -> dict[str, Any]:
    [note] = read_rounds(it.folder)
    return note


def test_a_round_is_told_phase_by_phase(tmp_path: Path) -> None:
    it = Afternoon(tmp_path)
    assert go(it).state == "done"
    note = told(it)
    assert note["answered"] == list(NAMES)
    assert note["refused"] == {}
    assert [wave["phase"] for wave in note["phases"]] == [f"1.1 {phase}" for phase in PHASES]
    assert all(wave["errors"] == {} for wave in note["phases"])
    assert min(note["sent"], note["received"]) > 1000


def test_while_it_runs_the_phase_is_told(tmp_path: Path) -> None:
    it, seen = Afternoon(tmp_path), []
    it.before = lambda number, attempt, phase: seen.append(
        json.loads((tmp_path / "progress.json").read_text("utf-8"))["message"]
    )
    go(it)
    assert seen == [f"round 1.1 {phase}: sites are at work" for phase in PHASES]


def test_a_lost_site_is_named_with_the_reason(tmp_path: Path) -> None:
    it = Afternoon(tmp_path, lost=lambda name, phase: (name, phase) == ("south", VECTOR))
    assert go(it).state == "done"
    assert told(it)["refused"] == {"south": "no answer in time"}
    assert "south" not in told(it)["answered"]


def test_a_round_that_was_paid_for_in_vain_pauses_at_once_and_is_resumed(tmp_path: Path) -> None:
    it = Afternoon(tmp_path, lost=lambda name, phase: name in NAMES[:2] and phase == VECTOR)
    paused = go(it)
    assert (paused.state, paused.reason) == ("paused", "AGGREGATION_REFUSED")
    assert "--resume" in paused.message
    assert it.charged("west") == 2
    it.lost = lambda name, phase: False
    assert go(it, resume=True).state == "done"
    assert told(it)["attempt"] == 2
    assert told(it)["phases"][0]["phase"] == "1.3 keys"


def test_sites_that_are_missing_are_looked_for_again_at_no_cost(tmp_path: Path) -> None:
    it, seen = Afternoon(tmp_path), []

    def lost(name: str, phase: str) -> bool:
        seen.append(phase)
        return name in NAMES[:2] and phase == KEYS and seen.count(KEYS) < 20

    it.lost = lost
    assert go(it).state == "done"
    assert {it.charged(name) for name in NAMES} == {1}


def test_every_answer_leaves_a_ledger_head_with_the_centre(tmp_path: Path) -> None:
    it = Afternoon(tmp_path)
    go(it)
    heads = {path.stem for path in (tmp_path / "heads").iterdir()}
    assert heads == set(NAMES)
    for name in NAMES:
        kept = json.loads((tmp_path / "heads" / f"{name}.json").read_text("utf-8"))
        assert json.loads(kept["content"])["sequence"] == 3  # accept, reserve, masked


def test_a_ledger_restored_in_the_middle_of_a_run_takes_part_in_nothing_more(
    tmp_path: Path,
) -> None:
    it = Afternoon(tmp_path, shared_mean(mechanisms=long_plan().mechanisms[:2]))
    older: dict[Path, bytes] = {}

    def before(number: int, attempt: int, phase: str) -> None:
        if (number, phase) == (1, KEYS):
            it.kill("east")
            older.update({path: path.read_bytes() for path in tmp_path.glob("east.db*")})
        elif (number, phase) == (2, KEYS):
            it.sites.ledgers["east"].close()
            for path in tmp_path.glob("east.db*"):
                path.unlink()
            for path, content in older.items():
                path.write_bytes(content)
            it.kill("east")

    it.before = before
    assert go(it).state == "done"
    first, second = read_rounds(tmp_path)
    assert (first["answered"], first["refused"]) == (list(NAMES), {})
    assert second["refused"] == {"east": "ROLLBACK_DETECTED"}
    assert it.sites.kinds("east") == ["accept"]  # nothing was charged, because nothing was drawn
    assert not it.sites.rooms["east"].usable
