"""The adversarial-robustness-toolbox as a second opinion on one's own attacks; comes with [dev].

A classifier that looks up the template of a row by the row's number goes wrong as soon as a
library attacks a part of a batch. So every trial's template is a class, and the trial's number
travels with the row as its label.
"""

import importlib
import logging.config
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.attacks.target import Budget, Goal, Trials


class Cosines(nn.Module):
    """Pixels (B, 3, S, S) -> cosines (B, K) with all K templates."""

    def __init__(self, face: nn.Module, templates: Tensor) -> None:
        super().__init__()
        self.face = face
        self.templates = nn.Parameter(templates, requires_grad=False)

    def forward(self, pixels: Tensor) -> Tensor:
        cosines: Tensor = self.face(pixels) @ self.templates.T
        return cosines


class Unlikeness(nn.Module):
    """Minus the cosine with the row's own template: dodging raises it, impersonation lowers it."""

    reduction = "mean"  # the toolbox sets it to "none" where it asks for rows

    def forward(self, cosines: Tensor, labels: Tensor) -> Tensor:
        numbers = labels.argmax(1) if labels.ndim > 1 else labels
        unlike = -cosines.gather(1, numbers[:, None].long())[:, 0]
        return unlike if self.reduction == "none" else unlike.sum()


def toolbox(module: str) -> Any:
    """A module of the toolbox, which on import would set up logs anew, and close everybody's
    handlers: with some of them (absl's) the stream that they write to, stderr for one."""
    set_up = logging.config.dictConfig
    logging.config.dictConfig = lambda config: None
    try:
        return importlib.import_module(f"art.{module}")
    finally:
        logging.config.dictConfig = set_up


def classifier(face: nn.Module, trials: Trials) -> Any:
    """The toolbox's view of ``face``: trial number i of ``trials`` is class i."""
    return toolbox("estimators.classification").PyTorchClassifier(
        model=Cosines(face, trials.templates),
        loss=Unlikeness(),
        input_shape=tuple(trials.pixels.shape[1:]),
        nb_classes=max(len(trials), 2),
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )


def toolbox_pgd(face: nn.Module, trials: Trials, budget: Budget, steps: int, seed: int) -> Tensor:
    """Pixels (B, 3, S, S) of the toolbox's PGD, with the same steps as ours; last iterates."""
    attack = toolbox("attacks.evasion").ProjectedGradientDescentPyTorch(
        classifier(face, trials),
        **_settings(budget, trials.goal),
        eps_step=2.5 * budget.eps / steps,
        max_iter=steps,
        num_random_init=1,
        batch_size=len(trials),
        verbose=False,
    )
    return _generated(attack, trials, seed)


def toolbox_fgsm(face: nn.Module, trials: Trials, budget: Budget) -> Tensor:
    """Pixels (B, 3, S, S) of the toolbox's fast gradient method."""
    attack = toolbox("attacks.evasion").FastGradientMethod(
        classifier(face, trials),
        **_settings(budget, trials.goal),
        eps_step=budget.eps,
        batch_size=len(trials),
    )
    return _generated(attack, trials, 0)


def _settings(budget: Budget, goal: Goal) -> dict[str, Any]:
    return {
        "norm": np.inf if budget.norm == "linf" else 2,
        "eps": budget.eps,
        "targeted": goal == "impersonate",
    }


def _generated(attack: Any, trials: Trials, seed: int) -> Tensor:
    labels = np.eye(max(len(trials), 2), dtype=np.float32)[: len(trials)]
    np.random.seed(seed)  # the toolbox draws from numpy's own generator
    made = attack.generate(trials.pixels.numpy(), labels)
    return torch.from_numpy(made)
