"""A compact network of the registry, from nothing, taught by any trunk on public pictures.

The pupil sees pixels in [-1, 1] as every network of the registry does, trains with BatchNorm, and
is folded when it is written: a safetensors file as ``mascaron-admin pretrain`` writes.

Leaks: everything about the pictures shown; they must be public or invented. The pupil says what its
teacher says, so the teacher's licence holds for it too.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.faces.faceset import FaceSet
from common.models.cache import FeatureCache
from common.models.registry import build
from common.models.safetensors_import import save_trunk
from common.models.trunk import load_trunk
from server.distilling.judging import Smaller, judged, part
from server.distilling.options import DistilOptions, Report
from server.distilling.standing import Keeper
from server.distilling.teaching import Lesson, teach
from server.distilling.views import Views, said_by


@dataclass(frozen=True, kw_only=True, slots=True)
class PupilWork:
    """Which network is taught, how, and what is kept on the way."""

    architecture: str = "tiny"
    width: float = 1.0
    teaching: DistilOptions = field(default_factory=DistilOptions)
    cache: FeatureCache | None = None
    checkpoint: Path | None = None
    more: FaceSet | None = None  # who are shown besides, and never judge


def distil_trunk(
    source: Path, faces: FaceSet, folder: Path, work: PupilWork, report: Report
) -> Smaller:
    """Teaches a network by the trunk and tail at ``source`` and writes it into ``folder``.

    Raises ``ModelError`` for an unknown architecture, ``DataSetError`` for too few people.
    """
    trunk, tail = load_trunk(source)
    options = work.teaching
    pupil = build(work.architecture, tail.embedding_dim, options.seed, work.width)
    parted = part(faces, options.held_out, options.seed, work.more)
    views = Views(parted.shown, options)
    said = said_by(trunk, tail, views, report, work.cache)
    keeper = None
    if work.checkpoint is not None:
        terms: dict[str, Any] = {"trunk": trunk.hash, "pictures": parted.shown.digest}
        terms |= {"architecture": work.architecture, "width": work.width}
        keeper = Keeper(work.checkpoint, terms | dataclasses.asdict(options))
    teach(pupil, Lesson(views, _look, said), options, report, keeper)
    save_trunk(folder, pupil, trunk.manifest.licence)
    return judged((trunk, tail), load_trunk(folder), parted.judges)


def _look(crops: NDArray[np.uint8]) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S) in [-1, 1], as ``save_trunk`` promises."""
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
