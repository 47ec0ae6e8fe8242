"""Plaintext tells what people wear, sealed templates and noised updates tell nobody."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.errors import DataSetError, ScenarioError
from common.evidence.section import Section
from common.models.tail import Tail
from simulations.cli import main
from simulations.commands import audit_attributes
from simulations.evidence.attributes import AttributeOptions, infer, verdicts
from simulations.evidence.marks import marks_of, person_truth, read_marks
from simulations.evidence.subject import Subject
from tests.small_subject import small_subject
from tests.small_world import Silent

OPTIONS = AttributeOptions(epsilon=(0.5,))
PEOPLE, PICTURES = 72, 3


@pytest.fixture(scope="module")
def subject() -> Subject:
    """Whose people look one way or the other to the network, and wear what it does not see."""
    plain = small_subject(tested=PEOPLE)
    person = plain.tested.person
    looks = plain.embeddings[:, :4].sum(axis=1).reshape(PEOPLE, PICTURES).mean(axis=1)
    hidden = np.random.default_rng(0).random(PEOPLE) < 0.5
    shown = np.stack([looks > np.median(looks), hidden, np.arange(PEOPLE) < 2], axis=1)
    names = ("looks", "hidden", "rare")
    files = tuple(f"{number:03d}.png" for number in range(len(person)))
    return replace(
        plain,
        tested=replace(
            plain.tested, attributes=shown[person], attribute_names=names, picture=files
        ),
    )


@pytest.fixture(scope="module")
def told(subject: Subject) -> tuple[dict[str, Any], tuple[str, ...]]:
    marks = marks_of(subject.tested, None, np.random.default_rng(1))
    assert marks.names == ("looks", "hidden")  # two people say nothing of anybody
    return infer(subject, marks, OPTIONS, Silent())


def value(row: dict[str, Any], name: str = "looks") -> float:
    return float(row["each"][name]["value"])


def test_what_can_be_seen_is_read_from_plaintext_and_from_bare_updates(told: Any) -> None:
    open_rows = told[0]["without"]
    for name in ("embedding", "feature", "sign_code", "update_mean_1"):
        assert value(open_rows[name]) > 0.6, name
        assert abs(value(open_rows[name], "hidden") - 0.5) < 0.25, name


def test_sealed_templates_and_noised_updates_tell_nothing(told: Any) -> None:
    figures, _ = told
    for name in ("sealed_template", "update_mean_1_epsilon_0.5"):
        low, _ = figures["with"][name]["mean"]["ci95"]
        assert low < 0.6 and abs(value(figures["with"][name]) - 0.5) < 0.28, name


def test_the_tail_before_training_is_probed_beside_the_one_after_it(subject: Subject) -> None:
    marks = marks_of(subject.tested, None, np.random.default_rng(1))
    blind = Tail(np.zeros_like(subject.tail.weight), subject.tail.bias + 1)
    figures, _ = infer(subject, marks, OPTIONS, Silent(), blind)
    rows = figures["without"]
    assert value(rows["embedding"]) > 0.6 > value(rows["embedding_before_training"])
    same, _ = infer(subject, marks, OPTIONS, Silent(), subject.tail)
    assert "embedding_before_training" not in same["without"]


def test_seals_that_tell_and_probes_that_do_not_fail_the_section(told: Any) -> None:
    sure, unsure = {"mean": {"ci95": [0.8, 0.9]}}, {"mean": {"ci95": [0.45, 0.6]}}
    told_twice = {"with": {"sealed_template": sure}, "without": {"embedding": unsure}}
    assert len(verdicts(told_twice)) == 2
    as_hoped = {"with": {"sealed_template": unsure}, "without": {"embedding": sure}}
    assert verdicts(as_hoped) == []


def test_a_person_shows_what_half_of_the_pictures_show() -> None:
    truth = np.array([[True], [False], [False], [False], [True]])
    assert person_truth(truth, np.array([7, 7, 3, 3, 3])).tolist() == [[False], [True]]


def test_a_table_says_what_pictures_show(subject: Subject, tmp_path: Path) -> None:
    table = tmp_path / "marks.csv"
    table.write_text("file,id,smiling,hat\n004.png,1,1,-1\n002.png,9,0,+1\nelse.png,1,1,1\n")
    marks = read_marks(table, subject.tested)
    assert marks.picture.tolist() == [2, 4]
    assert marks.names == ("smiling", "hat")
    assert marks.truth.tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("file,hat\n004.png,maybe\n", "attributes are"),
        ("file,hat\nelse.png,1\n", "no line"),
        ("name,hat\n004.png,1\n", "needs a column"),
    ],
)
def test_a_table_that_says_nothing_of_these_pictures_is_refused(
    subject: Subject, tmp_path: Path, content: str, match: str
) -> None:
    table = tmp_path / "marks.csv"
    table.write_text(content)
    with pytest.raises(DataSetError, match=match) as told:
        read_marks(table, subject.tested)
    assert "004" not in str(told.value)


def test_faces_of_whom_nothing_is_known_are_refused(subject: Subject) -> None:
    rng = np.random.default_rng(2)
    bare = replace(subject.tested, attributes=None, attribute_names=())
    with pytest.raises(ScenarioError, match="--labels"):
        marks_of(bare, None, rng)
    unsaid = np.full((len(subject.tested), 1), -1, np.int8)
    for partly in (unsaid, np.where(np.arange(len(unsaid))[:, None] == 0, -1, 1).astype(np.int8)):
        with pytest.raises(ScenarioError, match="10 people"):
            marks_of(replace(bare, attributes=partly, attribute_names=("hat",)), None, rng)
    with pytest.raises(ScenarioError, match="10 people"):
        marks_of(subject.tested.of_people(range(12)), None, rng)


def test_the_command_prints_a_table_and_a_section(
    subject: Subject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(audit_attributes, "load_subject", lambda options, bars: subject)
    out = tmp_path / "evidence"
    arguments = ["audit", "attributes", "--epsilon", "2", "--threads", "1", "--out", str(out)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    section = Section.from_json((out / "attributes.json").read_text("utf-8"))
    assert json.loads(done.stdout)["figures"] == section.figures
    assert "update_mean_1_epsilon_2" in done.stderr and section.kind == "attributes"
