"""One federated run in this process: what it spends, what leaves, and how much noise is in it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.agent.people import SitePeople
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT, count_name, sum_name
from common.privacy.accountant import epsilon
from common.privacy.calibrate import split_budget
from common.privacy.plan import MomentMechanism, NoiseModel, PrivacyPlan
from server.charter import CHARTER
from simulations.federation import Door, Federation, Outcome

TRUNK, DIM, SIDE, SITES = "t" * 64, 8, 6, 3
CLIPS = {"mean": 1.2, "scatter": 0.5}
INITIAL = {
    "tail.weight": np.eye(SIDE, DIM, dtype=np.float32),
    "tail.bias": np.zeros(SIDE, np.float32),
    FRAME_WEIGHT: np.eye(SIDE, DIM, dtype=np.float32),
    FRAME_BIAS: np.zeros(SIDE, np.float32),
}


def doors(types: str = "aaa", people: int = 4) -> list[Door]:
    made = []
    for number, kind in enumerate(types):
        rng = np.random.default_rng(number)
        features = rng.standard_normal((3 * people, DIM)).astype(np.float32)
        person = np.repeat(np.arange(people), 3)
        made.append(
            Door(
                name=f"site-{number}",
                camera_type=kind,
                people=SitePeople(features, person),
                declared_people=people,
            )
        )
    return made


def plan(noise: NoiseModel, budget: float = 8.0) -> PrivacyPlan:
    sigmas = (0.0, 0.0) if noise == "none" else split_budget(budget, 1e-4, (1, 1))
    return PrivacyPlan(
        mechanisms=tuple(
            MomentMechanism(kind=kind, name=kind, sigma=sigma, clip=CLIPS[kind])  # type: ignore[arg-type]
            for kind, sigma in zip(("mean", "scatter"), sigmas, strict=True)
        ),
        people=4,
        delta=1e-4,
        noise=noise,
        honest_sites=SITES if noise == "distributed" else 1,
        trunk=TRUNK,
        cohort=SITES,
    )


def run(folder: Path, plan: PrivacyPlan, *seed: int, **how: Any) -> Outcome:
    federation = Federation(
        doors=how.pop("doors", doors()),
        trunk=TRUNK,
        negatives=np.zeros((2, DIM), np.float32),
        **how,
    )
    return federation.run(plan, dict(INITIAL), folder, seed or (0, 0))


def test_sites_spend_what_the_plan_costs(tmp_path: Path) -> None:
    for noise in ("local", "distributed"):
        offered = plan(noise)
        spent = run(tmp_path / noise, offered).spent
        assert set(spent) == {"site-0", "site-1", "site-2"}
        for value in spent.values():
            assert value == pytest.approx(epsilon(offered.events(), 1e-4), abs=1e-9)
            assert 7.95 < value <= 8.0


def test_without_noise_the_pool_is_the_clipped_sum_and_nothing_is_promised(tmp_path: Path) -> None:
    outcome = run(tmp_path, plan("none"))
    means = [bag.mean(axis=0)[:SIDE] for door in doors() for bag in door.people.bags()]
    clipped = [m * min(1.0, CLIPS["mean"] / np.linalg.norm(m)) for m in means]
    released = outcome.pools["a"][sum_name("mean")]
    np.testing.assert_allclose(released, np.sum(clipped, axis=0), atol=1e-4)
    np.testing.assert_array_equal(outcome.pools["a"][count_name("mean")], [12, 3])
    assert set(outcome.spent.values()) == {float("inf")}


@pytest.mark.parametrize(("noise", "shares"), [("distributed", 1), ("local", SITES)])
def test_noise_in_the_sum_is_that_of_the_plan_or_one_for_every_site(
    tmp_path: Path, noise: NoiseModel, shares: int
) -> None:
    offered, exact = plan(noise), run(tmp_path / "exact", plan("none")).pools["a"]
    drawn: dict[str, list[np.ndarray]] = {"mean": [], "scatter": []}
    for seed in range(40):
        pool = run(tmp_path / str(seed), offered, seed, 1).pools["a"]
        for name, found in drawn.items():
            found.append(pool[sum_name(name)] - exact[sum_name(name)])
    for mechanism in offered.mechanisms:
        made = np.stack(drawn[mechanism.name])
        deviation = mechanism.sigma * mechanism.clip
        expected = shares * deviation**2
        assert made.var() == pytest.approx(expected, rel=4 * np.sqrt(2 / made.size))
        assert abs(made.mean()) < 4 * np.sqrt(expected / made.size)


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    one, again, other = (
        run(tmp_path / name, plan("local"), seed, 0).pools["a"]
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    )
    for name, array in one.items():
        assert array.tobytes() == again[name].tobytes()
    assert one[sum_name("mean")].tobytes() != other[sum_name("mean")].tobytes()


def test_sites_draw_different_noise(tmp_path: Path) -> None:
    same = doors("abc")
    for number in (1, 2):
        same[number] = replace(same[0], name=f"site-{number}", camera_type="abc"[number])
    outcome = run(tmp_path, plan("local"), doors=same)
    sums = {outcome.pools[pool][sum_name("mean")].tobytes() for pool in "abc"}
    assert len(sums) == 3


def test_os_entropy_is_never_the_same(tmp_path: Path) -> None:
    one = run(tmp_path / "one", plan("local"), 1, 1, entropy="os")
    other = run(tmp_path / "other", plan("local"), 1, 1, entropy="os")
    assert (one.entropy, run(tmp_path / "seeded", plan("local")).entropy) == ("os", "seeded")
    name = sum_name("mean")
    assert one.pools["a"][name].tobytes() != other.pools["a"][name].tobytes()


def test_only_the_planned_sums_leave_and_their_bytes_are_counted(tmp_path: Path) -> None:
    outcome = run(tmp_path, plan("local"))
    side = SIDE * (SIDE + 1) // 2
    for number in range(SITES):
        left = [(name, shape) for door, name, shape in outcome.left if door == f"site-{number}"]
        assert left == [(sum_name("mean"), (SIDE,)), (sum_name("scatter"), (side,))]
    assert set(outcome.uploaded) == set(outcome.downloaded) == {f"site-{n}" for n in range(SITES)}
    assert all(4 * (SIDE + side) <= n < 4096 for n in outcome.uploaded.values())


def test_sites_are_pooled_by_camera_type(tmp_path: Path) -> None:
    outcome = run(tmp_path, plan("none"), doors=doors("aba"))
    assert {p: a[count_name("mean")].tolist() for p, a in outcome.pools.items()} == {
        "a": [8, 2],
        "b": [4, 1],
    }


def test_folder_holds_charter_and_ledgers_and_no_feature(tmp_path: Path) -> None:
    run(tmp_path, plan("local"))
    names = {path.name for path in tmp_path.iterdir()}
    assert {CHARTER, "site-0.db", "site-1.db", "site-2.db"} <= names
    table = json.loads((tmp_path / CHARTER).read_text("utf-8"))
    assert json.loads(table["content"])["plan"]["noise"] == "local"
    feature = doors()[0].people.bag(0)[0].tobytes()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert feature not in path.read_bytes()
