"""Heads are measured beside what they began as, on labelled people who took no part."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.errors import ModelError
from common.evidence.section import Section
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.gender import GenderHead
from common.heads.head import Head
from common.heads.heads import Heads
from common.heads.heads_file import heads_bytes
from common.heads.scaling import Scaling
from common.heads.words import WordsHead
from common.text.encoding import open_encoder
from simulations.cli import main
from simulations.commands import audit_heads
from simulations.evidence.gathering import Depth, Gathering
from simulations.evidence.heads import Compared, heads_section
from simulations.evidence.robustness.plan import RobustnessOptions
from simulations.evidence.subject import Subject
from simulations.progress import Told
from tests.small_headed import named
from tests.small_subject import FEATURES, small_subject

PEOPLE, PICTURES = 72, 3
ENCODER = open_encoder("built-in")
CANARY = "nobody-by-this-name"
NAMES = ("glasses", "hat", "beard")


@pytest.fixture(scope="module")
def subject() -> Subject:
    """Whose glasses and ages the trunk sees; of hats nobody spoke twice, and two wear a beard."""
    plain = small_subject(tested=PEOPLE)
    person = plain.tested.person
    seen = plain.features @ direction()
    own = seen.reshape(PEOPLE, PICTURES).mean(axis=1)
    glasses = (own > np.median(own)).astype(np.int8)[person]
    hat = np.where(person < 4, glasses, -1).astype(np.int8)
    said = np.stack([glasses, hat, (person < 2).astype(np.int8), glasses], axis=1)
    said[::7, 0] = -1  # nobody said
    tested = dataclasses.replace(
        plain.tested,
        attributes=said,
        attribute_names=(*NAMES, "Pale_Skin"),
        age=(45 + 20 * np.sign(own))[person].astype(np.float32),
        names=tuple(f"{CANARY}-{n}" for n in range(PEOPLE)),
        picture=tuple(f"{CANARY}/{n}.png" for n in range(len(person))),
    )
    return dataclasses.replace(plain, tested=tested)


def direction() -> Any:
    drawn = np.random.default_rng(5).standard_normal(FEATURES).astype(np.float32)
    return drawn / np.linalg.norm(drawn)


def heads(spoilt: float = 0.0, trunk: str = "ab" * 32) -> Heads:
    """That read off ``direction``; ``spoilt`` times as much of something else."""
    made: tuple[Head, ...] = (
        AttributesHead(names=NAMES, shown=(50, 50, 5), absent=(50, 50, 95)),
        AgeHead(cuts=(30, 45, 60)),
        GenderHead(female=1, male=1),
        WordsHead(size=ENCODER.size, encoder=ENCODER.hash),
    )
    other = np.random.default_rng(6).standard_normal(FEATURES).astype(np.float32)
    worn, bare = ENCODER.encode(["glasses", "no glasses"])
    line = 9 * (direction() + np.float32(spoilt) * other)
    return Heads(
        trunk=trunk,
        heads=made,
        scaling=Scaling(np.zeros(FEATURES, np.float32), np.ones(FEATURES, np.float32)),
        arrays={
            "heads.attributes.weight": np.stack([line] * 3),
            "heads.attributes.bias": np.zeros(3, np.float32),
            "heads.age.weight": line[None],
            "heads.age.bias": np.array([3, 0, -3], np.float32),
            "heads.gender.weight": line[None],
            "heads.gender.bias": np.zeros(1, np.float32),
            "heads.words.weight": np.outer(worn - bare, line).astype(np.float32),
            "heads.words.bias": worn + bare,
        },
        weights={"attributes": 1.0, "age": 1.0, "gender": 1.0, "words": 1.0},
        calibration={},
    )


def told(subject: Subject, spoilt: float = 0.0) -> Section:
    return heads_section(subject, Compared(heads(spoilt), heads()), 0, "mascaron-lab audit heads")


def test_heads_that_did_not_change_lost_exactly_nothing(subject: Subject) -> None:
    figures = told(subject).figures
    for kind in ("attributes", "age", "words"):
        assert figures[kind]["lost"] == {"value": 0.0, "ci95": [0.0, 0.0]}
        assert figures[kind]["released"] == figures[kind]["public"]
    assert figures["attributes"]["released"]["value"] > 0.9
    assert figures["words"]["released"]["value"] > 0.6  # of sentences with beards and ages in them
    assert figures["file"] == figures["public"] == named(heads())


def test_heads_that_read_worse_lost_what_lies_between_both_figures(subject: Subject) -> None:
    figures = told(subject, spoilt=0.3).figures
    for kind, sign in (("attributes", 1), ("age", -1), ("words", 1)):
        one = figures[kind]
        lost, now, before = (one[key]["value"] for key in ("lost", "released", "public"))
        assert lost == pytest.approx(sign * (before - now), abs=1e-9) and lost > 0.02
        low, high = one["lost"]["ci95"]
        assert low < lost < high
        wide, each = high - low, [np.diff(one[key]["ci95"])[0] for key in ("released", "public")]
        assert wide < sum(each)  # of the same people: paired
    assert figures["file"] != figures["public"]


def test_only_what_enough_people_have_and_lack_is_judged(subject: Subject) -> None:
    section = told(subject)
    assert set(section.figures["attributes"]["each"]) == {"glasses"}
    assert section.figures["gender"] is None and section.figures["unmeasured"] == ["gender"]
    assert section.about.people == PEOPLE


def test_what_nobody_said_does_not_count(subject: Subject) -> None:
    tested = subject.tested
    assert tested.attributes is not None
    turned = tested.attributes.copy()
    turned[::7, 0] = 1 - turned[1::7, 0][: len(turned[::7])]  # the contrary of what is so
    full = dataclasses.replace(subject, tested=dataclasses.replace(tested, attributes=turned))
    silent, loud = (told(one).figures["attributes"]["released"]["value"] for one in (subject, full))
    assert silent > loud


def test_of_people_without_labels_nothing_is_measured_and_the_section_says_so() -> None:
    figures = told(small_subject(tested=PEOPLE)).figures
    assert figures["unmeasured"] == ["attributes", "age", "gender", "words"]
    assert figures["attributes"] is None and figures["age"] is None


def test_words_in_a_space_that_is_not_here_are_not_measured(subject: Subject) -> None:
    made = heads()
    far = [
        WordsHead(size=ENCODER.size, encoder="0" * 64) if isinstance(head, WordsHead) else head
        for head in made.heads
    ]
    other = dataclasses.replace(made, heads=tuple(far))
    figures = heads_section(subject, Compared(other, other), 0, "").figures
    assert figures["words"] is None and figures["attributes"] is not None


def test_heads_of_another_trunk_or_of_other_words_are_not_compared(subject: Subject) -> None:
    other = heads(trunk="cd" * 32)
    with pytest.raises(ModelError, match="two trunks"):
        Compared(heads(), other)
    with pytest.raises(ModelError, match="another trunk"):
        heads_section(subject, Compared(other, other), 0, "")
    fewer = heads().only(("age",))
    assert fewer is not None
    with pytest.raises(ModelError, match="did not begin"):
        Compared(heads(), fewer)
    assert Compared(fewer, heads()).released.kinds == ("age",)  # a run trains some of them


def test_a_section_of_heads_names_nobody(subject: Subject) -> None:
    text = told(subject).to_json()
    for word in (CANARY, "Pale_Skin", "png"):
        assert word not in text


def test_the_command_prints_and_keeps_the_section(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_heads, "load_subject", lambda given, bars: subject)
    paths = [tmp_path / name for name in ("now", "began")]
    for path, made in zip(paths, (heads(0.3), heads()), strict=True):
        path.write_bytes(heads_bytes(made))
    words = ["audit", "heads", "--heads", paths[0], "--began-as", paths[1], "--out", tmp_path]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    section = Section.from_json((tmp_path / "heads.json").read_text("utf-8"))
    assert json.loads(done.stdout)["figures"] == json.loads(section.to_json())["figures"]
    assert "not measured" in done.stderr and "years off" in done.stderr
    assert str(tmp_path) not in section.command
    alone = CliRunner().invoke(main, ["audit", "heads", "--heads", str(paths[0])])
    assert alone.exit_code == 2 and "--began-as" in alone.stderr


def test_evidence_has_a_section_of_heads_where_there_are_some(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth = Depth(robustness=RobustnessOptions.quick(fmr=1e-2), fmr=0.1)
    plain = Gathering(subject, subject.tail, depth, tmp_path, Told())
    assert "heads" not in plain._makers()
    made = []

    def gathered(spoilt: float) -> Section:
        with monkeypatch.context() as patch:
            full = Gathering(
                subject,
                subject.tail,
                depth,
                tmp_path,
                Told(),
                heads=Compared(heads(spoilt), heads()),
            )
            patch.setattr(Gathering, "_makers", lambda self: {"heads": measure(self)})
            return full.all()["heads"]

    def measure(self: Gathering) -> Any:
        return lambda: made.append(1) or self._heads()

    first = gathered(0.3)
    assert gathered(0.3) == first and len(made) == 1  # it is there already
    assert gathered(0.0) != first and len(made) == 2  # about other heads
