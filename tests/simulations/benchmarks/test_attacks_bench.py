"""Our gradient attacks are as strong as those of the adversarial-robustness-toolbox."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.attacks.apgd import Apgd
from common.attacks.gradient import Fgsm, Pgd
from common.attacks.target import GOALS, NORMS, Budget, Goal, Norm, Trials
from common.errors import ScenarioError
from common.evidence.section import About
from simulations.benchmarks import attacks
from simulations.benchmarks.toolbox import classifier, toolbox, toolbox_fgsm, toolbox_pgd
from simulations.evidence.subject import Subject
from tests.small_attacks import SmallFace, seeded, small_pairs, small_people

FACE = SmallFace()
TRIALS = {goal: small_pairs(goal, people=60).trials(FACE) for goal in GOALS}
BUDGETS: dict[Norm, tuple[float, ...]] = {"linf": (0.006, 0.012, 0.018), "l2": (0.2, 0.4, 0.6)}
POINTS = 0.02  # that two implementations may be apart


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("norm", NORMS)
def test_fgsm_and_pgd_fool_as_many_as_the_toolbox_does(norm: Norm, goal: Goal) -> None:
    trials, seen = TRIALS[goal], []
    for eps in BUDGETS[norm]:
        budget = Budget(norm, eps)
        own = share(trials, Fgsm()(FACE, trials, budget, seeded()))
        assert own == pytest.approx(share(trials, toolbox_fgsm(FACE, trials, budget)), abs=POINTS)
        own = share(trials, Pgd(steps=10)(FACE, trials, budget, seeded()))
        theirs = share(trials, toolbox_pgd(FACE, trials, budget, 10, seed=0))
        assert own == pytest.approx(theirs, abs=POINTS)
        assert own <= share(trials, Apgd(steps=10)(FACE, trials, budget, seeded()))
        seen.append(own)
    assert any(0.1 < one < 0.95 for one in seen), f"{seen}: nothing is compared"


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("norm", NORMS)
def test_auto_pgd_fools_as_many_as_the_toolboxs_does(norm: Norm, goal: Goal) -> None:
    trials = TRIALS[goal].rows(torch.arange(0, len(TRIALS[goal]), 4))
    budget = Budget(norm, BUDGETS[norm][1])
    own = Apgd(steps=8)(FACE, trials, budget, seeded())
    theirs = torch.cat([toolbox_apgd(one, budget) for one in trials.batches(1)])
    # Their last iterate against our best: we may be ahead, not behind.
    assert share(trials, own) >= share(trials, theirs) - 1 / len(trials)
    behind = trials.margin(FACE(theirs)).mean() - trials.margin(FACE(own)).mean()
    assert float(behind) < 0.01


def test_the_toolbox_closes_nobodys_logs() -> None:
    code = """
import io, logging
from simulations.benchmarks.toolbox import toolbox
class Closing(logging.StreamHandler):
    def close(self):
        self.stream.close()
stream = io.StringIO()
kept = Closing(stream)
toolbox("attacks.evasion")
assert not stream.closed
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_template_travels_with_its_row_where_the_toolbox_attacks_a_part() -> None:
    trials = TRIALS["dodge"]
    model = classifier(FACE, trials)
    part = torch.tensor([9, 3, 20])
    labels = np.eye(len(trials), dtype=np.float32)[part]
    told = model.compute_loss(trials.pixels[part].numpy(), labels, reduction="none")
    cosines = (FACE(trials.pixels[part]) * trials.templates[part]).sum(1)
    assert np.allclose(told, -cosines.numpy(), atol=1e-5)


@dataclass(frozen=True, kw_only=True, eq=False)
class Crops:
    """Of a FaceSet, what the bench asks for."""

    shown: Tensor  # (N, 3, S, S)
    person: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.person)

    @property
    def people(self) -> NDArray[np.int64]:
        return np.unique(self.person)

    def crops(self, indices: list[int]) -> NDArray[np.uint8]:
        return (self.shown[indices] * 255).byte().numpy().transpose(0, 2, 3, 1)

    def rows(self) -> NDArray[np.float32]:
        return FACE(self.shown).numpy()


@pytest.fixture(scope="module")
def subject() -> Subject:
    """Twenty people in two groups, seen by the small face."""
    groups = []
    for seed in (1, 2):
        shown = (small_people(10, 4, seed) * 255).byte().float() / 255
        groups.append(Crops(shown=shown.flatten(0, 1), person=np.repeat(np.arange(10), 4)))
    tested, others = groups
    made = SimpleNamespace(
        face=FACE,
        tested=tested,
        others=others,
        embeddings=tested.rows(),
        other_embeddings=others.rows(),
        about=About(trunk="0" * 64, tail="1" * 64, faces="2" * 64, people=10),
    )
    return cast(Subject, made)


@pytest.mark.parametrize("goal", GOALS)
def test_pairs_are_right_different_and_begin_as_shorter_lists_do(
    goal: Goal, subject: Subject
) -> None:
    threshold = attacks.fixed_threshold(subject, 0.02)
    pairs = attacks.right_pairs(subject, goal, threshold, 12)
    assert pairs[:5] == attacks.right_pairs(subject, goal, threshold, 5)
    assert len(set(pairs)) == 12
    person, rows = subject.tested.person, subject.embeddings
    for pair in pairs:
        assert (person[pair.template] == person[pair.moved]) == (goal == "dodge")
        one, other = rows[pair.template], rows[pair.moved]
        cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        assert (cosine > threshold) == (goal == "dodge")
    with pytest.raises(ScenarioError, match="decided rightly"):
        attacks.right_pairs(subject, goal, 2.0 if goal == "dodge" else -2.0, 5)


def test_too_few_others_fix_no_threshold(subject: Subject) -> None:
    with pytest.raises(ScenarioError, match="too few"):
        attacks.fixed_threshold(subject, 1e-6)


def test_the_bench_measures_what_its_folder_does_not_hold(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    subject: Subject,
) -> None:
    monkeypatch.setattr(attacks, "load_subject", lambda options, bars: subject)
    monkeypatch.setattr(attacks, "EPS", {"linf": (4,), "l2": (0.5,)})
    first = bench(tmp_path, capsys, pairs=2)
    assert first["pairs"] == {"dodge": 2, "impersonate": 2}
    assert {row["norm"] for row in first["rows"]} == {"linf", "l2"}
    assert set(first["difference"]) == {"linf/4", "l2/0.5"}
    monkeypatch.setattr(attacks, "toolbox_pgd", None)  # whoever measures again falls over it
    assert bench(tmp_path, capsys, pairs=2) == first
    with pytest.raises(TypeError):
        bench(tmp_path, capsys, pairs=4)


@pytest.mark.slow
def test_on_the_starter_trunk_no_budget_tells_us_from_the_toolbox(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = ["--people", "60", "--folds", "1-4", "--threshold-folds", "5-8", "--fmr", "0.01"]
    attacks.main(["--out", str(tmp_path), "--pairs", "30", "--threads", "1", *people])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["largest_difference"] <= 100 * POINTS
    assert told["apgd_behind_pgd"] == []
    assert len(told["rows"]) == 20


def test_the_report_counts_differences_over_both_goals_and_tells_who_is_behind() -> None:
    lines = [
        {
            "key": f"name/{goal}/linf/8/0-50",
            "pairs": 50,
            "hits": {"fgsm": [], "pgd": [1, 2, 3], "toolbox_pgd": theirs, "apgd": auto},
        }
        for goal, theirs, auto in (("dodge", [1], [1, 2]), ("impersonate", [1], [1, 2, 3]))
    ]
    bench = attacks.Bench(subject=Any, threshold=0.5, pairs={}, steps=1, batch=2, seed=0)  # type: ignore[arg-type]
    told = attacks.report(bench, lines)
    assert told["difference"]["linf/8"] == told["largest_difference"] == 4.0
    assert told["apgd_behind_pgd"] == ["dodge linf/8"]
    assert told["rows"][0]["pgd"]["value"] == 0.06


def bench(folder: Path, capsys: pytest.CaptureFixture[str], pairs: int) -> dict[str, Any]:
    given = ["--fmr", "0.02", "--batch", "2", "--steps", "2", "--threads", "1"]
    attacks.main(["--out", str(folder), "--pairs", str(pairs), *given])
    told: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return told


def share(trials: Trials, pixels: Tensor) -> float:
    return float(trials.fooled(FACE, pixels).float().mean())


class Decision(nn.Module):
    """Of one trial, as two classes: the attacker has what they want, or not."""

    def __init__(self, trial: Trials) -> None:
        super().__init__()
        self.trial = trial
        self.scale = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, pixels: Tensor) -> Tensor:
        margin = self.trial.margin(FACE(pixels)) * self.scale
        return torch.stack([margin, -margin], 1)


class Margin(nn.Module):
    reduction = "mean"

    def forward(self, decisions: Tensor, labels: Tensor) -> Tensor:
        return decisions[:, 0] if self.reduction == "none" else decisions[:, 0].sum()


def toolbox_apgd(trial: Trials, budget: Budget) -> Tensor:
    model = toolbox("estimators.classification").PyTorchClassifier(
        model=Decision(trial),
        loss=Margin(),
        input_shape=tuple(trial.pixels.shape[1:]),
        nb_classes=2,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    attack = toolbox("attacks.evasion").AutoProjectedGradientDescent(
        model,
        norm=np.inf if budget.norm == "linf" else 2,
        eps=budget.eps,
        eps_step=2 * budget.eps,
        max_iter=8,
        nb_random_init=1,
        batch_size=1,
        loss_type=None,
        verbose=False,
    )
    np.random.seed(0)
    made = attack.generate(trial.pixels.numpy(), np.array([[0.0, 1.0]], np.float32))
    return torch.from_numpy(made)
