"""What public training may be told, and what it tells: plain values without any network."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from common.errors import ConfigError
from common.faces.cameras import Camera
from common.models.manifest import TrunkManifest
from server.pretraining.hardening import Adversary


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainOptions:
    """How long, how hard, and on what kind of picture. Defaults make the starter trunk."""

    licence: str
    architecture: str = "tiny"
    embedding: int = 128
    width: float = 1.0
    steps: int = 1200
    batch: int = 64  # pictures
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    scale: float = 24.0
    margin: float = 0.3  # radians
    camera: Camera | None = None
    camera_share: float = 0.5  # of the pictures pass the camera
    adversary: Adversary | None = None  # who moves pixels before they are learned; None: nobody
    held_out: float = 0.1  # share of the people that training never sees
    check_every: int = 200  # steps
    patience: int = 4  # checks without improvement before training stops
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.check_every, self.patience) < 1 or self.batch < 2:
            raise ConfigError("steps, check_every and patience must be positive, batch at least 2")
        if not (0 < self.held_out < 1 and 0 <= self.camera_share <= 1):
            raise ConfigError("held_out must be in (0, 1) and camera_share in [0, 1]")
        if not (self.learning_rate > 0 and self.scale > 0 and 0 <= self.margin < math.pi / 2):
            raise ConfigError("learning_rate and scale must be positive, margin in [0, pi/2)")


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
