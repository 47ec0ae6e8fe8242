"""The bench of measures enrols nobody by a picture that claims; others fix the thresholds."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.faces.store import save_pack
from common.metrics.verification import unit_rows
from common.synthetic.generate import synthetic_faces
from simulations.benchmarks import measures
from simulations.benchmarks.quality import STARTER


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
    pictures = measures.Pictures(
        embeddings=unit_rows(rows.astype(np.float32)), person=person, quality=rng.random(360)
    )
    deals = [measures.deal(person, 3, seed) for seed in range(3)]
    basis = rng.standard_normal((200, 32)).astype(np.float32)
    found = measures.table(pictures, basis, deals, [1e-2])
    assert [(row["distance"], row["pooling"]) for row in found] == [
        (one.distance, one.pooling) for one in measures.LIKENESSES
    ]
    assert all(0.002 < row["fmr"] < 0.05 and row["tar"] > 0.5 for row in found)
    of = {(row["distance"], row["pooling"]): row for row in found}
    assert of["cosine", "best"]["gain"] == of["euclid", "best"]["gain"] == 0.0
    assert of["cosine", "best"]["tar"] == of["euclid", "best"]["tar"]


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
    assert len(report["rows"]) == len(measures.LIKENESSES)
