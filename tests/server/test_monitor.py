"""The figure that early stopping looks at comes from public people only, and they must be whole."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from common.errors import ModelError, RunError
from common.models.tail import Tail
from common.moments.reference import Reference, make_reference
from server.monitor import PUBLIC, PublicMonitor, find_monitor, save_public
from tests.small_world import small_world

ARRAYS = {"tail.weight": np.eye(4, dtype=np.float32), "tail.bias": np.zeros(4, np.float32)}


@pytest.fixture(scope="module")
def known() -> Reference:
    world = small_world(12)
    return make_reference(world.tail, world.public)


def people(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(count), 3)
    centre = rng.standard_normal((count, 4))
    return (centre[person] + 0.2 * rng.standard_normal((len(person), 4))).astype("f4"), person


def test_score_is_higher_for_the_tail_that_tells_people_apart() -> None:
    monitor = PublicMonitor(*people())
    blind = {**ARRAYS, "tail.weight": np.eye(1, 4, dtype=np.float32).repeat(4, axis=0)}
    assert 0 <= monitor.score(blind) < monitor.score(ARRAYS) <= 1


def test_too_few_people_to_say_score_nothing() -> None:
    assert PublicMonitor(*people(3)).score(ARRAYS) == 0


def test_tail_of_other_features_is_refused() -> None:
    with pytest.raises(ModelError):
        PublicMonitor(*people()).score({**ARRAYS, "tail.weight": np.eye(4, 5, dtype=np.float32)})


def test_charter_without_public_people_has_no_monitor(tmp_path: Path) -> None:
    assert find_monitor(tmp_path) is None


def test_monitor_is_found_beside_the_charter(tmp_path: Path) -> None:
    features, person = people()
    save_file({"features": features, "person": person}, tmp_path / PUBLIC)
    monitor = find_monitor(tmp_path)
    assert monitor is not None
    assert monitor.score(ARRAYS) == PublicMonitor(features, person).score(ARRAYS)


def test_public_statistics_are_found_with_the_people(tmp_path: Path, known: Reference) -> None:
    save_public(tmp_path, *people(), known)
    monitor = find_monitor(tmp_path)
    assert monitor is not None
    assert monitor.reference is not None
    assert monitor.reference.frame.hash == known.frame.hash
    arrays = dict(load_file(tmp_path / PUBLIC))
    save_file({**arrays, "reference.numbers": np.zeros(1)}, tmp_path / PUBLIC)
    with pytest.raises(RunError, match=PUBLIC):
        find_monitor(tmp_path)


def test_thresholds_let_so_many_public_pairs_pass_and_no_more() -> None:
    features, person = people(60)
    monitor = PublicMonitor(features, person)
    found = monitor.thresholds(Tail(ARRAYS["tail.weight"], ARRAYS["tail.bias"]))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    strangers = (unit @ unit.T)[person[:, None] < person]
    assert monitor.rates == (1e-2, 1e-3)
    for rate, threshold in zip(monitor.rates, found, strict=True):
        assert 0.9 * rate < (strangers >= threshold).mean() <= 1.01 * rate


@pytest.mark.parametrize("how", ["garbage", "no person", "lengths", "labels", "flat"])
def test_broken_public_people_are_refused_by_name(tmp_path: Path, how: str) -> None:
    features, person = people()
    arrays: dict[str, np.ndarray] = {
        "no person": {"features": features},
        "lengths": {"features": features, "person": person[:-1]},
        "labels": {"features": features, "person": person.astype("f4")},
        "flat": {"features": features.ravel(), "person": person},
        "garbage": {"features": features},
    }[how]
    save_file(arrays, tmp_path / PUBLIC)
    if how == "garbage":
        (tmp_path / PUBLIC).write_bytes(b"garbage")
    with pytest.raises(RunError, match=PUBLIC):
        find_monitor(tmp_path)
