"""What training a detector needs to be told, and the cameras that its pictures pass."""

from dataclasses import dataclass

from common.errors import ConfigError
from common.faces.cameras import Camera, Operation

CHECKED = 424_242  # seed of the people and scenes that training never sees


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorOptions:
    """How much, how long, and how hard. Defaults make the detector that is shipped."""

    people: int = 1500  # invented, cut out once
    places: int = 40
    side: int = 128  # pixels of a collage
    batch: int = 16
    steps: int = 10_000
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    width: float = 1.5
    scenes: int = 50  # held out, beside as many pictures of nobody, by which training is judged
    check_every: int = 300  # steps
    patience: int = 8  # checks without improvement before training stops
    seed: int = 0

    def __post_init__(self) -> None:
        least = min(self.people, self.places, self.batch, self.steps, self.scenes, self.check_every)
        if min(least, self.patience) < 1:
            raise ConfigError("people, places, batch, steps, scenes and checks must be positive")
        if self.side < 64 or self.side % 32:
            raise ConfigError(f"side must be a multiple of 32 and at least 64, got {self.side}")
        if not (self.learning_rate > 0 and self.weight_decay >= 0):
            raise ConfigError("learning_rate must be positive and weight_decay not negative")


def scene_camera(seed: int) -> Camera:
    """What happens to collages: milder than to crops, as most of their faces are small."""
    operations = (
        Operation(kind="grey", low=0, high=1, chance=0.35),
        Operation(kind="gamma", low=0.45, high=2.2, chance=0.5),
        Operation(kind="gain", low=0.6, high=1.6, chance=0.4),
        Operation(kind="motion", low=1, high=6, chance=0.1),
        Operation(kind="defocus", low=0.3, high=1.6, chance=0.3),
        Operation(kind="noise", low=0, high=16, chance=0.35),
        Operation(kind="jpeg", low=25, high=95, chance=0.5),
    )
    return Camera(name="scenes", operations=operations, seed=seed)
