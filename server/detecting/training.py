"""Public training of the detector on invented people, until held-out scenes are found no better.

Every step draws its collages from a seed of its own, so a training that was cut off goes on where
it was: the state is kept at every check.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from common.detection.cells import Floats
from common.detection.decoding import decode
from common.detection.losses import Cells, Truth, detection_loss
from common.detection.network import DetectorNetwork, build_detector
from common.detection.weights import DetectorManifest, save_detector
from common.metrics.detection import Judged, judge, landmark_error, recall_at
from common.synthetic.collages import Collages
from common.synthetic.scenes import Scene
from server.detecting.material import (
    PEOPLE,
    Batch,
    Told,
    draw_batch,
    grid,
    make_collages,
    make_scenes,
    mirrored,
)
from server.detecting.options import DetectorOptions
from server.detecting.state import STATE, Check, State, restore, store

LICENCE = "Apache-2.0; trained on this project's synthetic people only, nobody's face"
_LEAST = 0.05  # score of what is looked at when training is judged


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where training is; ``check`` when it was judged."""

    step: int
    steps: int
    loss: float
    check: Check | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What came of it; ``ended`` is False where time ran out: the same command goes on."""

    manifest: DetectorManifest | None
    check: Check | None
    step: int
    ended: bool


Report = Callable[[Progress], None]


def train_detector(
    folder: Path,
    options: DetectorOptions,
    told: Told,
    report: Report,
    minutes: float = math.inf,
) -> Trained:
    """Trains until it is done or ``minutes`` are over, and writes the best detector to ``folder``.

    A training in ``folder`` that was cut off is taken up again; its options must be the same.
    """
    began = time.monotonic()
    training = Training(options)
    state = restore(folder, options, training.model, training.optimizer)
    lessons = Lessons(make_collages(options, folder, told), options)
    scenes = make_scenes(options.scenes, told)
    while state.step < options.steps and state.waited < options.patience:
        state.step += 1
        loss = training.step(lessons.batch(state.step), state.step)
        check = None
        if state.step % options.check_every == 0 or state.step == options.steps:
            check = _checked(training.model, scenes, folder, state)
            store(folder, options, training.model, training.optimizer, state)
        report(Progress(step=state.step, steps=options.steps, loss=loss, check=check))
        if time.monotonic() - began > 60 * minutes:
            store(folder, options, training.model, training.optimizer, state)
            return Trained(manifest=None, check=None, step=state.step, ended=False)
    (folder / STATE).unlink()
    (folder / PEOPLE).unlink()
    return Trained(manifest=state.manifest, check=state.check, step=state.step, ended=True)


class Training:
    """The network and its optimiser: AdamW with a warm-up and a cosine."""

    def __init__(self, options: DetectorOptions) -> None:
        self.options = options
        self.model = build_detector(options.seed, options.width)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        decayed = [p for p in self.model.parameters() if p.dim() > 1]
        plain = [p for p in self.model.parameters() if p.dim() <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.cells = Cells(*(torch.from_numpy(part) for part in grid(options.side)))

    def step(self, batch: Batch, number: int) -> float:
        done = number / self.options.steps
        rate = self.options.learning_rate * min(1.0, done / 0.05)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
        self.model.train()
        answers = self.model(pixels(batch.pictures))
        loss = detection_loss(answers, truth_of(batch), self.cells)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimizer.step()
        return float(loss.detach())


class Lessons:
    """The batch of every step: new collages at odd ones, the same in a mirror at even ones."""

    def __init__(self, collages: Collages, options: DetectorOptions) -> None:
        self.collages, self.options = collages, options
        self._last: tuple[int, Batch] | None = None

    def batch(self, step: int) -> Batch:
        odd = step - 1 + step % 2
        if self._last is None or self._last[0] != odd:
            rng = np.random.default_rng([self.options.seed, 2, odd])
            self._last = odd, draw_batch(self.collages, self.options.batch, rng)
        if step == odd:
            return self._last[1]
        rng = np.random.default_rng([self.options.seed, 2, step])
        return mirrored(self._last[1], self.options.side, rng)


def truth_of(batch: Batch) -> Truth:
    """The truth of a batch as tensors."""
    parts = batch.face, batch.box, batch.landmarks
    return Truth(*(torch.from_numpy(part) for part in parts))


def pixels(pictures: np.ndarray) -> torch.Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) in [-1, 1]."""
    planes = torch.from_numpy(pictures).permute(0, 3, 1, 2)  # channels last, the faster layout
    return planes.float().div_(127.5).sub_(1)


@torch.no_grad()
def check_scenes(model: nn.Module, scenes: list[Scene]) -> Check:
    """``model`` in eval mode on ``scenes``, one by one."""
    model.eval()
    judged, errors = [], [np.empty(0)]
    for scene in scenes:
        answers = model(pixels(scene.picture[None]))[0].numpy()
        one, error = _judged(answers, scene)
        judged.append(one)
        errors.append(error)
    recall, threshold = recall_at(judged, 0.1)
    _, certain = recall_at(judged, 0.01)
    low, high = (float(np.clip(t, _LEAST, 0.998)) for t in (threshold, certain))
    missed = np.concatenate(errors)
    off = float(np.median(missed)) if len(missed) else math.inf
    return Check(recall=recall, threshold=low, certain=max(low, high), landmark_error=off)


def _judged(answers: Floats, scene: Scene) -> tuple[Judged, np.ndarray]:
    height, width = scene.picture.shape[:2]
    found = decode(answers, (height, width), _LEAST)
    boxes = np.array([face.box for face in scene.faces]).reshape(-1, 4)
    one = judge(found.score, found.boxes, boxes, np.zeros(len(boxes), np.bool_))
    order = np.argsort(-found.score, kind="stable")
    hits = one.hit >= 0
    true = np.array([face.landmarks for face in scene.faces]).reshape(-1, 5, 2)[one.hit[hits]]
    return one, landmark_error(found.landmarks[order][hits], true)


def _checked(model: DetectorNetwork, scenes: list[Scene], folder: Path, state: State) -> Check:
    """Judges, and keeps the network if it is the best so far."""
    check = check_scenes(model, scenes)
    worth = check.recall - check.landmark_error
    if state.check is None or worth > state.check.recall - state.check.landmark_error:
        manifest = DetectorManifest(
            file="detector.safetensors",
            sha256="0" * 64,
            licence=LICENCE,
            threshold=_above(check.threshold),
            certain=_above(check.certain),
        )
        state.manifest = save_detector(folder, model, manifest)
        state.check, state.waited = check, 0
    else:
        state.waited += 1
    return check


def _above(score: float) -> float:
    """The next thousandth: a detector tells what scores its threshold or more."""
    return math.floor(1000 * score + 1) / 1000
