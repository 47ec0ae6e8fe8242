"""`mascaron-lab attack`: what is typed, what is printed, what is refused."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.errors import ModelError
from common.evidence.section import Section
from common.models.tail_file import ENDING, tail_bytes
from simulations.cli import main
from simulations.commands import attack
from simulations.commands.attack import AttackOptions, neighbours
from simulations.evidence.robustness.plan import Plan, RobustnessOptions
from simulations.evidence.subject import SubjectOptions
from tests.small_subject import SmallTrunk, small_subject, small_tail

ONE = {"minimal": 1, "bisections": 0, "masked": 1, "transferred": 1, "signals": 1, "probed": 1}
PLAN = Plan(linf=(2,), l2=(), steps=1, queries=1, queried=1, sticker_steps=1, **ONE)


def test_the_command_prints_a_section_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quick(fmr: float, seed: int) -> RobustnessOptions:
        return RobustnessOptions(pairs=4, fmr=fmr, seed=seed, plan=PLAN)

    monkeypatch.setattr(attack, "load_subject", lambda given, bars: small_subject(tested=4))
    monkeypatch.setattr(attack.RobustnessOptions, "quick", quick)
    previous = tmp_path / f"previous{ENDING}"
    previous.write_bytes(tail_bytes(small_tail(7), SmallTrunk.hash))
    typed = ["attack", "--quick", "--threads", "1", "--seed", "2", "--previous", str(previous)]
    ran = CliRunner().invoke(main, [*typed, "--out", str(tmp_path / "out")])
    assert ran.exit_code == 0, ran.output
    kept = Section.from_json((tmp_path / "out" / "robustness.json").read_text())
    assert json.loads(ran.stdout) == json.loads(kept.to_json())
    assert "previous" in kept.figures["transfer"]["attacks"]["mi"]
    assert kept.command.endswith("--quick --seed 2") and str(tmp_path) not in kept.to_json()
    assert "robust TAR at 2/255" in ran.stderr and "apgd" in ran.stderr


def test_a_tail_of_another_trunk_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / f"foreign{ENDING}"
    foreign.write_bytes(tail_bytes(small_tail(7), "cd" * 32))
    subject = small_subject(tested=2, others=2)
    with pytest.raises(ModelError, match="a tail of another trunk"):
        neighbours(subject, SubjectOptions(), AttackOptions(previous=foreign))


def test_the_trunks_own_tail_is_beside_another_one(tmp_path: Path) -> None:
    subject = small_subject(tested=2, others=2)
    beside = neighbours(subject, SubjectOptions(tail=tmp_path / "any"), AttackOptions())
    assert beside.own is not None and beside.own.hash != subject.tail.hash
    assert neighbours(subject, SubjectOptions(), AttackOptions()).own is None
