"""The bench of measures enrols nobody by a picture that claims; others fix the thresholds."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from client.door.measures import Pictures
from common.faces.store import save_pack
from common.matching.distances import NAMES
from common.matching.set_weights import make_weights
from common.metrics.verification import unit_rows
from common.models.trunk import load_trunk
from common.synthetic.generate import synthetic_faces
from simulations.benchmarks import measures
from simulations.benchmarks.quality import STARTER
from tests.small_pooling import at_work, written


@given(seed=st.integers(0, 999), templates=st.integers(1, 4))
def test_a_picture_is_dealt_once_and_nobody_is_enrolled_in_both_halves(
    seed: int, templates: int
) -> None:
    person = np.random.default_rng(seed).integers(0, 15, 60)
    halves = measures.deal(person, templates, seed)
    dealt = np.concatenate([part for half in halves for part in (half.templates, half.claims)])
    assert sorted(dealt) == list(range(60))
    enrolled = [set(person[half.templates]) for half in halves]
    assert not enrolled[0] & enrolled[1]
    for half, people in zip(halves, enrolled, strict=True):
        assert people <= set(person[half.claims])
        assert (np.unique(person[half.templates], return_counts=True)[1] == templates).all()
    assert not set(person[halves[0].claims]) & set(person[halves[1].claims])


def test_every_distance_and_pooling_is_judged_at_the_rate_it_was_asked_for() -> None:
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(60), 6)
    rows = rng.standard_normal((60, 32))[person] + 0.8 * rng.standard_normal((360, 32))
    unit = unit_rows(rows.astype(np.float32))
    pictures = Pictures(features=unit, embeddings=unit, quality=rng.random(360))
    deals = [measures.deal(person, 3, seed) for seed in range(3)]
    basis = rng.standard_normal((200, 32)).astype(np.float32)
    learnt = at_work(make_weights("attention", 32))
    found = measures.table(measures.Shown(pictures, person), (basis, learnt), deals, [1e-2])
    assert [(row["distance"], row["pooling"]) for row in found] == [
        (one.distance, one.pooling) for one in measures.likenesses(learnt)
    ]
    assert all(0.002 < row["fmr"] < 0.05 and row["tar"] > 0.5 for row in found)
    of = {(row["distance"], row["pooling"]): row for row in found}
    assert of["cosine", "best"]["gain"] == of["euclid", "best"]["gain"] == 0.0
    assert of["cosine", "best"]["tar"] == of["euclid", "best"]["tar"]
    for distance in NAMES:  # before anything is learnt weights are those of quality
        row = of[distance, "learnt"]
        low, high = row["over_quality_ci"]
        assert low <= row["over_quality"] <= high and abs(row["over_quality"]) < 0.3
        assert row["tar"] == pytest.approx(of[distance, "quality"]["tar"], abs=3e-3)
    assert "over_quality" not in of["cosine", "quality"]


def test_weights_that_see_which_pictures_show_nobody_gain_over_quality() -> None:
    rng = np.random.default_rng(2)
    person, empty = np.repeat(np.arange(60), 6), np.tile([False, False, True], 120)
    who = rng.standard_normal((60, 31))[person] * ~empty[:, None]
    mark = np.where(empty, -3.0, 3.0)[:, None]
    features = np.hstack([mark, who + 0.6 * rng.standard_normal((360, 31))]).astype(np.float32)
    model = make_weights("attention", 32, 1)
    with torch.no_grad():
        model.seen.weight.zero_()
        model.seen.weight[0, 0] = 10  # reads the mark, and nothing else
        for name in ("question", "next.bias"):
            model.get_parameter(name).fill_(20.0)
    pictures = Pictures(features=features, embeddings=features[:, 1:])
    deals = [measures.deal(person, 3, seed) for seed in range(3)]
    basis = rng.standard_normal((200, 31)).astype(np.float32)
    given = basis, at_work(model)
    found = measures.table(measures.Shown(pictures, person), given, deals, [1e-2])
    (row,) = [r for r in found if (r["distance"], r["pooling"]) == ("cosine", "learnt")]
    assert 0 < row["over_quality_ci"][0] < row["over_quality"]


def test_it_runs_from_pictures_to_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = tmp_path / "faces.npz"
    save_pack(pack, synthetic_faces(12, 4, 5))
    places = ["--faces", str(pack), "--public", str(pack), "--trunk", str(STARTER)]
    sizes = ["--templates", "2", "--pictures", "4", "--repeats", "1", "--fmr", "0.2"]
    measures.main(places + sizes)
    report = json.loads(capsys.readouterr().out)
    assert (report["bench"], report["people"], report["enrolled"]) == ("measures", 12, 6)
    assert len(report["rows"]) == len(measures.likenesses())


def test_learnt_weights_are_judged_too_and_those_of_another_trunk_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = tmp_path / "faces.npz"
    save_pack(pack, synthetic_faces(14, 6, 5))
    trunk, _ = load_trunk(STARTER)
    kept = written(tmp_path / "x.pooling.safetensors", trunk.hash, trunk.feature_dim)
    places = ["--faces", str(pack), "--public", str(pack), "--trunk", str(STARTER)]
    sizes = ["--templates", "2", "--pictures", "6", "--repeats", "1", "--fmr", "0.2"]
    measures.main([*places, *sizes, "--weights", str(kept), "--spoilt", "0.3"])
    report = json.loads(capsys.readouterr().out)
    assert report["pictures"] < 14 * 6, "what a door would not enrol is left out"
    assert len(report["rows"]) == len(measures.likenesses()) + len(NAMES)
    written(kept, "cd" * 32, trunk.feature_dim)
    for wrong in (["--weights", str(kept)], ["--spoilt", "1.5"]):
        with pytest.raises(SystemExit):
            measures.main([*places, *sizes, *wrong])
