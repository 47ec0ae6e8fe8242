"""The report on robustness: what it says, that it goes on, and that hidden gradients fail it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from common.errors import ScenarioError
from common.evidence.section import Section
from simulations.evidence.robustness.cells import JOURNAL, cells, packed, unpacked
from simulations.evidence.robustness.pairs import attacked, draw_pairs, fix_threshold
from simulations.evidence.robustness.plan import Plan, RobustnessOptions
from simulations.evidence.robustness.rates import share
from simulations.evidence.robustness.report import Neighbours, robustness
from tests.small_subject import small_subject, small_tail
from tests.small_world import Silent

PLAN = Plan(
    linf=(0, 2, 16),
    l2=(2,),
    steps=3,
    queries=8,
    queried=1,
    minimal=1,
    bisections=1,
    masked=1,
    transferred=3,
    signals=3,
    probed=3,
    sticker_steps=3,
    sticker_people=4,
)
OPTIONS = RobustnessOptions(pairs=10, fmr=1e-2, seed=3, plan=PLAN)


def report(out: Path) -> Section:
    beside = Neighbours(own=small_tail(1))
    return robustness(small_subject(), OPTIONS, Silent(), neighbours=beside, out=out)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attack")


@pytest.fixture(scope="module")
def told(folder: Path) -> Section:
    return report(folder)


def test_the_report_is_a_section_with_everything_that_others_rely_on(told: Section) -> None:
    figures = told.figures
    assert Section.from_json(told.to_json()) == dataclasses.replace(
        told, figures=json.loads(json.dumps(figures))
    )
    assert told.failed == () and all(one["held"] for one in figures["masking"]["checks"])
    assert figures["fmr"] == 1e-2 and figures["pairs"] == {"dodge": 5, "impersonate": 5}
    assert set(figures["curves"]["linf"]) >= {"fgsm", "pgd", "mi", "apgd", "square", "hopskipjump"}
    assert set(figures["transfer"]["attacks"]["pgd"]) == {
        "this",
        "own tail",
        "trunk alone",
        "noise",
    }
    assert set(figures["masked"]) == {"frame", "sticker"}
    assert {"value", "baseline"} <= set(figures["trigger"])
    assert set(figures["minimal"]["linf"]) == {"dodge", "impersonate"}
    assert {"jpeg75", "blur3", "success"} <= set(figures["signals"])
    assert set(figures["threat_model"]) >= {"goal", "knowledge", "budget"}


def test_a_budget_of_nothing_fools_nobody_and_an_ample_one_all(told: Section) -> None:
    by_attack = told.figures["curves"]["linf"]
    for goal in ("dodge", "impersonate"):
        for name in ("noise", "fgsm", "pgd", "apgd"):
            assert by_attack[name][goal]["0/255"]["value"] == 0
        assert by_attack["apgd"][goal]["16/255"]["value"] == 1


def test_the_robust_tar_counts_every_genuine_pair_and_every_attack(told: Section) -> None:
    figures = told.figures
    standing = figures["robust_tar"]
    assert standing["n"] == figures["pairs"]["dodge"] and standing["eps"] == 2 / 255
    wrong = figures["clean"]["dodge"]["value"]
    best = max(
        by_goal["dodge"]["2/255"]["value"]
        for by_goal in figures["curves"]["linf"].values()
        if "2/255" in by_goal["dodge"]
    )
    assert standing["value"] <= (1 - wrong) * (1 - best) + 1e-3


def test_a_report_that_was_cut_off_goes_on_and_comes_to_the_same_figures(
    told: Section, folder: Path, tmp_path: Path
) -> None:
    lines = (folder / JOURNAL).read_text().splitlines(keepends=True)
    kept = len(lines) // 2
    (tmp_path / JOURNAL).write_text("".join(lines[:kept]) + lines[kept][:20])
    assert report(tmp_path).figures == told.figures
    after = (tmp_path / JOURNAL).read_text().splitlines(keepends=True)
    assert after[:kept] == lines[:kept] and len(after) == len(lines)


def test_a_cell_is_measured_once_and_never_taken_for_another_models(tmp_path: Path) -> None:
    def drawn(about: dict[str, int]) -> float:
        with cells(about, tmp_path) as kept:
            value: float = kept.of(
                "one", lambda generator: float(torch.rand((), generator=generator))
            )
            return value

    first = drawn({"seed": 1, "tail": 1})
    assert drawn({"seed": 1, "tail": 1}) == first
    assert len((tmp_path / JOURNAL).read_text().splitlines()) == 1
    assert drawn({"seed": 1, "tail": 2}) == first  # the same chance, measured again
    assert drawn({"seed": 2, "tail": 2}) != first
    assert len((tmp_path / JOURNAL).read_text().splitlines()) == 3


def test_a_model_that_hides_its_gradients_fails_the_report() -> None:
    plan = dataclasses.replace(PLAN, linf=(2,), l2=())
    section = robustness(
        small_subject(hiding=True), dataclasses.replace(OPTIONS, plan=plan), Silent()
    )
    assert section.figures["trigger"]["value"] == section.figures["trigger"]["baseline"]
    assert any("gradients are there" in one for one in section.failed)
    assert all(one.startswith("masking: ") for one in section.failed)


def test_a_threshold_falls_back_to_one_in_a_hundred_and_then_refuses() -> None:
    subject = small_subject(tested=3, others=24)
    fixed = fix_threshold(subject.other_features, subject.tail, subject.others, 1e-3)
    assert fixed.fmr == 1e-2
    few = subject.others.of_people(range(3))
    with pytest.raises(ScenarioError, match="fix no threshold"):
        fix_threshold(subject.other_features[: len(few)], subject.tail, few, 1e-3)


def test_a_model_that_accepts_everybody_is_not_attacked() -> None:
    with pytest.raises(ScenarioError, match="nothing to impersonate"):
        attacked(small_subject(tested=4, others=4), threshold=-1.0, pairs=4, seed=0)


def test_pairs_are_what_they_are_called_and_everybody_takes_a_turn() -> None:
    person = np.repeat(np.arange(10), 4)
    genuine, impostor = draw_pairs(person, 20, seed=0)
    assert (person[genuine[:, 0]] == person[genuine[:, 1]]).all()
    assert (genuine[:, 0] != genuine[:, 1]).all()
    assert (person[impostor[:, 0]] != person[impostor[:, 1]]).all()
    for pairs in (genuine, impostor):
        assert len({tuple(sorted(row)) for row in pairs.tolist()}) == 20
        assert len(set(person[pairs[:10, 0]])) == 10
    assert not np.array_equal(genuine, draw_pairs(person, 20, seed=1)[0])


def test_intervals_are_wilsons() -> None:
    assert share([True] * 15 + [False] * 15) == {"value": 0.5, "ci95": [0.3315, 0.6685], "n": 30}
    assert share([False] * 20) == {"value": 0.0, "ci95": [0.0, 0.1611], "n": 20}
    assert share([]) is None
    assert unpacked(packed(np.array([True, False]))).tolist() == [True, False]
