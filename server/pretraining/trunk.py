"""Public training: a trunk from public or synthetic people, before any site is asked anything.

ArcFace on pictures half of which pass a randomised camera, BatchNorm and all; it is folded when
the trunk is saved. Training stops when people it never saw are no longer told apart better.

Leaks: everything. The people given here must be public or invented; their faces shape the weights
without any privacy.
"""

import copy
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import DataSetError
from common.faces.faceset import FaceSet
from common.heads.margin import Centres, arc_margin, margin_loss
from common.metrics.verification import tar_at_far
from common.models.embedder import Embedder
from common.models.registry import build
from common.models.safetensors_import import save_trunk
from server.pretraining.options import Pretrained, PretrainOptions, Progress, Report

CHECK_FAR = 1e-2
_CHECK_PICTURES = 8  # of one held-out person, at most
_SHIFT = 4  # pixels a training crop is moved, at most


def pretrain(faces: FaceSet, folder: Path, options: PretrainOptions, report: Report) -> Pretrained:
    """Trains a trunk on public ``faces`` and writes it into ``folder``, with its manifest."""
    best: list[float] = []

    def watch(progress: Progress) -> None:
        if progress.tar is not None:
            best.append(progress.tar)
        report(progress)

    model = train_trunk(faces, options, np.random.default_rng(options.seed), watch)
    manifest = save_trunk(folder, model, options.licence)
    return Pretrained(manifest=manifest, tar=max(best, default=None))


def train_trunk(
    faces: FaceSet,
    options: PretrainOptions,
    rng: np.random.Generator,
    report: Report | None = None,
) -> Embedder:
    """The network that told held-out people apart best, in eval mode, BatchNorm still inside.

    The same faces, options, ``rng`` and thread count give the same network. Raises
    ``DataSetError`` if there are too few people to train on and hold out.
    """
    seen, unseen = _hold_out(faces, options.held_out, rng)
    model = build(options.architecture, options.embedding, _seed(rng), options.width)
    training = _Training(model, len(seen.people), options, _seed(rng))
    check = _CheckSet(unseen, options, rng)
    best, best_state, waited = -math.inf, copy.deepcopy(model.state_dict()), 0
    for step, (pixels, person) in enumerate(_batches(seen, options, rng), start=1):
        loss = training.step(pixels, person, step)
        last = step == options.steps
        tar = check.tar(model) if step % options.check_every == 0 or last else None
        if report:
            report(Progress(step=step, steps=options.steps, loss=loss, tar=tar))
        waited = waited if tar is None else waited + 1
        if (tar is not None and tar > best) or (last and best == -math.inf):
            best, best_state, waited = tar or 0.0, copy.deepcopy(model.state_dict()), 0
        if waited >= options.patience:
            break
    model.load_state_dict(best_state)
    return model.eval()


class _Training:
    """The network, its head and the optimiser: stochastic gradient with a warm-up and a cosine."""

    def __init__(self, model: Embedder, people: int, options: PretrainOptions, seed: int) -> None:
        self.options = options
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.chance = torch.Generator().manual_seed(seed)
        self.centres = Centres(options.embedding, people, self.chance)
        decayed = [p for p in model.parameters() if p.dim() > 1] + [self.centres.weight]
        plain = [p for p in model.parameters() if p.dim() <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.SGD(
            groups, lr=options.learning_rate, momentum=0.9, weight_decay=options.weight_decay
        )

    def step(self, pixels: Tensor, person: Tensor, number: int) -> float:
        done = number / self.options.steps
        warm = min(1.0, done / 0.05)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * done))
        margin = self.options.margin * min(1.0, done / 0.3)  # from the start it hides the people
        adversary = self.options.adversary
        if adversary is not None:
            batch = (pixels, person)
            pixels = adversary.attacked(self.model, self.centres, batch, self.chance)
        self.model.train()
        cosine = self.centres(self.model(pixels))
        loss = margin_loss(arc_margin(cosine, person, margin), person, self.options.scale)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        return float(loss.detach())


class _CheckSet:
    """Held-out pictures, half of them through the camera, the same at every check."""

    def __init__(self, faces: FaceSet, options: PretrainOptions, rng: np.random.Generator) -> None:
        chosen = [i for p in faces.people for i in faces.pictures_of(int(p))[:_CHECK_PICTURES]]
        self.person = faces.person[chosen]
        self.crops = _shoot(faces.crops(chosen), options, rng)

    @torch.no_grad()
    def tar(self, model: Embedder) -> float | None:
        model.eval()
        parts = [model(_pixels(self.crops[i : i + 64])) for i in range(0, len(self.crops), 64)]
        return tar_at_far(torch.cat(parts).numpy(), self.person, (CHECK_FAR,))[CHECK_FAR]


def _batches(
    faces: FaceSet, options: PretrainOptions, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """``options.steps`` batches: every picture once, in a new order, before any comes again."""
    label = np.searchsorted(faces.people, faces.person)
    size = min(options.batch, len(faces))
    order = np.empty(0, np.int64)
    for _ in range(options.steps):
        if len(order) < size:
            order = rng.permutation(len(faces))
        indices, order = order[:size], order[size:]
        crops = _move(_shoot(faces.crops(indices), options, rng), rng)
        yield _pixels(crops), torch.from_numpy(label[indices])


def _shoot(
    crops: NDArray[np.uint8], options: PretrainOptions, rng: np.random.Generator
) -> NDArray[np.uint8]:
    if options.camera is None:
        return crops
    camera = dataclasses.replace(options.camera, seed=_seed(rng))
    for row in np.flatnonzero(rng.random(len(crops)) < options.camera_share):
        crops[row] = camera.shoot(crops[row])
    return crops


def _move(crops: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Each crop mirrored half of the time and shifted by a few pixels."""
    size = crops.shape[1]
    padded = np.pad(crops, ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)), mode="edge")
    for row, source in enumerate(padded):
        top, left = rng.integers(0, 2 * _SHIFT + 1, 2)
        moved = source[top : top + size, left : left + size]
        crops[row] = moved[:, ::-1] if rng.random() < 0.5 else moved
    return crops


def _pixels(crops: NDArray[np.uint8]) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S) in [-1, 1], as ``save_trunk`` promises."""
    planes = torch.from_numpy(crops).permute(0, 3, 1, 2)  # channels last, the faster layout
    return planes.float().div_(127.5).sub_(1)


def _hold_out(faces: FaceSet, share: float, rng: np.random.Generator) -> tuple[FaceSet, FaceSet]:
    people = rng.permutation(faces.people)
    number = max(2, round(share * len(people)))
    if len(people) - number < 2:
        raise DataSetError(f"{len(people)} people are too few to train on and hold some out")
    return faces.of_people(people[number:]), faces.of_people(people[:number])


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 31))
