"""The loop of a distillation: views in, the teacher's words wanted, AdamW and a cosine."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from server.distilling.objective import teaching_loss
from server.distilling.options import DistilOptions, Progress, Report
from server.distilling.standing import Keeper
from server.distilling.views import Views
from server.pretraining.layout import lay_out

_WARM = 0.05  # of the steps, until the learning rate is reached
_LARGEST = 5.0  # norm of a gradient

Look = Callable[[NDArray[np.uint8]], Tensor]  # crops (B, S, S, 3) -> planes (B, 3, S, S)


@dataclass(frozen=True, eq=False, slots=True)
class Lesson:
    """Which views a pupil is shown, how it sees them, and what the teacher said of each row."""

    views: Views
    look: Look
    said: NDArray[np.float32]  # (R, E) unit rows


def teach(
    pupil: nn.Module,
    lesson: Lesson,
    options: DistilOptions,
    report: Report,
    keeper: Keeper | None = None,
) -> None:
    """Trains ``pupil`` (planes -> embeddings) in place; goes on from where ``keeper`` stands."""
    layout = lay_out(pupil)
    optimizer = _optimizer(pupil, options)
    begun = keeper.read(pupil, optimizer) if keeper else 0
    pupil.train()
    for step in range(begun, options.steps):
        rows = lesson.views.batch(step)
        planes = lesson.look(lesson.views.crops(rows))
        rate = min(1.0, (step + 1) / (_WARM * options.steps))
        rate *= 0.5 * (1 + math.cos(math.pi * step / options.steps))
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * rate
        wanted = torch.from_numpy(lesson.said[rows])
        said = pupil(planes.contiguous(memory_format=layout))
        loss = teaching_loss(said, wanted, options.relation)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(pupil.parameters(), _LARGEST)
        optimizer.step()
        told = Progress(
            what="teaching", done=step + 1, total=options.steps, loss=float(loss.detach())
        )
        report(told)
        if keeper and ((step + 1) % options.keep_every == 0 or step + 1 == options.steps):
            keeper.write(step + 1, pupil, optimizer)
    pupil.eval()


def _optimizer(pupil: nn.Module, options: DistilOptions) -> torch.optim.Optimizer:
    learned = list(pupil.parameters())
    groups = [
        {"params": [p for p in learned if p.dim() > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in learned if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate)
