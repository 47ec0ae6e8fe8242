import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from common.faces.faceset import FaceSet
from common.synthetic.generate import synthetic_faces
from server.detecting.joint import (
    JointOptions,
    Material,
    _Training,
    allowed,
    heads_for,
    train_joint,
)
from server.detecting.material import make_collages
from server.detecting.options import DetectorOptions
from server.detecting.state import STATE

SMALL = DetectorOptions(people=2, places=1, side=64, batch=1, width=0.25)
TOY = JointOptions(
    tasks=("detection", "identity", "labels"), width=0.25, steps=3, batch=3, collages=SMALL
)


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return synthetic_faces(3, 2, seed=4)


@pytest.fixture(scope="module")
def material(faces: FaceSet, tmp_path_factory: pytest.TempPathFactory) -> Material:
    folder = tmp_path_factory.mktemp("people")
    return Material(faces, make_collages(SMALL, folder, lambda *_: None))


def test_what_is_forbidden_is_learned_by_nobody(faces: FaceSet) -> None:
    shown, names = allowed(faces)
    assert shown.shape == (6, len(names))
    assert "glasses" in names
    assert not {"light_skin", "medium_skin", "dark_skin", "headscarf"} & set(names)
    assert heads_for(faces)[0].names == names


def test_every_part_of_a_joint_network_learns(material: Material, tmp_path: Path) -> None:
    from common.detection.joint import build_joint

    network = train_joint(tmp_path, material, TOY)
    assert network is not None
    assert not network.training
    before = dict(build_joint(TOY.tasks, network.heads, TOY.seed, TOY.width).named_parameters())
    for name, parameter in network.named_parameters():
        assert torch.isfinite(parameter).all()
        assert not torch.equal(parameter, before[name]), name


def test_at_the_end_a_network_learns_as_it_will_be_run(material: Material) -> None:
    training = _Training(material, dataclasses.replace(TOY, steps=10))
    norms = [m for m in training.model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for step in range(1, 11):
        before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
        training.step(step)
        after = [norm.running_mean for norm in norms if norm.running_mean is not None]
        moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert any(moved) == (step <= 7), step


def test_a_joint_training_cut_off_goes_on(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.detecting.joint._EVERY", 1)
    whole = train_joint(tmp_path / "whole", material, TOY)
    assert train_joint(tmp_path / "parts", material, TOY, minutes=0) is None
    assert (tmp_path / "parts" / STATE).is_file()
    again = train_joint(tmp_path / "parts", material, TOY)
    assert whole is not None
    assert again is not None
    for name, array in whole.state_dict().items():
        assert np.array_equal(array.numpy(), again.state_dict()[name].numpy()), name


def test_a_network_for_faces_alone_looks_at_no_crops(material: Material, tmp_path: Path) -> None:
    blind = dataclasses.replace(material, faces=_without_pictures(material.faces))
    told = dataclasses.replace(TOY, tasks=("detection",))
    assert train_joint(tmp_path, blind, told) is not None


class _Nothing:
    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: object) -> np.ndarray:
        raise AssertionError("a crop was looked at")


def _without_pictures(faces: FaceSet) -> FaceSet:
    return dataclasses.replace(faces, source=_Nothing())  # type: ignore[arg-type]
