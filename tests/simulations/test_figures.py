"""Figures of an embedder whose worth is known before it is measured."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import ScenarioError
from common.metrics.pairs import PairList
from simulations.figures import Asked, Embedded, figures_of, pair_figures, rate_key


def embedded(people: int, spread: float, seed: int = 0, pictures: int = 4) -> Embedded:
    """Directions of ``people``, at right angles; every picture strays by ``spread``."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), pictures)
    made = np.eye(64)[person % 64] + spread * rng.standard_normal((len(person), 64))
    return Embedded(made.astype(np.float32), person + 100 * seed)


def test_perfect_embedder_is_perfect_everywhere() -> None:
    found = figures_of(embedded(40, 0.01), embedded(40, 0.01, seed=1), Asked(fmr=1e-2))
    assert found["verification"]["eer"] == 0
    assert found["verification"]["area_under_roc"] == 1
    assert found["verification"]["tar_at_far"]["1e-2"] == {"value": 1.0, "ci95": [1.0, 1.0]}
    assert found["identification"]["rank"]["1"] == {"value": 1.0, "ci95": [1.0, 1.0]}
    assert found["identification"]["fnir_at_fpir"]["1e-1"] is None  # 80 strangers' searches
    assert found["clustering"]["clusters"] == found["clustering"]["people"] == 40
    assert found["clustering"]["bcubed_f1"] == found["clustering"]["mutual_information"] == 1
    assert found["classification"]["recall"] == 1
    assert found["classification"]["people_of_threshold"] == 40
    json.dumps(found, allow_nan=False)


def test_blind_embedder_is_no_better_than_chance() -> None:
    found = figures_of(embedded(60, 30.0), embedded(60, 30.0, seed=1), Asked(fmr=1e-1))
    assert found["verification"]["area_under_roc"] == pytest.approx(0.5, abs=0.1)
    assert found["classification"]["balanced_accuracy"] == pytest.approx(0.5, abs=0.05)
    assert found["identification"]["rank"]["1"]["value"] < 0.15
    assert found["identification"]["fnir_at_fpir"]["1e-1"] > 0.8


def test_intervals_hold_the_estimate_and_narrow_with_people() -> None:
    few = figures_of(embedded(16, 0.3), embedded(16, 0.3, seed=1), Asked())
    many = figures_of(embedded(64, 0.3), embedded(16, 0.3, seed=1), Asked())
    widths = []
    for found in (few, many):
        tar = found["verification"]["tar_at_far"]["1e-1"]
        low, high = tar["ci95"]
        assert low <= tar["value"] <= high
        widths.append(high - low)
    assert widths[1] < widths[0]


def test_threshold_comes_from_the_others_alone() -> None:
    tested = embedded(30, 0.1)
    strict = figures_of(tested, embedded(30, 0.1, seed=1), Asked(fmr=1e-2))
    looser = figures_of(tested, embedded(30, 0.3, seed=1), Asked(fmr=1e-2))
    assert strict["verification"] == looser["verification"]
    assert looser["classification"]["threshold"] > strict["classification"]["threshold"]
    assert looser["classification"]["recall"] <= strict["classification"]["recall"]


def test_nobody_to_fix_a_threshold_leaves_what_needs_one_untold() -> None:
    nobody = Embedded(np.empty((0, 64), np.float32), np.empty(0, np.int64))
    found = figures_of(embedded(20, 0.1), nobody, Asked())
    assert found["clustering"] is None
    assert found["classification"]["threshold"] is None
    assert found["classification"]["f1"] is None
    assert found["verification"]["eer"] == 0


def test_same_seed_gives_the_same_figures_and_another_other_roles() -> None:
    tested, others = embedded(30, 0.4), embedded(30, 0.4, seed=1)
    once, again, other = (figures_of(tested, others, Asked(seed=s)) for s in (0, 0, 1))
    assert once == again
    assert once["identification"]["cmc"] != other["identification"]["cmc"]


@pytest.mark.parametrize("person", [[0, 1, 2], [0, 0, 0]])
def test_people_who_make_no_pairs_are_told(person: list[int]) -> None:
    few = Embedded(np.ones((3, 4), np.float32), np.array(person))
    with pytest.raises(ScenarioError, match="two people, one of them with two pictures"):
        figures_of(few, few, Asked())


@pytest.mark.parametrize("wrong", [{"fmr": 0.0}, {"fmr": float("nan")}, {"seed": -1}])
def test_impossible_questions_are_told(wrong: dict[str, float]) -> None:
    with pytest.raises(ScenarioError, match=next(iter(wrong))):
        Asked(**wrong)  # type: ignore[arg-type]


def test_given_pairs_are_judged_fold_by_fold() -> None:
    made = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], np.float32)
    every: NDArray[np.int64] = np.arange(4)
    pairs = PairList(
        left=np.tile(every[:2], 2),
        right=np.array([1, 2, 1, 3]),
        same=np.array([True, False, False, False]),
        fold=np.array([1, 1, 2, 2]),
    )
    found = pair_figures(made, pairs)
    assert (found["pairs"], found["folds"]) == (4, 2)
    assert found["accuracy"] == np.mean(found["by_fold"])


def test_rates_are_written_as_people_write_them() -> None:
    assert [rate_key(r) for r in (0.1, 1e-3, 1e-5, 2e-2)] == ["1e-1", "1e-3", "1e-5", "2e-2"]
