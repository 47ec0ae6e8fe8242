"""The bench of heads runs small, on made-up features: what is measured is the measuring."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from common.errors import DataSetError
from common.faces.pictures import encode
from common.faces.store import save_pack
from common.heads.head import PictureLabels
from common.heads.joint import HeadTraining
from common.models.cache import FeatureCache
from common.models.trunk import load_trunk
from server.heads import Pupils
from simulations.benchmarks import heads
from simulations.benchmarks.heads_fitting import Budget, dealt, probed, regressed
from simulations.benchmarks.heads_material import Lab, Sample, ages_of
from simulations.benchmarks.heads_shares import compared
from simulations.benchmarks.quality import STARTER
from tests.small_heads import labelled_faces
from tests.small_world import Silent

PEOPLE, PICTURES, DIM = 50, 3, 6
QUICK = HeadTraining(learning_rate=0.2, steps=60, decays=(1e-3,), patience=60)


def sample(ranges: bool) -> Sample:
    """People whose features tell one attribute, a gender and an age, and nothing of a second."""
    rng = np.random.default_rng(3)
    person = np.repeat(np.arange(PEOPLE), PICTURES)
    own = rng.standard_normal((PEOPLE, DIM))[person]
    features = (own + 0.2 * rng.standard_normal(own.shape)).astype(np.float32)
    blind = rng.random(len(person)) < 0.5
    truth = np.stack([own[:, 0] > 0, blind], axis=1).astype(np.int8)
    years = np.clip(45 + 12 * own[:, 1], 21, 69)
    spans = np.stack([years // 10 * 10, years // 10 * 10 + 10], axis=1)
    pupils = Pupils(
        trunk="a" * 64,
        features=features,
        person=person,
        names=("hat", "glasses"),
        labels=PictureLabels(
            attributes=torch.from_numpy(truth),
            age=torch.from_numpy((spans if ranges else years).astype(np.float32)),
            gender=torch.from_numpy((own[:, 2] > 0).astype(np.int8)),
        ),
    )
    return Sample(pupils=pupils, refused={"race": 1}, unknown=2)


@pytest.fixture(scope="module")
def report() -> heads.Figures:
    return heads.measured(sample(ranges=True), 2, Budget(epsilon=1e4, steps=20), QUICK)


def test_what_features_tell_is_told_of_people_who_taught_nothing(report: heads.Figures) -> None:
    told = report["attributes"]
    for contender in ("heads", "probe"):
        assert told[contender]["each"]["hat"]["auc"] > 0.8
        assert told[contender]["each"]["glasses"]["auc"] < 0.65
        low, high = told[contender]["balanced_accuracy"]["ci95"]
        assert low < told[contender]["balanced_accuracy"]["value"] < high
    low, high = told["heads_over_probe"]["ci95"]
    assert low <= told["heads_over_probe"]["value"] <= high
    assert 0 <= told["heads"]["calibration_error"] < 0.25
    assert report["gender"]["heads"]["auc"]["value"] > 0.85
    assert (report["people"], report["pictures"]) == (PEOPLE, PEOPLE * PICTURES)
    assert report["columns_refused"] == {"race": 1}


def test_ages_beat_the_median_and_know_their_range(report: heads.Figures) -> None:
    told = report["age"]
    always = told["majority"]["mean_absolute_error"]["value"]
    for contender in ("heads", "ridge"):
        assert told[contender]["mean_absolute_error"]["value"] < 0.8 * always
        assert told[contender]["within_one_range"] > told[contender]["same_range"] > 0.3
    assert 0.5 < told["heads"]["within_range"] <= 1


def test_private_heads_learn_from_the_same_people_by_private_steps(report: heads.Figures) -> None:
    assert report["epsilon"] == 1e4
    assert report["gender"]["private"]["auc"]["value"] > 0.7
    noisy = heads.measured(sample(ranges=False), 2, Budget(epsilon=0.01, steps=2), QUICK)
    assert noisy["gender"]["private"]["auc"]["value"] < noisy["gender"]["heads"]["auc"]["value"]
    assert "same_range" not in noisy["age"]["heads"]


def test_nobody_is_in_two_parts_and_parts_are_even() -> None:
    person = np.repeat(np.arange(11), 3)
    part = dealt(person, 4, 0)
    assert all(len(set(part[person == one])) == 1 for one in range(11))
    assert sorted(np.bincount(part)) == [6, 9, 9, 9]


def test_a_probe_is_never_asked_about_who_taught_it() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((60, 40)).astype(np.float32)
    truth = rng.integers(0, 2, (60, 1)).astype(np.int8)
    part = np.arange(60) % 3
    right = ((probed(features, truth, part) > 0) == (truth == 1)).mean()
    assert right < 0.75
    years = 50 * truth[:, 0].astype(np.float64)
    off = np.abs(regressed(features, years, part) - years)
    assert off.mean() > 15


def test_contenders_who_say_the_same_do_not_differ() -> None:
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((40, 2))
    truth, person = rng.integers(0, 2, (40, 2)).astype(np.int8), np.arange(40) // 2
    told = compared(("a", "b"), {"x": scores, "y": scores.copy()}, truth, person)
    assert told["x_over_y"] == {"value": 0.0, "ci95": [0.0, 0.0]}
    assert told["majority"]["accuracy"] >= 0.5


def ages_pack(path: Path, ages: list[str]) -> Path:
    """Grey pictures of 64 pixels with a white spot where an average left eye is."""
    picture = np.full((64, 64, 3), 80, np.uint8)
    cv2.circle(picture, (22, 19), 3, (255, 255, 255), -1)
    data = [encode(picture)] * len(ages)
    np.savez(
        path,
        jpeg=np.frombuffer(b"".join(data), np.uint8),
        offsets=np.cumsum([0, *map(len, data)]),
        age=np.array(ages),
        gender=np.array(["Female", "Male"] * len(ages))[: len(ages)],
    )
    return path


def test_small_pictures_are_placed_as_a_trunk_expects_them(tmp_path: Path) -> None:
    trunk, _ = load_trunk(STARTER)
    seen = []

    class Watching(FeatureCache):
        def features(self, trunk, crops, key, progress=None):  # type: ignore[no-untyped-def]
            seen.extend(crops)
            return np.zeros((len(seen), trunk.feature_dim), np.float32)

    lab = Lab(trunk=trunk, cache=Watching(tmp_path / "cache"), progress=Silent())
    found = ages_of(ages_pack(tmp_path / "ages.npz", ["20-29", "70+"]), lab).pupils
    assert found.labels.age is not None and found.labels.age.tolist() == [[20, 30], [70, 80]]
    assert found.labels.gender is not None and found.labels.gender.tolist() == [1, 0]
    row, column = np.unravel_index(seen[0][:, :, 0].argmax(), (112, 112))
    assert abs(row - 51.7) < 6 and abs(column - 38.3) < 6
    with pytest.raises(DataSetError, match="ranges"):
        ages_of(ages_pack(tmp_path / "bad.npz", ["old"]), lab)


def test_the_command_measures_labelled_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_pack(tmp_path / "p.npz", labelled_faces(people=40, pictures=1))
    heads.main(["--faces", str(tmp_path / "p.npz"), "--parts", "2"])
    told = json.loads(capsys.readouterr().out)
    assert told["bench"] == "heads" and told["people"]["people"] == 40
    assert set(told["people"]["attributes"]["shown"]) == {"glasses", "beard", "hat"}
