"""A tail that is worse for one group is seen to be; an honest one is not; the few are not shown."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from common.errors import ScenarioError
from common.evidence.section import Section, figure
from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.models.tail import Tail
from common.models.trunk import Trunk
from common.synthetic.generate import numbered_person
from simulations.cli import main
from simulations.evidence.fairness import FairnessOptions, fairness_section
from simulations.evidence.grouped import GroupedSubject, group_invented, load_grouped
from simulations.evidence.subject import Subject, SubjectOptions
from simulations.sources import SYNTHETIC_SEED

PEOPLE, PICTURES, OWN = 60, 3, 12  # of each group; numbers of a feature that its people vary in
ASKED = FairnessOptions(fmr=1e-2, draws=100)


@pytest.fixture(scope="module")
def honest() -> dict[str, Any]:
    return section(np.ones(2 * OWN)).figures


@pytest.fixture(scope="module")
def biased() -> dict[str, Any]:
    """The second group's people are told apart by a tenth of what the first's are."""
    return section(np.r_[np.ones(OWN), np.full(OWN, 1 / 10)]).figures


def test_an_honest_tail_treats_both_groups_alike(honest: dict[str, Any]) -> None:
    ratio = honest["fmr_worst_to_best"]
    assert ratio["value"] < 1.6
    assert ratio["ci95"][0] <= 1.1


def test_a_tail_that_collapses_one_group_shows_in_every_ratio(
    honest: dict[str, Any], biased: dict[str, Any]
) -> None:
    for name in ("fmr_worst_to_best", "fmr_worst_to_geometric_mean"):
        assert biased[name]["worst"] == "b"
        assert biased[name]["ci95"][0] > 1.4 * honest[name]["ci95"][1]
    assert biased["groups"]["b"]["fmr"]["value"] > 5 * biased["groups"]["a"]["fmr"]["value"]
    assert biased["cross"]["a"]["b"] < biased["cross"]["b"]["b"]


def test_the_section_is_one_that_a_gate_can_read(honest: dict[str, Any]) -> None:
    made = section(np.ones(2 * OWN))
    again = Section.from_json(made.to_json())
    assert figure({"fairness": again}, "fairness.fmr_worst_to_best.value") == pytest.approx(
        honest["fmr_worst_to_best"]["value"]
    )
    assert again.about.people == 2 * PEOPLE


def test_a_few_people_are_not_shown_nor_counted() -> None:
    """Nine of group c: with them goes the smallest of the others, or their number could be told."""
    group = np.r_[np.zeros(PEOPLE), np.ones(PEOPLE - 9), np.full(9, 2)].astype(np.int64)
    made = section(np.ones(2 * OWN), group)
    assert made.figures["suppressed"] == ["b", "c"]
    assert list(made.figures["groups"]) == ["a"]
    assert made.figures["fmr_worst_to_best"] is None
    assert made.about.people == PEOPLE


def test_too_few_others_fix_no_threshold() -> None:
    with pytest.raises(ScenarioError, match="too few pairs to fix a threshold at FMR 1e-06"):
        section(np.ones(2 * OWN), fmr=1e-6)


def test_invented_people_are_grouped_by_what_they_were_invented_with() -> None:
    subject = planted(np.ones(2 * OWN))
    grouped = group_invented(subject, "skin-thirds")
    for person, group in zip(subject.tested.people.tolist(), grouped.group, strict=True):
        number = int(subject.tested.names[person].rpartition("-")[2])
        melanin = numbered_person(SYNTHETIC_SEED, number).skin.melanin
        assert group == int(melanin >= 1 / 3) + int(melanin >= 2 / 3)
    with pytest.raises(ScenarioError, match="skin, skin-thirds, age, age-thirds"):
        group_invented(subject, "height")


def test_a_folder_of_faces_has_no_groups(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="a folder of faces has none"):
        load_grouped(SubjectOptions(faces=tmp_path), None, Quiet(), 8)


def test_the_command_prints_a_section_and_keeps_it(tmp_path: Path) -> None:
    """A dozen invented people are too few for any group: nothing of them is told."""
    out = tmp_path / "out"
    typed = ["fairness", "--people", "16", "--fmr", "0.9", "--out", str(out), "--threads", "1"]
    done = CliRunner().invoke(main, typed, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told == json.loads((out / "fairness.json").read_text("utf-8"))
    assert told["kind"] == "fairness"
    assert told["figures"]["groups"] == {}
    assert told["figures"]["suppressed"] == ["darker skin", "lighter skin"]
    assert told["about"]["people"] == 0
    assert str(tmp_path) not in done.stdout


def section(
    kept: NDArray[np.float64], group: NDArray[np.int64] | None = None, fmr: float = ASKED.fmr
) -> Section:
    subject = planted(kept)
    if group is None:
        group = np.repeat([0, 1], PEOPLE)
    names = ("a", "b", "c")[: int(group.max()) + 1]
    asked = FairnessOptions(fmr=fmr, draws=ASKED.draws)
    return fairness_section(GroupedSubject(subject, group, names), asked, "mascaron-lab fairness")


def planted(kept: NDArray[np.float64]) -> Subject:
    """People of group a differ in the first numbers of a feature, those of b in the others.

    One more number says which group; the tail keeps ``kept`` of each.
    """
    rng = np.random.default_rng(5)
    sets = [people(rng, "tested"), people(rng, "others")]
    weight = np.diag(np.r_[kept, 1, 1]).astype(np.float32)
    return Subject(
        trunk=cast(Trunk, SimpleNamespace(hash="a" * 64)),
        tail=Tail(weight, np.zeros(len(weight), np.float32)),
        tested=sets[0][0],
        others=sets[1][0],
        invented=True,
        features=sets[0][1],
        other_features=sets[1][1],
    )


def people(rng: np.random.Generator, who: str) -> tuple[FaceSet, NDArray[np.float32]]:
    total = 2 * PEOPLE
    group = np.repeat([0, 1], PEOPLE)
    means = np.zeros((total, 2 * OWN + 2))
    for row, own in zip(means, group.tolist(), strict=True):
        row[own * OWN : (own + 1) * OWN] = rng.standard_normal(OWN)
        row[2 * OWN + own] = 1
    person = np.repeat(np.arange(total), PICTURES)
    features = means[person] + 0.3 * rng.standard_normal((len(person), means.shape[1]))
    crops = np.zeros((1, 112, 112, 3), np.uint8)
    faces = FaceSet(
        source=StoredCrops(np.broadcast_to(crops, (len(person), *crops.shape[1:]))),
        person=person,
        names=tuple(f"{who}-{number:05}" for number in range(total)),
    )
    return faces, features.astype(np.float32)


class Quiet:
    """Tells nobody of progress."""

    def start(self, what: str, total: int) -> Callable[[int], None]:
        return lambda steps: None
