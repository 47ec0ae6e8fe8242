"""What public training may be told, and what it tells: plain values without any network."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from common.errors import ConfigError
from common.faces.augment import AUGMENTATIONS
from common.faces.cameras import Camera
from common.models.manifest import TrunkManifest
from server.pretraining.hardening import Adversary

Loss = Literal["arcface", "cosface", "adaface", "triplet", "softmax"]
Sampling = Literal["pictures", "people", "root"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16"]

MARGINS: dict[str, tuple[float, float]] = {  # of each loss: its own, and what it stays below
    "arcface": (0.3, math.pi / 2),  # radians
    "cosface": (0.2, 1),
    "adaface": (0.3, 1),
    "triplet": (0.3, 4),  # of a squared distance
    "softmax": (0.0, math.inf),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainOptions:
    """How long, how hard, and on what kind of picture. Defaults make the starter trunk.

    ``sampling`` says how often a person comes: as often as they have pictures, all people alike,
    or by the square root of their pictures. ``triplet`` draws ``views`` pictures of each person.
    """

    licence: str
    architecture: str = "tiny"
    embedding: int = 128
    width: float = 1.0
    steps: int = 1200
    batch: int = 64  # pictures
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    loss: Loss = "arcface"
    scale: float = 24.0
    margin: float | None = None  # that of MARGINS
    sampling: Sampling = "pictures"
    views: int = 4  # pictures of one person in a batch of triplets
    augment: tuple[str, ...] = ("shift", "flip")
    camera: Camera | None = None
    camera_share: float = 0.5  # of the pictures pass the camera
    adversary: Adversary | None = None  # who moves pixels before they are learned; None: nobody
    held_out: float = 0.1  # share of the people that training never sees
    check_every: int = 200  # steps
    patience: int = 4  # checks without improvement before training stops
    seed: int = 0
    device: Device = "auto"  # a GPU where there is one
    precision: Precision = "auto"  # bf16 on a GPU that has it, fp32 elsewhere

    def __post_init__(self) -> None:
        if min(self.steps, self.check_every, self.patience) < 1 or self.batch < 2:
            raise ConfigError("steps, check_every and patience must be positive, batch at least 2")
        if not (0 < self.held_out < 1 and 0 <= self.camera_share <= 1):
            raise ConfigError("held_out must be in (0, 1) and camera_share in [0, 1]")
        if not (self.learning_rate > 0 and self.scale > 0):
            raise ConfigError("learning_rate and scale must be positive")
        for name, kinds in _CHOICES.items():
            if getattr(self, name) not in get_args(kinds):
                raise ConfigError(f"{name}: expected one of {', '.join(get_args(kinds))}")
        if unknown := set(self.augment) - set(AUGMENTATIONS):
            raise ConfigError(f"augment: no augmentation {min(unknown)!r}")
        self._check_loss()

    def _check_loss(self) -> None:
        below = MARGINS[self.loss][1]
        if self.loss == "softmax" and self.margin is not None:
            raise ConfigError("a softmax has no margin: leave it out")
        if not 0 <= self.hardness < below:
            raise ConfigError(f"the margin of {self.loss} must be in [0, {below:.4g})")
        if self.loss == "triplet" and not 2 <= self.views <= self.batch // 2:
            raise ConfigError("triplets need at least 2 views, and 2 people in a batch")
        if self.loss == "triplet" and self.adversary is not None:
            raise ConfigError("an adversary needs centres to lead away from, triplets have none")

    @property
    def hardness(self) -> float:
        """The margin that is meant: the one told, or the loss' own."""
        return MARGINS[self.loss][0] if self.margin is None else self.margin


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where training is. ``tar`` is the held-out people's, at FAR 1e-2, when it was measured."""

    step: int
    steps: int
    loss: float
    tar: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretrained:
    """What was written, and how well it tells held-out people apart (None: too few to say)."""

    manifest: TrunkManifest
    tar: float | None


Report = Callable[[Progress], None]

_CHOICES = {"loss": Loss, "sampling": Sampling, "device": Device, "precision": Precision}
