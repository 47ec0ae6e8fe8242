"""An unprotected tail tells who trained it; the more noise, the less; and the section says so."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from common.evidence.section import About, Section, figure
from common.heads.tuning import TuningOptions
from common.models.tail import Tail
from common.moments.reference import PublicViews
from simulations.cli import main
from simulations.commands import audit_membership
from simulations.evidence.federations import Federations, first
from simulations.evidence.membership import MembershipPlan, attack_membership, signal
from tests.small_world import Silent

D, K, PICTURES = 16, 8, 4
CARELESS = TuningOptions(steps=60, people=24, pictures=3, learning_rate=0.02, scale=16.0, pull=0.0)


def crowd(people: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), PICTURES)
    points = rng.standard_normal((people, D))[person]
    return (points + 0.9 * rng.standard_normal(points.shape)).astype(np.float32), person


def world(people: int = 48, gradient_share: float = 0.0) -> Federations:
    features, person = crowd(people, 1)
    public, whose = crowd(30, 2)
    weight = np.random.default_rng(3).standard_normal((K, D)).astype(np.float32) / 4
    return Federations(
        features=features,
        person=person,
        tail=Tail(weight, np.zeros(K, np.float32)),
        trunk="0" * 64,
        views=PublicViews(
            randomised=public[:, None],
            simulated=public[:, None],
            camera=np.zeros((len(public), 1), np.int64),
            person=whose,
        ),
        gradient_share=gradient_share,
        rounds=2,
        careless=CARELESS,
    )


@pytest.fixture(scope="module")
def attacked() -> tuple[dict[str, Any], tuple[str, ...]]:
    return attack_membership(world(), MembershipPlan(shadows=7, epsilons=(2.0,)), Silent())


def test_the_attack_succeeds_where_nothing_protects(attacked: Any) -> None:
    figures, failed = attacked
    assert failed == ()
    assert figures["unprotected"]["auc_ci95"][0] > 0.75
    assert figures["unprotected"]["empirical_epsilon"] > 0.3


def test_it_finds_less_where_people_are_clipped_and_hardly_anything_under_noise(
    attacked: Any,
) -> None:
    figures, _ = attacked
    open_, clipped, noised = (figures[name]["auc"] for name in ("unprotected", "without", "with"))
    assert open_ > max(clipped, noised) + 0.1
    assert noised < 0.65
    assert figures["with"]["empirical_epsilon"] <= figures["with"]["epsilon"] == 2.0
    for name in ("unprotected", "without", "with"):
        assert figures[name]["one_run_epsilon"] <= figures[name]["one_run_ceiling"]
        assert set(figures[name]["tpr_at_fpr"]) == {"1e-2", "1e-3"}


def test_a_release_is_of_those_who_are_in_and_nobody_else() -> None:
    federations = world(24, gradient_share=0.5)
    inside = np.arange(24) < 12
    moved = replace(federations, features=federations.features.copy())
    moved.features[federations.person >= 12] += 5
    one, other = (each.released(inside, None, 0) for each in (federations, moved))
    np.testing.assert_array_equal(one.weight, other.weight)
    moved.features[federations.person == 3] += 5
    assert (replace(moved).released(inside, None, 0).weight != one.weight).any()


def test_noise_is_new_for_every_seed_and_the_same_for_the_same() -> None:
    federations, inside = world(24), np.arange(24) < 12
    one, again, other = (federations.released(inside, 2.0, seed).weight for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_a_person_is_known_better_the_closer_the_own_pictures_are() -> None:
    federations = first(world(), 1)
    near = federations.features[:1].repeat(2, axis=0)
    negatives, tail = federations.views.randomised[:, 0], federations.tail
    known = signal(tail, [near, federations.features], negatives)
    assert known[0] > known[1]


def test_an_attack_that_is_blind_fails_the_section() -> None:
    still = replace(world(), careless=replace(CARELESS, learning_rate=1e-12, steps=1))
    _, failed = attack_membership(still, MembershipPlan(shadows=3, epsilons=(2.0,)), Silent())
    assert any("finds nobody" in failure for failure in failed)


def audit(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["audit", "membership", *map(str, arguments)])


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command on people without pictures."""

    def section(kind: str, figures: Any, **told: Any) -> Section:
        about = About(trunk="0" * 64, tail="1" * 64, people=48)
        return Section(kind=kind, about=about, version="0", figures=figures, **told)

    made = SimpleNamespace(section=section)
    monkeypatch.setattr(audit_membership, "load_subject", lambda options, bars: made)
    monkeypatch.setattr(
        audit_membership,
        "federations_of",
        lambda subject, cache, delta, bars: replace(world(), delta=delta),
    )


@pytest.mark.usefixtures("toys")
def test_the_command_prints_a_table_and_a_section(tmp_path: Path) -> None:
    done = audit("--epsilon", 2, "--shadows", 3, "--threads", 1, "--out", tmp_path / "evidence")
    assert done.exit_code == 0, done.output
    section = Section.from_json((tmp_path / "evidence" / "membership.json").read_text("utf-8"))
    assert json.loads(done.stdout)["figures"] == section.figures
    assert figure({"membership": section}, "membership.with.epsilon") == 2.0
    assert figure({"membership": section}, "membership.without.auc") > 0.4
    assert section.command.startswith("mascaron-lab audit membership --epsilon 2 --shadows 3")
    for word in ("none, few people, long", "clip, no noise", "epsilon 2"):
        assert word in done.stderr


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(("option", "value"), [("--epsilon", 0), ("--delta", 0.5)])
def test_guarantees_that_cannot_be_meant_are_refused(option: str, value: float) -> None:
    done = audit(option, value)
    assert done.exit_code == 2
    assert option.strip("-") in done.stderr


def test_a_handful_of_people_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_membership, "load_subject", lambda options, bars: None)
    monkeypatch.setattr(audit_membership, "federations_of", lambda *_: world(20))
    done = audit("--epsilon", 2)
    assert done.exit_code == 2
    assert "too few" in done.stderr


@pytest.mark.slow
def test_invented_people_are_attacked_from_their_pictures_on(tmp_path: Path) -> None:
    done = audit("--people", 64, "--shadows", 3, "--epsilon", 2, "--cache", tmp_path / "cache")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["about"]["people"] >= 48
    assert told["figures"]["unprotected"]["auc"] > told["figures"]["with"]["auc"]
