"""How wrong the cells are: focal for faces, distance and overlap for boxes, L1 for landmarks.

For public training only: the mean is over all faces of a batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from common.detection.cells import LARGEST

_ALPHA, _GAMMA = 0.25, 2.0
_BOX, _LANDMARKS = 2.0, 1.0  # weights beside the focal loss


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """``Targets`` of a batch as tensors: face (B, N), box (B, N, 4), landmarks (B, N, 10)."""

    face: Tensor
    box: Tensor
    landmarks: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Middle (N, 2) and step (N,) of every cell, in pixels."""

    middle: Tensor
    step: Tensor


def detection_loss(answers: Tensor, truth: Truth, cells: Cells) -> Tensor:
    """(B, ANSWERS, N) against the truth -> scalar, a mean over the faces that are told.

    Focal loss (Lin et al. 2017, arXiv:1708.02002, eq. 5) with alpha 0.25 and gamma 2; distance-IoU
    (Zheng et al. 2019, arXiv:1911.08287, eq. 7); smooth L1 in units of the face's size.
    """
    known, told = truth.face >= 0, truth.face == 1
    faces = told.sum().clamp_min(1)
    focal = _focal(answers[:, 0], told.float())
    loss = (focal * known).sum() / faces
    if not bool(told.any()):
        return loss
    rows = answers.permute(0, 2, 1)[told]  # (P, ANSWERS)
    where = told.nonzero()[:, 1]
    step = cells.step[where, None]
    box, wanted = box_of(rows, cells.middle[where], step), truth.box[told]
    overlap = _distance_iou(box, wanted)
    found = cells.middle[where].repeat(1, 5) + rows[:, 5:] * step
    scale = wanted[:, 2:].prod(1, keepdim=True).sqrt()
    apart = (found - truth.landmarks[told]) / scale
    points = F.smooth_l1_loss(apart, torch.zeros_like(apart), beta=0.02, reduction="none")
    return loss + (_BOX * overlap.sum() + _LANDMARKS * points.sum()) / faces


def box_of(rows: Tensor, middle: Tensor, step: Tensor) -> Tensor:
    """Answers (P, ANSWERS) of cells as boxes (P, 4): middle x, y, width, height in pixels."""
    size = rows[:, 3:5].clamp(-LARGEST, LARGEST).exp() * step
    return torch.cat([middle + rows[:, 1:3] * step, size], dim=1)


def _focal(logit: Tensor, face: Tensor) -> Tensor:
    plain = F.binary_cross_entropy_with_logits(logit, face, reduction="none")
    right = torch.where(face > 0, logit.sigmoid(), 1 - logit.sigmoid())
    weight = torch.where(face > 0, _ALPHA, 1 - _ALPHA)
    return weight * (1 - right).pow(_GAMMA) * plain


def _distance_iou(one: Tensor, other: Tensor) -> Tensor:
    """(P,): 1 - IoU + (distance of the middles / diagonal around both)^2."""
    low = torch.maximum(one[:, :2] - one[:, 2:] / 2, other[:, :2] - other[:, 2:] / 2)
    high = torch.minimum(one[:, :2] + one[:, 2:] / 2, other[:, :2] + other[:, 2:] / 2)
    shared = (high - low).clamp_min(0).prod(1)
    total = one[:, 2:].prod(1) + other[:, 2:].prod(1) - shared
    least = torch.minimum(one[:, :2] - one[:, 2:] / 2, other[:, :2] - other[:, 2:] / 2)
    most = torch.maximum(one[:, :2] + one[:, 2:] / 2, other[:, :2] + other[:, 2:] / 2)
    diagonal = (most - least).square().sum(1).clamp_min(1e-6)
    apart = (one[:, :2] - other[:, :2]).square().sum(1)
    return 1 - shared / total.clamp_min(1e-6) + apart / diagonal
