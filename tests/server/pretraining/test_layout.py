"""How numbers lie in memory: fast where it is safe; where it was not, processes used to die."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from common.detection.joint import TASKS, build_joint
from common.detection.network import build_detector
from common.models.fold import fold_batchnorm
from common.models.onnx_export import export_graph
from common.models.onnx_import import build_module
from common.models.registry import build
from server.pretraining.layout import lay_out

TRAINED = """
import torch
from common.models.registry import build
from server.pretraining.options import PretrainOptions
from server.pretraining.step import Training

OPTIONS = PretrainOptions(licence="test", embedding=8)
for name, width in (("resnet18", 0.1), ("iresnet18", 0.05), ("iresnet18", 0.2)):
    training = Training(build(name, 8, width=width), 3, OPTIONS, 0)
    crops = torch.randint(0, 256, (4, 112, 112, 3), dtype=torch.uint8)
    print([training.step(crops, torch.tensor([0, 0, 1, 2]), number) for number in (1, 2)])
"""  # each of which ended the process when its channels lay together
TAUGHT = """
import numpy as np
from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.models.registry import build
from server.distilling.options import DistilOptions
from server.distilling.pupils import _look
from server.distilling.teaching import Lesson, teach
from server.distilling.views import Views

crops = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3)).astype(np.uint8)
faces = FaceSet(source=StoredCrops(crops), person=np.arange(4), names=tuple("abcd"))
options = DistilOptions(steps=2, batch=4, views=1)
for name in ("resnet18", "iresnet18"):
    lesson = Lesson(Views(faces, options), _look, np.eye(4, 8, dtype=np.float32))
    teach(build(name, 8, width=0.1), lesson, options, print)
"""


@pytest.mark.parametrize("script", [TRAINED, TAUGHT], ids=["trained", "taught"])
def test_narrow_resnets_learn_and_the_process_lives(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 3


@settings(max_examples=40, deadline=None)
@given(inputs=st.integers(1, 40), kernel=st.sampled_from([1, 3]), stride=st.sampled_from([1, 2, 3]))
def test_only_a_strided_look_at_few_channels_keeps_them_apart(
    inputs: int, kernel: int, stride: int
) -> None:
    network = nn.Sequential(nn.Conv2d(3, inputs, 3), nn.Conv2d(inputs, 8, kernel, stride))
    apart = kernel == 1 and stride > 1 and inputs < 16
    assert lay_out(network) == (torch.contiguous_format if apart else torch.channels_last)
    assert network[0].weight.is_contiguous() == apart


@pytest.mark.parametrize("width", [0.1, 0.5])
def test_a_network_that_came_as_a_file_is_laid_out_as_the_one_it_was(width: float) -> None:
    model = build("resnet18", 8, width=width).eval()
    imported = build_module(export_graph(fold_batchnorm(model), 112), "a test")
    assert lay_out(imported) == lay_out(model)


@pytest.mark.parametrize("width", [0.25, 1.0])
def test_detectors_never_look_that_way(width: float) -> None:
    for network in (build_detector(0, width), build_joint(TASKS, (), 0, width)):
        assert lay_out(network) == torch.channels_last
