"""Arms that are trained against attacks cost what their controls cost, and are judged alike."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from client.privacy.entropy import Entropy
from common.errors import ScenarioError
from common.models.tail import WEIGHT
from server.robust_tuning import PublicCrops
from simulations.cli import main
from simulations.commands import robust as command
from simulations.commands.robust import RobustCommand, robust
from simulations.entropy import SeededEntropy
from simulations.robust_arms import Arm, Classroom, RobustTraining, arms
from simulations.robust_rates import Contest, Court, Tally, Verdicts, draw_pairs, judge
from tests.small_robust import PatternTrunk, pattern_people, pattern_tail

QUICK = RobustTraining(steps=3, attack=1, stages=1, learning_rate=0.5, rate=0.5, public_steps=12)


@pytest.fixture(scope="module")
def trunk() -> Any:
    return PatternTrunk()


@pytest.fixture(scope="module")
def room(trunk: Any) -> Classroom:
    public, private = pattern_people(11, 3, 2), pattern_people(6, 4, 2)
    crops = PublicCrops(faces=public, features=features(trunk, public), trunk=trunk)
    return Classroom(
        tail=pattern_tail(), public=crops, private=private, features=features(trunk, private)
    )


@pytest.fixture(scope="module")
def court(trunk: Any) -> Court:
    tested, others = pattern_people(12, 1), pattern_people(24, 2)
    genuine, impostor = draw_pairs(tested.person, 24, np.random.default_rng(0))
    return Court(
        trunk=trunk,
        tested=tested,
        others=others,
        features=features(trunk, tested),
        other_features=features(trunk, others),
        genuine=genuine,
        impostor=impostor,
    )


def features(trunk: Any, faces: Any) -> Any:
    return trunk.features(faces.crops(range(len(faces))))


def entropy(what: str) -> Entropy:
    return SeededEntropy(5, *what.encode())


def made(room: Classroom, training: RobustTraining, *epsilons: float | None) -> dict[str, Arm]:
    return {arm.name: arm for arm in arms(room, training, epsilons, entropy, 0)}


def test_every_arm_has_a_control_that_cost_as_much(room: Classroom) -> None:
    found = made(room, QUICK, 8.0, None)
    assert list(found) == [
        *("base", "public", "public_robust", "private", "private_features", "private_crops"),
        *("nonprivate", "nonprivate_features", "nonprivate_crops"),
    ]
    for arm in found.values():
        assert found[arm.control].epsilon == arm.epsilon
        assert found[arm.control].control == arm.control
    weights = {name: arm.tail.arrays()[WEIGHT] for name, arm in found.items()}
    for on in ("features", "crops"):  # the same noise as the control, other gradients
        moved = np.linalg.norm(weights["private"] - weights["public"])
        apart = np.linalg.norm(weights[f"private_{on}"] - weights["private"])
        assert 0 < apart < moved


def test_attacking_crops_by_next_to_nothing_is_the_control(room: Classroom) -> None:
    """The step over crops is the agent's own: the same people, views, public faces and noise."""
    still = dataclasses.replace(QUICK, eps=1e-9)
    found = made(room, still, 8.0)
    for on in ("features", "crops"):
        for name, array in found["private"].tail.arrays().items():
            np.testing.assert_allclose(found[f"private_{on}"].tail.arrays()[name], array, atol=1e-4)


def test_attacks_take_from_what_is_right_and_more_the_wider_they_are(court: Court) -> None:
    told = [judge(court, pattern_tail(), Contest(eps=e, steps=4), 0) for e in (0.0, 0.05, 0.3)]
    for verdicts in told:
        assert not (verdicts.still_accepted & ~verdicts.accepted).any()
        assert not (verdicts.still_refused & ~verdicts.refused).any()
    assert (told[0].still_accepted == told[0].accepted).all()
    assert (told[0].still_refused == told[0].refused).all()
    kept = [v.still_accepted.sum() for v in told]
    assert kept[0] > kept[1] >= kept[2] == 0


def test_a_threshold_that_too_few_people_fix_is_refused(court: Court) -> None:
    with pytest.raises(ScenarioError, match="fix the threshold"):
        judge(court, pattern_tail(), Contest(fmr=1e-3), 0)


def test_gains_are_paired_and_a_tail_gains_nothing_over_itself(court: Court) -> None:
    once = judge(court, pattern_tail(), Contest(steps=2), 0)
    worse = Verdicts(
        threshold=once.threshold,
        accepted=once.accepted,
        still_accepted=np.zeros_like(once.accepted),
        refused=once.refused,
        still_refused=once.still_refused,
    )
    tally = Tally(court, Contest())
    nothing = tally.gain([once, once], [once, once])["robust_tar"]
    assert nothing["value"] == 0 and nothing["ci95"] == [0, 0]
    lost = tally.gain([worse], [once])["robust_tar"]
    assert lost["value"] == -once.still_accepted.mean()
    assert lost["ci95"][0] <= lost["value"] <= lost["ci95"][1] < 0
    rates = tally.rates([once, worse])
    assert rates["robust_tar"]["value"] == pytest.approx(once.still_accepted.mean() / 2)


def test_people_take_turns_in_the_pairs_that_are_attacked() -> None:
    person = np.repeat(np.arange(6), [2, 3, 3, 3, 3, 9])
    genuine, impostor = draw_pairs(person, 6, np.random.default_rng(0))
    assert sorted(person[genuine[:, 0]]) == list(range(6))
    assert (person[genuine[:, 0]] == person[genuine[:, 1]]).all()
    assert (person[impostor[:, 0]] != person[impostor[:, 1]]).all()


def test_the_command_prints_one_row_an_arm_and_writes_it(
    room: Classroom, court: Court, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "_places", lambda *_: (room, court))
    monkeypatch.setattr(RobustCommand, "training", QUICK)
    asked = ["--seeds", "1", "--attack-steps", "2"]
    ran = CliRunner().invoke(main, ["robust", *asked, "--out", str(tmp_path / "figures.json")])
    assert ran.exit_code == 0, ran.output
    figures = json.loads(ran.stdout)
    assert figures == json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert figures["entropy"] == "seeded"
    rows = {row["name"]: row for row in figures["rows"]}
    assert rows["private_features"]["control"] == "private"
    assert rows["private_features"]["epsilon"] == rows["private"]["epsilon"] == 8
    assert rows["public_robust"]["epsilon"] == 0
    assert 0 <= rows["base"]["robust_tar"]["value"] <= rows["base"]["tar"]["value"]


def test_groups_that_share_people_are_refused_before_any_face_is_read() -> None:
    with pytest.raises(ScenarioError, match="share people"):
        robust(RobustCommand(train_folds="1-5"), None)  # type: ignore[arg-type]
