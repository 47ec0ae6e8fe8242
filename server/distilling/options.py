"""How a network is taught by another, on whose pictures, and how its progress is told."""

from collections.abc import Callable
from dataclasses import dataclass

from common.errors import ConfigError
from common.faces.augment import AUGMENTATIONS


@dataclass(frozen=True, kw_only=True, slots=True)
class DistilOptions:
    """How long and how hard. Nobody's identity is asked for: pictures are enough."""

    steps: int = 1500
    batch: int = 32  # views
    views: int = 4  # of every picture, the first of them as it is
    augment: tuple[str, ...] = ("crop", "rotate", "shift", "flip", "colour")
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    relation: float = 5.0  # weight of the likeness of every two views of a batch
    held_out: float = 0.2  # share of the people who are never shown and judge what came of it
    keep_every: int = 50  # steps, where a standing is kept
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.views, self.keep_every) < 1 or self.batch < 2:
            raise ConfigError("steps, views and keep_every must be positive, batch at least 2")
        if not (self.learning_rate > 0 and self.weight_decay >= 0 and self.relation >= 0):
            raise ConfigError(
                "learning_rate must be positive; weight_decay and relation not below 0"
            )
        if not 0 < self.held_out < 1:
            raise ConfigError("held_out must be in (0, 1)")
        if set(self.augment) - set(AUGMENTATIONS):
            raise ConfigError(f"augment: known are {', '.join(AUGMENTATIONS)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What is being done, and how far it is; ``loss`` where something is learned."""

    what: str
    done: int
    total: int
    loss: float | None = None


Report = Callable[[Progress], None]
