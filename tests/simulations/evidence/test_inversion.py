"""Inversion succeeds where nothing protects, fails where keys and noise do, and shows both."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from common.errors import ConfigError, ScenarioError
from common.evidence.section import Picture, Section
from simulations.cli import main
from simulations.commands import audit_inversion
from simulations.entropy import SeededEntropy
from simulations.evidence import inverted as inverted_section
from simulations.evidence.inversion import (
    InversionOptions,
    Inverted,
    invert,
    rows_of,
    verdicts,
)
from simulations.evidence.prey import choose_prey
from simulations.evidence.releases import Protection, Wire
from simulations.evidence.sealed import keep
from tests.randomness import CHANCE, bytes_chance
from tests.small_subject import small_subject
from tests.small_world import Silent

OPTIONS = InversionOptions(people=12, descended=5, steps=25, epsilon=(0.5,))


class Counting(Silent):
    """Counts the steps that it is told of."""

    def __init__(self) -> None:
        super().__init__()
        self.total = self.done = 0

    def start(self, what: str, total: int) -> Callable[[int], None]:
        self.total = total

        def step(steps: int) -> None:
            self.done += steps

        return step


@pytest.fixture(scope="module")
def counting() -> Counting:
    return Counting()


@pytest.fixture(scope="module")
def inverted(counting: Counting) -> Inverted:
    return invert(small_subject(), OPTIONS, counting)


def value(row: dict[str, Any], how: str = "decoded", kind: str = "type_1") -> float:
    return float(row[how][kind]["value"])


def test_what_is_not_protected_is_taken_for_the_person(inverted: Inverted) -> None:
    plain, update = (inverted.figures[part]["without"] for part in ("template", "update"))
    assert value(plain["embedding"], "descended") == 1
    assert value(plain["feature"]) == value(plain["opened_with_key"])
    for name in ("mean_1", "mean_1_clipped", "gradient_1", "gradient_1_clipped"):
        assert value(update[name], "linked", "type_2") > 0.9, name
    assert value(update["mean_5"], "linked") < value(update["mean_1"], "linked")


def test_what_is_sealed_or_noised_is_taken_for_nobody(inverted: Inverted) -> None:
    for name, row in inverted.figures["template"]["with"].items():
        assert max(value(row), value(row, kind="type_2")) < 0.45, (
            name
        )  # 5 of 12: chance gives one or two
    for name, row in inverted.figures["update"]["with"].items():
        assert max(value(row), value(row, "linked")) < 0.45, name
    for row in inverted.figures["controls"].values():
        assert value(row) < 0.45


def test_progress_is_told_of_every_row(inverted: Inverted, counting: Counting) -> None:
    assert counting.done == counting.total == rows_of(OPTIONS)


def test_a_template_that_opens_without_its_key_fails_the_section(inverted: Inverted) -> None:
    broken = copy.deepcopy(inverted.figures)
    broken["template"]["with"]["sealed_learnt"] = broken["template"]["without"]["embedding"]
    assert any("sealed_learnt is taken for the person" in one for one in verdicts(broken))


def test_an_attack_that_inverts_nothing_fails_the_section(inverted: Inverted) -> None:
    weak = copy.deepcopy(inverted.figures)
    weak["template"]["without"]["embedding"]["descended"]["type_1"]["ci95"] = [0.0, 0.4]
    assert any("shows nothing" in one for one in verdicts(weak))


def test_whoever_teaches_is_not_attacked_and_the_judge_was_seen_by_no_site() -> None:
    subject = small_subject()
    prey = choose_prey(subject, 7, 1e-2, np.random.default_rng(0))
    assert len(prey) == 7
    for own, other, bag in zip(prey.own, prey.other, prey.bags, strict=True):
        whose = subject.tested.person[[own, other, *bag]]
        assert len(set(whose)) == 1 and own in bag and other not in bag
    assert prey.teachers.max() < len(subject.others)


def test_people_too_few_for_a_threshold_are_refused() -> None:
    with pytest.raises(ScenarioError, match="too few pairs"):
        choose_prey(small_subject(others=3), 5, 1e-3, np.random.default_rng(0))


def test_the_vault_keeps_features_that_nobody_reads_without_the_key() -> None:
    features = np.random.default_rng(3).standard_normal((40, 24)).astype(np.float32)
    kept = keep(features, "ab" * 32)
    np.testing.assert_allclose(kept.opened, features, rtol=1e-3)
    read = kept.as_if_plain(features)
    likeness = [abs(np.corrcoef(a, b)[0, 1]) for a, b in zip(read, features, strict=True)]
    assert np.mean(likeness) < 0.4  # 0.17 is what chance gives
    blobs = b"".join(kept.sealed)
    assert all(row.astype("<f2").tobytes()[:8] not in blobs for row in features)
    words = np.frombuffer(blobs[: len(blobs) // 4 * 4], np.uint32)
    assert bytes_chance(words) > CHANCE


def test_a_secure_sum_over_one_site_is_the_release_with_all_its_noise() -> None:
    subject = small_subject()
    bag = subject.features[:3]
    made = []
    for summed in (False, True):
        wire = Wire(subject.tail, subject.other_features, SeededEntropy(5))
        protection = Protection(epsilon=1e8, summed=summed)  # hardly any noise
        made.append(wire.mean([[bag]], protection))
    assert np.corrcoef(made[0], made[1])[0, 1] > 0.95


def test_people_who_exist_are_in_no_section(inverted: Inverted, tmp_path: Path) -> None:
    real = replace(inverted.prey.subject, invented=False)
    seen = replace(inverted.prey, subject=real)
    among = Inverted(seen, inverted.figures, (), inverted.columns)
    section = inverted_section.section_of(among, OPTIONS, "command", tmp_path, 1.0)
    assert section.pictures == () and not section.about.invented
    assert {file.name for file in tmp_path.iterdir()} == {"inversion.json", inverted_section.REAL}
    with pytest.raises(ConfigError, match="do not go into evidence"):
        replace(section, pictures=(Picture.of("a.png", b"", "a face"),))


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch, inverted: Inverted) -> None:
    monkeypatch.setattr(audit_inversion, "load_subject", lambda options, bars: None)
    monkeypatch.setattr(audit_inversion, "invert", lambda subject, asked, bars: inverted)


@pytest.mark.usefixtures("toys")
def test_the_command_prints_a_section_and_keeps_a_grid_that_belongs_to_it(tmp_path: Path) -> None:
    out = tmp_path / "evidence"
    arguments = ["audit", "inversion", "--attacked", "12", "--threads", "1", "--out", str(out)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    section = Section.from_json((out / "inversion.json").read_text("utf-8"))
    assert json.loads(done.stdout)["figures"] == section.figures
    assert "template sealed_learnt" in done.stderr and "update gradient_1" in done.stderr
    content = (out / "inversion.png").read_bytes()
    assert section.pictures == (Picture.of("inversion.png", content, section.pictures[0].caption),)
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] > 7 * 112 and picture.shape[0] > 5 * 112


@pytest.mark.parametrize(
    ("option", "given"), [("--fmr", "0"), ("--epsilon", "0"), ("--delta", "1")]
)
def test_options_that_cannot_be_meant_are_refused(option: str, given: str) -> None:
    done = CliRunner().invoke(main, ["audit", "inversion", option, given])
    assert done.exit_code == 2 and "SCENARIO_INVALID" in done.output
