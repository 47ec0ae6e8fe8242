"""The summary says what the pieces say: means, paired gains, and nothing where nothing is known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import RunError
from simulations.pieces import Piece, PieceKey, Pieces, write_json
from simulations.results import Meta, summarise

META = Meta(scenario="fleet", entropy="seeded", delta=1e-4, extra={"statement": {"unit": "person"}})
SITES = ("a", "b")
DRAWS = 400

Arm = tuple[str, float | None]


def test_rates_are_means_over_folds_seeds_and_sites(tmp_path: Path) -> None:
    summary = summarise(filled(tmp_path, {("local", 0.0): 0.5, ("private", 8.0): 0.6}), META)
    local, private = summary["rows"]
    assert (local["name"], local["epsilon"]) == ("local", 0.0)
    assert (private["name"], private["epsilon"]) == ("private", 8.0)
    # Sites add 0 and .1, folds 0 and .02, seeds 0, .01 and .02: .05 + .01 + .01 in the mean.
    assert local["tar_at_far"] == {
        "1e-1": pytest.approx(0.77),
        "1e-2": pytest.approx(0.57),
        "1e-3": None,
    }
    assert private["per_site"]["b"]["tar_at_far"]["1e-2"] == pytest.approx(0.72)
    assert private["per_site"]["b"]["people"] == 2 * 41  # two folds of different people
    assert private["per_site"]["b"]["pairs"] == 2 * 901
    low, high = private["ci95"]["1e-2"]
    assert low < private["tar_at_far"]["1e-2"] < high
    assert private["ci95"]["1e-3"] is None


def test_summary_has_the_contract_keys_and_is_json(tmp_path: Path) -> None:
    arms = {("local", 0.0): 0.5, ("private", 8.0): 0.52, ("upper_bound", None): 0.6}
    summary = summarise(filled(tmp_path / "pieces", arms), META)
    assert summary["schema"] == 1
    assert (summary["scenario"], summary["seeds"], summary["folds"]) == ("fleet", 3, 2)
    assert (summary["entropy"], summary["delta"]) == ("seeded", 1e-4)
    assert summary["sites"] == {"a": "dark", "b": "grey"}
    assert summary["statement"] == {"unit": "person"}
    assert set(summary["rows"][0]) == {"name", "epsilon", "tar_at_far", "ci95", "per_site"}
    write_json(summary, tmp_path / "summary.json")
    assert json.loads((tmp_path / "summary.json").read_text("utf-8")) == summary


def test_gain_is_in_points_and_paired(tmp_path: Path) -> None:
    arms = {("local", 0.0): 0.5, ("private", 8.0): 0.525, ("private", 2.0): 0.51}
    summary = summarise(filled(tmp_path, arms), META)
    gain = summary["gain"]["private"]
    assert gain["8"]["value"] == pytest.approx(2.5)
    assert gain["2"]["value"] == pytest.approx(1.0)
    # The same resample moves both arms alike, so their difference is all but certain ...
    low, high = gain["8"]["ci95"]
    assert 2.5 - 0.1 < low < 2.5 < high < 2.5 + 0.1
    # ... while each arm alone is not.
    low, high = summary["rows"][1]["ci95"]["1e-2"]
    assert high - low > 0.02


def test_gain_follows_the_seeds_too(tmp_path: Path) -> None:
    def lucky(arm: Arm, fold: int, seed: int) -> float:
        return 0.02 * (seed - 1) if arm[0] == "private" else 0.0

    arms = {("local", 0.0): 0.5, ("private", 8.0): 0.525}
    gain = summarise(filled(tmp_path, arms, lucky), META)["gain"]["private"]["8"]
    half = 100 * 4.303 * 0.02 / np.sqrt(3)  # Student's t, 2 degrees of freedom
    assert gain["value"] == pytest.approx(2.5)
    assert gain["ci95"] == pytest.approx([2.5 - half, 2.5 + half], rel=0.1)


def test_gain_is_told_fold_by_fold_too(tmp_path: Path) -> None:
    def kind(arm: Arm, fold: int, seed: int) -> float:
        return 0.01 * fold if arm[0] == "private" else 0.0

    arms = {("local", 0.0): 0.5, ("private", 8.0): 0.5}
    summary = summarise(filled(tmp_path, arms, kind), META)
    by_fold = summary["gain_by_fold"]["private"]["8"]
    assert by_fold == pytest.approx({fold: int(fold) for fold in by_fold})
    whole = summary["gain"]["private"]["8"]["value"]
    assert np.mean(list(by_fold.values())) == pytest.approx(whole)


def test_share_is_gain_over_room(tmp_path: Path) -> None:
    arms = {
        ("local", 0.0): 0.5,
        ("private", 8.0): 0.52,
        ("private_secagg", 8.0): 0.535,
        ("nonprivate", None): 0.54,
        ("upper_bound", None): 0.55,
    }
    share = summarise(filled(tmp_path, arms), META)["gain_share"]
    assert set(share) == {"private", "private_secagg"}
    assert share["private"]["8"]["value"] == pytest.approx(0.4, abs=1e-6)
    low, high = share["private_secagg"]["8"]["ci95"]
    assert low < 0.7 < high


def test_share_of_a_room_that_may_be_nothing_is_null(tmp_path: Path) -> None:
    def noisy(arm: Arm, fold: int, seed: int) -> float:
        return 0.05 * (seed - 1) if arm[0] == "upper_bound" else 0.0

    arms = {("local", 0.0): 0.5, ("private", 8.0): 0.52, ("upper_bound", None): 0.55}
    summary = summarise(filled(tmp_path, arms, noisy), META)
    assert summary["gain_share"] == {"private": {"8": None}}
    assert summary["gain"]["private"]["8"]["value"] == pytest.approx(2)


def test_share_without_an_upper_bound_is_null(tmp_path: Path) -> None:
    summary = summarise(filled(tmp_path, {("local", 0.0): 0.5, ("private", 8.0): 0.6}), META)
    assert summary["gain_share"] == {"private": {"8": None}}


def test_spent_is_the_largest_any_fresh_ledger_reached(tmp_path: Path) -> None:
    arms = {("local", 0.0): 0.5, ("private", 8.0): 0.6, ("private", 0.5): 0.6}
    summary = summarise(filled(tmp_path, arms), META)
    # 0.9 of the budget plus 0.01 a seed, site b 0.005 more.
    assert summary["epsilon_spent"] == {
        "8": {"a": pytest.approx(7.22), "b": pytest.approx(7.225)},
        "0.5": {"a": pytest.approx(0.47), "b": pytest.approx(0.475)},
    }


def test_rows_stand_in_the_order_of_the_contract(tmp_path: Path) -> None:
    arms = [("upper_bound", None), ("own_idea", 4.0), ("private", 2.0), ("private", 8.0)]
    arms += [("public", 0.0), ("local", 0.0), ("base", 0.0)]
    summary = summarise(filled(tmp_path, dict.fromkeys(arms, 0.5)), META)
    assert [(row["name"], row["epsilon"]) for row in summary["rows"]] == [
        ("base", 0.0),
        ("public", 0.0),
        ("local", 0.0),
        ("private", 8.0),
        ("private", 2.0),
        ("upper_bound", None),
        ("own_idea", 4.0),
    ]


def test_unfinished_run_is_not_summarised(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nothing was measured"):
        summarise(Pieces(tmp_path), META)
    pieces = filled(tmp_path, {("local", 0.0): 0.5, ("private", 8.0): 0.6})
    (tmp_path / "fold2-seed1-private-8.npz").unlink()
    with pytest.raises(RunError, match="'private', epsilon 8, has no piece for fold 2, seed 1"):
        summarise(pieces, META)


def test_pieces_of_different_sites_are_not_compared(tmp_path: Path) -> None:
    pieces = filled(tmp_path, {("local", 0.0): 0.5, ("private", 8.0): 0.6})
    one = pieces.read(PieceKey(1, 0, "private", 8.0))
    pieces.write(PieceKey(1, 0, "private", 8.0), Piece(**one.__dict__ | {"sites": ("a", "c")}))
    with pytest.raises(RunError, match="differ in their sites"):
        summarise(pieces, META)


def test_site_without_an_estimate_is_left_out_of_the_mean(tmp_path: Path) -> None:
    pieces = filled(tmp_path, {("local", 0.0): 0.5, ("private", 8.0): 0.6})
    for key in pieces:
        one = pieces.read(key)
        one.tar[0, 1], one.draws[0, 1] = np.nan, np.nan
        pieces.write(key, one)
    summary = summarise(pieces, META)
    local = summary["rows"][0]
    assert local["per_site"]["a"]["tar_at_far"]["1e-2"] is None
    assert local["tar_at_far"]["1e-2"] == local["per_site"]["b"]["tar_at_far"]["1e-2"]
    assert summary["gain"]["private"]["8"]["value"] == pytest.approx(10)


def filled(
    folder: Path,
    arms: dict[Any, float],
    extra: Callable[[Arm, int, int], float] = lambda arm, fold, seed: 0.0,
) -> Pieces:
    """Pieces of 2 folds x 3 seeds with known TAR at FAR 1e-2; resamples move all arms alike."""
    pieces = Pieces(folder)
    for arm, tar in arms.items():
        for fold in (1, 2):
            moved = 0.02 * np.random.default_rng(fold).standard_normal(DRAWS)
            for seed in range(3):
                value = tar + extra(arm, fold, seed) + 0.02 * (fold - 1) + 0.01 * seed
                pieces.write(PieceKey(fold, seed, *arm), piece(value, moved, arm[1], seed))
    return pieces


def piece(value: float, moved: NDArray[np.float64], epsilon: float | None, seed: int) -> Piece:
    tar = np.array([[value + 0.2, value, np.nan], [value + 0.3, value + 0.1, np.nan]])
    spent = (0.9 * epsilon + 0.01 * seed, 0.9 * epsilon + 0.01 * seed + 0.005) if epsilon else None
    return Piece(
        sites=SITES,
        camera_types=("dark", "grey"),
        tar=tar,
        draws=tar[..., None] + moved,
        people=(40, 41),
        pairs=(900, 901),
        epsilon_spent=spent,
    )
