import argparse
import json
from pathlib import Path

import click
import numpy as np
import pytest

from common.matching.set_file import read_set
from common.metrics.pairs import PairList
from common.metrics.verification import Floats
from common.models.tail import Tail
from common.models.trunk import Trunk, load_trunk
from simulations.benchmarks import backbones, equal_training, pooling
from simulations.benchmarks.backbones import Named
from simulations.benchmarks.equal_training import Judges
from simulations.benchmarks.quality import STARTER
from tests.small_pooling import squares


def test_a_name_may_carry_a_width() -> None:
    assert Named.of("resnet18@0.25") == Named("resnet18", 0.25)
    assert str(Named.of("resnet18@0.25")) == "resnet18@0.25"
    assert str(Named.of("tiny")) == "tiny"
    with pytest.raises(argparse.ArgumentTypeError, match="NAME@WIDTH"):
        Named.of("tiny@half")


def test_costs_are_measured_beside_a_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "MATRIX", 64)
    found = backbones.costs([Named("tiny"), Named("edge_attention", 0.1)], 2, 1)
    tiny, small = found["rows"]
    assert (tiny["name"], small["name"]) == ("tiny", "edge_attention@0.1")
    assert tiny["parameters"] == 327_936
    assert tiny["gmac"] == pytest.approx(0.033, abs=5e-4)
    assert small["gmac"] < 0.02
    assert all(row[key] > 0 for row in found["rows"] for key in ("ms_1", "ms_8", "share_of_peak"))


@pytest.mark.parametrize("arguments", [["--train", "3"], ["--faces", "faces.npz"]])
def test_what_makes_no_sense_alone_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        backbones.main(arguments)


def test_large_networks_are_not_trained_here(tmp_path: Path) -> None:
    arguments = ["--names", "--train", "3", "--keep", str(tmp_path), "--contenders", "resnet18"]
    with pytest.raises(click.UsageError, match=r"resnet18: at 0\.5 GMAC"):
        backbones.main(arguments)
    assert not list(tmp_path.iterdir())


def test_networks_are_trained_once_alike_and_judged_on_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(equal_training, "synthetic_faces", squares)
    training = ["--train", "2", "--keep", str(tmp_path), "--people", "12", "--pictures", "3"]
    judged = ["--unseen", "10", "--batch", "6", "--contenders", "tiny@0.3", "edge_attention@0.1"]
    backbones.main(["--names", *training, *judged])
    first = json.loads(capsys.readouterr().out)["training"]
    monkeypatch.setattr(equal_training, "pretrain", None)  # nothing is trained a second time
    backbones.main(["--names", *training, *judged])
    assert json.loads(capsys.readouterr().out)["training"] == first
    assert [row["name"] for row in first] == ["tiny@0.3", "edge_attention@0.1"]
    for row in first:
        low, high = row["ci@0.1"]
        assert 0 <= low <= row["tar@0.1"] <= high <= 1
        assert row["tar@0.001"] is None  # too few pairs to tell


def test_pairs_of_real_faces_are_judged_by_their_protocol(tmp_path: Path) -> None:
    class Seer:
        """Sees the mean colour of each square."""

        def features(self, crops: np.ndarray) -> Floats:
            return crops[:, ::16, ::16].reshape(len(crops), -1).astype(np.float32) - 128

    faces = squares(8, 2, 5)
    same = np.arange(8) * 2
    pairs = PairList(
        left=np.concatenate([same, same]),
        right=np.concatenate([same + 1, np.roll(same, 1)]),
        same=np.repeat([True, False], 8),
        fold=np.tile([1, 2], 8),
    )
    tail = Tail(np.eye(147, dtype=np.float32), np.zeros(147, np.float32))
    crops = faces.crops(range(16))
    judges = Judges(crops=crops, person=faces.person, faces=faces, pairs=pairs)
    told = judges.judge(Seer(), tail)  # type: ignore[arg-type]
    assert told["lfw_accuracy"] > 0.9  # a threshold of one fold decides in the other
    assert told["tar@0.1"] == 1.0


def test_the_bench_of_pooling_tells_every_way_and_keeps_its_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(equal_training, "synthetic_faces", squares)
    arguments = ["--trunk", str(STARTER)]
    arguments += ["--keep", str(tmp_path), "--people", "10", "--unseen", "12", "--pictures", "2"]
    written = tmp_path / "learnt"
    pooling.main([*arguments, "--steps", "3", "--deals", "1", "--size", "4", "--out", str(written)])
    trunk, _ = load_trunk(STARTER)
    assert read_set(written / "attention.pooling.safetensors").trunk == trunk.hash
    told = json.loads(capsys.readouterr().out)
    assert [row["way"] for row in told["rows"]] == 2 * [
        "mean", "quality", "attention", "recurrent",
    ]  # fmt: skip
    features = set(tmp_path.glob("*.npz"))
    monkeypatch.setattr(Trunk, "features", None)  # nobody is seen a second time
    pooling.main([*arguments, "--steps", "3", "--deals", "1", "--size", "4"])
    assert json.loads(capsys.readouterr().out) == told
    assert set(tmp_path.glob("*.npz")) == features
