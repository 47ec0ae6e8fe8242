"""What ships passes its own audit; every classic mistake planted in it is flagged."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from client.agent import mechanisms
from client.privacy.entropy import OsEntropy
from common.evidence.section import Section, figure
from common.privacy.calibrate import sigma_for
from simulations.cli import main
from simulations.evidence.canaries import Canaries, canary_people, know_canaries
from simulations.evidence.inclusion import coins
from simulations.evidence.mechanism import Claim, Findings, audit_mechanism
from simulations.evidence.planted import QUICK, Mistake, mistakes
from simulations.evidence.power import power, streams
from simulations.evidence.shipped import Site
from tests.small_world import Silent

CLAIM = Claim(epsilon=8.0, delta=1e-5)
SIGMA = sigma_for(CLAIM.epsilon, CLAIM.delta)
WORDS = {
    "2x sensitivity": "at least epsilon",
    "per-picture clipping": "at least epsilon",
    "missing noise": "at least epsilon 1e+03",
    "reused seed": "the same noise",
    "shuffle for Poisson": "independent coins",
    "uncharged statistic": "no row of the ledger paid for",
}


def name_of(mistake: Mistake) -> str:
    return f"{mistake.name}, {mistake.kind}"


@pytest.fixture(scope="module")
def honest() -> Findings:
    return audit_mechanism(CLAIM, QUICK, streams(1))


def test_what_ships_passes_its_audit(honest: Findings) -> None:
    assert honest.failed == ()
    figures = honest.figures
    assert figures["canaries"] == 16 * 64
    assert 4 < figures["lower_bound"] <= figures["claimed_epsilon"] <= CLAIM.epsilon
    assert set(figures["mechanisms"]) == {"moments", "gradients", "secure_sums"}
    for name in ("one_run", "f_dp"):
        assert 0 <= figures[name]["lower_bound"] <= figures[name]["ceiling"]
    assert figures["ledger"] == {"messages": 12, "uncharged": 0}


def test_each_kind_of_release_separates_by_about_what_it_was_charged(honest: Findings) -> None:
    for one in honest.figures["mechanisms"].values():
        assert one["low"] < 1 / SIGMA < one["high"]


@pytest.mark.parametrize("mistake", mistakes(), ids=name_of)
def test_a_planted_mistake_is_flagged(mistake: Mistake) -> None:
    with mistake.planted():
        found = audit_mechanism(CLAIM, mistake.effort, streams(1, 9))
    assert any(WORDS[mistake.name] in failure for failure in found.failed), found.failed
    if mistake.kind != "sampled":
        after = audit_mechanism(CLAIM, mistake.effort, streams(1, 8))
        assert after.failed == ()  # what ships is as it was


def test_noise_of_half_the_width_refutes_the_claim() -> None:
    """As if a plan had been priced for twice the noise that is drawn."""
    half = Mistake(
        "half the noise",
        "moments",
        ((mechanisms, "private_sum", lambda real: lambda v, c, s, e: real(v, c, s / 2, e)),),
    )
    with half.planted():
        found = audit_mechanism(CLAIM, half.effort, streams(4))
    assert found.figures["lower_bound"] > CLAIM.epsilon
    assert found.failed


def test_canaries_are_in_by_a_fair_coin_and_alone_in_their_direction() -> None:
    people = Canaries(200, OsEntropy())
    for _ in range(20):
        people.of("r")
    assert coins(np.stack(people.inside), 0.5).least > 1e-6
    inside = np.array([True, False, True])
    bags = canary_people(inside).bags()
    assert [np.flatnonzero(bag.any(axis=0)).tolist() for bag in bags] == [[0], [2]]
    assert all(np.linalg.norm(bag, axis=1).min() > 10 for bag in bags)


def test_counts_without_noise_are_who_was_sampled() -> None:
    know_canaries()
    site = Site(canaries=64, sigma=1.0, delta=1e-5, entropies=streams(3))
    assert coins(site.counted(30, 0.3, 40), 0.3).least > 1e-4
    assert site.counted(5, 1.0, 2).all()


@pytest.mark.parametrize("kind", ["rate", "sizes", "people", "repeats"])
def test_coins_that_are_not_independent_are_told(kind: str) -> None:
    rng = np.random.default_rng(5)
    included = rng.random((200, 50)) < 0.25
    assert coins(included, 0.25).least > 1e-4
    if kind == "rate":
        included = rng.random((200, 50)) < 0.35
    if kind == "sizes":
        included = np.argsort(rng.random((200, 50)), axis=1) < 12
    if kind == "people":
        included = np.argsort(rng.random((200, 50)), axis=0) < 50
    if kind == "repeats":
        included = np.repeat(included[:100], 2, axis=0)
    assert getattr(coins(included, 0.25), kind) < 1e-6


def audit(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["audit", "mechanism", *map(str, arguments)])


def test_the_command_prints_a_section_that_gates_can_read(tmp_path: Path) -> None:
    done = audit("--canaries", 100, "--seed", 3, "--out", tmp_path / "evidence")
    assert done.exit_code == 0, done.output
    section = Section.from_json((tmp_path / "evidence" / "mechanism.json").read_text("utf-8"))
    assert section.failed == ()
    assert json.loads(done.stdout)["figures"] == section.figures
    bound = figure({"mechanism": section}, "mechanism.lower_bound")
    assert bound <= figure({"mechanism": section}, "mechanism.claimed_epsilon")
    assert "could have said" in done.stderr
    again = json.loads(audit("--canaries", 100, "--seed", 3).stdout)
    assert again["figures"] == section.figures


def test_a_mistake_in_what_ships_fails_the_section() -> None:
    with mistakes()[0].planted():
        done = audit("--canaries", 100, "--seed", 3)
    assert done.exit_code == 0
    assert "FAILED moments: at least epsilon" in done.stderr
    assert json.loads(done.stdout)["failed"]


@pytest.mark.parametrize(("option", "value"), [("--epsilon", 0), ("--delta", 0.5)])
def test_claims_that_cannot_be_meant_are_refused(option: str, value: float) -> None:
    done = audit(option, value)
    assert done.exit_code == 2
    assert option.strip("-") in done.stderr


def test_the_power_of_the_audit_is_a_table() -> None:
    done = audit("--power", 1)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["power"]
    assert [row["flagged"] for row in rows[1:]] == [1] * len(mistakes())
    assert rows[0]["mistake"] == "none"


@pytest.mark.slow
def test_the_bound_of_what_ships_is_near_its_claim_in_five_seconds() -> None:
    found = audit_mechanism(CLAIM, replace(QUICK, canaries=512, moments=12), OsEntropy)
    assert found.failed == ()
    assert found.figures["lower_bound"] >= 0.85 * found.figures["claimed_epsilon"]


@pytest.mark.slow
def test_the_audit_flags_every_mistake_and_hardly_ever_what_ships() -> None:
    honest, *planted = power(CLAIM, 200, Silent())
    assert honest.share <= 0.01
    assert all(one.share >= 0.99 for one in planted), planted
