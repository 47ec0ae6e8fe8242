"""Public training of one network for several tasks on invented people, or of one for each.

Every step is a batch of crops (who is it, and what is seen) and, every other step, a batch of
collages (where are faces); the losses are summed with fixed weights. What a step shows depends on
its number alone, so every network meets the same faces in the same order. Crops and collages differ
in mean and spread, so towards the end layers learn with the statistics they will be run with.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.detection.joint import EMBEDDING, JointNetwork, Task, build_joint
from common.detection.losses import Cells, detection_loss
from common.faces.faceset import FaceSet
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.head import PictureLabels, joint_loss
from common.heads.margin import Centres, arc_margin, margin_loss
from common.synthetic.collages import Collages
from common.text.forbidden import category
from server.detecting.material import grid
from server.detecting.options import DetectorOptions
from server.detecting.state import STATE, restore, store
from server.detecting.training import Lessons, pixels, truth_of

WEIGHTS = {"detection": 1.0, "identity": 1.0, "attributes": 1.0, "age": 1.0}
COLLAGES = DetectorOptions(people=120, batch=16, side=128)
_SCALE, _MARGIN = 24.0, 0.3
_SHIFT = 4  # pixels a crop is moved, at most
_EVERY = 20  # steps between looks at the clock
_SETTLED = 0.7  # of the steps: from here on BatchNorm takes its running statistics


@dataclass(frozen=True, kw_only=True, slots=True)
class JointOptions:
    """How one network is trained. ``steps`` are of crops; collages come at every other one."""

    tasks: tuple[Task, ...]
    width: float = 1.0
    steps: int = 500
    batch: int = 48  # crops
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    collages: DetectorOptions = COLLAGES
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Crops of public people with labels, and collages: what there is to learn from."""

    faces: FaceSet
    collages: Collages


def heads_for(faces: FaceSet) -> tuple[AttributesHead, AgeHead]:
    """Heads for what is labelled and may be said; weighed by how often it is seen in ``faces``."""
    shown, names = allowed(faces)
    counts = (shown == 1).sum(axis=0).tolist(), (shown == 0).sum(axis=0).tolist()
    return (
        AttributesHead(names=names, shown=tuple(counts[0]), absent=tuple(counts[1])),
        AgeHead(),
    )


def allowed(faces: FaceSet) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """The attributes (N, A) of ``faces`` that are not forbidden, and their names."""
    if faces.attributes is None:
        raise ValueError("the faces have no attributes")
    kept = [i for i, name in enumerate(faces.attribute_names) if category(name) is None]
    return faces.attributes[:, kept], tuple(faces.attribute_names[i] for i in kept)


def train_joint(
    folder: Path, material: Material, options: JointOptions, minutes: float = math.inf
) -> JointNetwork | None:
    """The trained network in eval mode, or None where ``minutes`` were over before.

    The state is kept in ``folder`` then, and the next call goes on.
    """
    began = time.monotonic()
    training = _Training(material, options)
    state = restore(folder, options, training.whole, training.optimizer)
    while state.step < options.steps:
        state.step += 1
        training.step(state.step)
        if state.step % _EVERY == 0 and time.monotonic() - began > 60 * minutes:
            store(folder, options, training.whole, training.optimizer, state)
            return None
    (folder / STATE).unlink(missing_ok=True)
    return training.model.eval()


class _Training:
    def __init__(self, material: Material, options: JointOptions) -> None:
        self.options, self.faces = options, material.faces
        self.label = np.searchsorted(material.faces.people, material.faces.person)
        self.shown = torch.from_numpy(allowed(material.faces)[0])
        self.model = build_joint(
            options.tasks, heads_for(material.faces), options.seed, options.width
        )
        generator = torch.Generator().manual_seed(options.seed)
        self.centres = Centres(EMBEDDING, len(material.faces.people), generator)
        self.whole = nn.ModuleDict({"model": self.model, "centres": self.centres})
        self.whole.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.lessons = Lessons(material.collages, options.collages)
        self.cells = Cells(*(torch.from_numpy(part) for part in grid(options.collages.side)))
        self.optimizer = torch.optim.AdamW(
            self.whole.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )

    def step(self, number: int) -> float:
        options, done = self.options, number / self.options.steps
        rate = options.learning_rate * min(1.0, done / 0.05)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
        self.model.train()
        if done > _SETTLED:
            _settle(self.model)
        losses = [self._of_crops(number)] if self.model.tasks != ("detection",) else []
        if "detection" in self.model.tasks and number % 2:
            losses.append(WEIGHTS["detection"] * self._of_collages((number + 1) // 2))
        if not losses:
            return 0.0
        loss = torch.stack(losses).sum()
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.whole.parameters(), 10.0)
        self.optimizer.step()
        return float(loss.detach())

    def _of_crops(self, number: int) -> Tensor:
        rng = np.random.default_rng([self.options.seed, 4, number])
        rows = rng.choice(len(self.faces), min(self.options.batch, len(self.faces)), replace=False)
        feature = self.model.feature(pixels(_moved(self.faces.crops(rows), rng)))
        total = feature.sum() * 0
        if "identity" in self.model.tasks:
            margin = _MARGIN * min(1.0, number / self.options.steps / 0.3)
            person = torch.from_numpy(self.label[rows])
            cosine = arc_margin(self.centres(self.model.embed(feature)), person, margin)
            total = total + WEIGHTS["identity"] * margin_loss(cosine, person, _SCALE)
        if "labels" in self.model.tasks:
            said = PictureLabels(attributes=self.shown[rows], age=_ages(self.faces, rows))
            heads, arrays = self.model.heads, self.model.arrays
            total = total + joint_loss(heads, WEIGHTS, arrays, feature, said)
        return total

    def _of_collages(self, number: int) -> Tensor:
        batch = self.lessons.batch(number)
        return detection_loss(
            self.model.detect(pixels(batch.pictures)), truth_of(batch), self.cells
        )


def _settle(model: nn.Module) -> None:
    """Lets every BatchNorm of ``model`` use what it has seen of crops and collages together."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.eval()


def _ages(faces: FaceSet, rows: NDArray[np.int64]) -> Tensor | None:
    return None if faces.age is None else torch.from_numpy(faces.age[rows])


def _moved(crops: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Each crop mirrored half of the time, shifted, and in another light."""
    size = crops.shape[1]
    wide = np.pad(crops, ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)), mode="edge")
    for row, source in enumerate(wide):
        top, left = rng.integers(0, 2 * _SHIFT + 1, 2)
        moved = source[top : top + size, left : left + size]
        moved = moved[:, ::-1] if rng.random() < 0.5 else moved
        bright = np.float32(rng.normal(1, 0.15)) * moved + np.float32(rng.normal(0, 10))
        crops[row] = np.clip(bright, 0, 255)
    return crops
