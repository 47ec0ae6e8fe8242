"""The laboratory through the whole protocol of secure sums: the same sums, the same figures."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.agent import mechanisms
from client.agent.people import SitePeople
from common.errors import CohortError
from common.models.tail import BIAS, WEIGHT
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT, GRADIENT, SHIFT, count_name, sum_name
from common.privacy.plan import GradientMechanism, MomentMechanism, PrivacyPlan
from common.secagg.terms import terms_of
from server import phases
from server.strategies.choice import StrategyChoice
from simulations.entropy import SeededEntropy
from simulations.federation import Door, Federation, Outcome
from simulations.runner import Run
from tests.small_world import TURN, Silent, small_scenario, small_world

TRUNK, DIM, SIDE, SITES, PEOPLE = "t" * 64, 6, 4, 4, 5
rng = np.random.default_rng(0)
INITIAL: dict[str, np.ndarray] = {
    WEIGHT: rng.standard_normal((SIDE, DIM)).astype(np.float32),
    BIAS: np.zeros(SIDE, np.float32),
    FRAME_WEIGHT: np.eye(SIDE, DIM, dtype=np.float32),
    FRAME_BIAS: np.zeros(SIDE, np.float32),
}
NAMES = tuple(f"site-{number}" for number in range(SITES))


def people(number: int) -> SitePeople:
    features = np.random.default_rng(number).standard_normal((3 * PEOPLE, DIM))
    return SitePeople(features.astype(np.float32), np.repeat(np.arange(PEOPLE), 3))


def federation(**how: Any) -> Federation:
    doors = [
        Door(name=name, camera_type="door", people=people(number), declared_people=PEOPLE)
        for number, name in enumerate(NAMES)
    ]
    negatives = np.random.default_rng(9).standard_normal((8, DIM)).astype(np.float32)
    return Federation(**{"doors": doors, "trunk": TRUNK, "negatives": negatives, **how})


def plan(sigma: float = 1e-4, **changes: Any) -> PrivacyPlan:
    """With hardly any noise, so that what two ways of summing give can be laid side by side."""
    told: dict[str, Any] = {
        "mechanisms": (
            MomentMechanism(kind="mean", name="mean", sigma=sigma, clip=1.2),
            MomentMechanism(kind="scatter", name="scatter", sigma=sigma, clip=0.5),
            GradientMechanism(sigma=sigma, clip=0.7, rate=1.0, rounds=2, negatives=8),
        ),
        "people": PEOPLE,
        "delta": 1e-4,
        "noise": "distributed",
        "honest_sites": SITES,
        "cohort": SITES,
        "trunk": TRUNK,
    }
    return PrivacyPlan(**{**told, **changes})


def run(folder: Path, plan: PrivacyPlan, seed: int = 1, **how: Any) -> Outcome:
    return federation(**how).run(plan, dict(INITIAL), folder, (seed, 0))


def test_the_whole_protocol_gives_what_adding_up_gives(tmp_path: Path) -> None:
    plain, secure = (run(tmp_path / str(s), plan(), secure=s).pools["door"] for s in (False, True))
    assert set(plain) == set(secure)
    for name, array in plain.items():
        # Means of 20 people each clipped to about 1, noise of 1e-4: far apart is 1e-2.
        np.testing.assert_allclose(secure[name], array, atol=2e-3, err_msg=name)
    np.testing.assert_array_equal(secure[count_name("mean")], [SITES * PEOPLE, SITES])
    assert not np.array_equal(secure[sum_name("mean")], plain[sum_name("mean")])  # it did run


def test_the_sum_is_exactly_that_of_what_the_sites_put_in(tmp_path: Path) -> None:
    asked = plan(sigma=2.0)
    pool = run(tmp_path, asked, seed=5, secure=True).pools["door"]
    current = asked.rounds[0]
    terms = terms_of(asked, current.mechanism, NAMES, SIDE)
    frame = {name: INITIAL[name] for name in (FRAME_WEIGHT, FRAME_BIAS)}
    parts = [
        mechanisms.steps(
            current,
            frame,
            people(number),
            np.zeros((1, DIM), np.float32),
            mechanisms.SumTerms(terms.grid, SeededEntropy(5, 0, number)),
        )
        for number in range(SITES)
    ]
    total = terms.grid.decode(np.sum(parts, axis=0))
    np.testing.assert_array_equal(pool[sum_name("mean")], total.astype(np.float32))


def test_a_repeated_run_has_the_same_bytes_though_its_masks_are_new(tmp_path: Path) -> None:
    one, again = (run(tmp_path / n, plan(2.0), secure=True).pools["door"] for n in ("a", "b"))
    for name, array in one.items():
        assert array.tobytes() == again[name].tobytes()


def test_every_site_pays_what_the_plan_costs_and_no_array_leaves_it(tmp_path: Path) -> None:
    secure, plain = (run(tmp_path / str(s), plan(2.0), secure=s) for s in (True, False))
    assert secure.spent == plain.spent
    assert plain.left
    assert secure.left == []
    assert min(secure.uploaded.values()) > 0


@pytest.mark.parametrize("name", ["fedadam", "fedyogi"])
def test_an_optimiser_moves_the_tail_by_secure_sums_too(tmp_path: Path, name: str) -> None:
    how = {"strategy": StrategyChoice(name=name)}  # type: ignore[arg-type]
    plain, secure = (
        run(tmp_path / str(s), plan(), secure=s, **how).pools["door"] for s in (False, True)
    )
    assert set(plain) == set(secure)
    np.testing.assert_allclose(secure[WEIGHT], plain[WEIGHT], atol=2e-3)
    assert np.abs(secure[WEIGHT] - INITIAL[WEIGHT]).max() > 1e-4


def test_noise_of_a_secure_sum_is_that_of_the_plan(tmp_path: Path) -> None:
    mean = MomentMechanism(kind="mean", name="mean", sigma=2.0, clip=1.2)
    asked = plan(mechanisms=(mean,))
    exact = run(tmp_path / "exact", plan(mechanisms=(dataclasses.replace(mean, sigma=1e-4),)))
    made = np.concatenate(
        [
            run(tmp_path / str(s), asked, seed=s, secure=True).pools["door"][sum_name("mean")]
            - exact.pools["door"][sum_name("mean")]
            for s in range(12)
        ]
    )
    expected = (mean.sigma * mean.clip) ** 2
    assert made.var() == pytest.approx(expected, rel=4 * np.sqrt(2 / made.size))
    assert abs(made.mean()) < 4 * np.sqrt(expected / made.size)


def test_a_gradient_is_summed_from_the_same_coordinates_that_it_is_taken_apart_into() -> None:
    steps = GradientMechanism(sigma=1e-4, clip=0.7, rate=1.0, rounds=1, negatives=8)
    asked = plan(mechanisms=(steps,), honest_sites=1, cohort=3)
    current, shared = asked.rounds[0], {**INITIAL, SHIFT: np.zeros(DIM, np.float32)}
    negatives = np.random.default_rng(9).standard_normal((8, DIM)).astype(np.float32)
    size = phases.size(current, INITIAL)
    grid = terms_of(asked, steps, NAMES, size).grid
    how = mechanisms.SumTerms(grid, SeededEntropy(1))
    whole = grid.decode(mechanisms.steps(current, shared, people(0), negatives, how))
    terms = phases.SumTerms(sites=1, people=PEOPLE)
    found = phases.averaged(current, INITIAL, whole, terms)
    plain = mechanisms.release(
        current, shared, people(0), negatives, mechanisms.Terms(1e-4, SeededEntropy(1), PEOPLE)
    )
    for name in (WEIGHT, BIAS):
        np.testing.assert_allclose(found[GRADIENT + name], plain[GRADIENT + name], atol=1e-3)
    assert np.abs(found[GRADIENT + WEIGHT]).max() > 1e-2


def test_two_sites_are_no_secure_sum(tmp_path: Path) -> None:
    two = plan(honest_sites=2, cohort=2)
    with pytest.raises(CohortError, match="a secure sum under this plan needs 3"):
        run(tmp_path, two, secure=True, doors=federation().doors[:2])


def test_attempts_are_counted_on_the_disk(tmp_path: Path) -> None:
    run(tmp_path, plan(), secure=True)
    counted = json.loads((tmp_path / "attempts.json").read_text("utf-8"))
    assert counted == {str(number): 1 for number in range(1, 5)}


def test_the_figure_of_shared_noise_is_the_same_through_the_whole_protocol(tmp_path: Path) -> None:
    material, rows = small_world(people=90, cameras=1), []
    for secure in (False, True):
        scenario = small_scenario(sites=5, upper_bound=False, panel=0, secure_sums=secure)
        measured = Run(
            scenario=scenario,
            material=material,
            turns=[TURN],
            folder=tmp_path / str(secure),
            progress=Silent(),
        ).everything()
        [row] = (r for r in measured.summary["rows"] if r["name"] == "private_secagg")
        rows.append(row)
    plain, secure_ = rows
    assert plain["per_site"] != secure_["per_site"]  # other draws of the same noise
    for one, other in ((plain, secure_), (secure_, plain)):
        for far in ("1e-1", "1e-2"):
            low, high = other["ci95"][far]
            assert low <= one["tar_at_far"][far] <= high
