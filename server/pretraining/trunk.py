"""Public training: a trunk from public or synthetic people, before any site is asked anything.

Pictures are augmented and pass a randomised camera, BatchNorm and all; it is folded when the trunk
is saved. Training stops when people it never saw are no longer told apart better.

Leaks: everything. The people given here must be public or invented; their faces shape the weights
without any privacy.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.faces.faceset import FaceSet
from common.models.embedder import Embedder
from common.models.registry import build
from common.models.safetensors_import import save_trunk
from server.pretraining.checking import CheckSet, hold_out
from server.pretraining.feeding import Feed, seed
from server.pretraining.options import Pretrained, PretrainOptions, Progress, Report
from server.pretraining.standing import Keeper, Standing
from server.pretraining.step import Training


@dataclass(frozen=True, slots=True)
class Trained:
    """A network in eval mode on the processor, BatchNorm still inside, and its held-out TAR."""

    model: Embedder
    tar: float | None


def pretrain(
    faces: FaceSet,
    folder: Path,
    options: PretrainOptions,
    report: Report,
    keeper: Keeper | None = None,
) -> Pretrained:
    """Trains a trunk on public ``faces`` and writes it into ``folder``, with its manifest.

    A ``keeper`` keeps the standing at every check; where it holds one already, that goes on.
    """
    trained = train(faces, options, np.random.default_rng(options.seed), report, keeper)
    manifest = save_trunk(folder, trained.model, options.licence)
    return Pretrained(manifest=manifest, tar=trained.tar)


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
    return train(faces, options, rng, report).model


def train(
    faces: FaceSet,
    options: PretrainOptions,
    rng: np.random.Generator,
    report: Report | None = None,
    keeper: Keeper | None = None,
) -> Trained:
    """As ``train_trunk``, with the TAR of the best check (None: too few people to say)."""
    seen, unseen = hold_out(faces, options.held_out, rng)
    model = build(options.architecture, options.embedding, seed(rng), options.width)
    training = Training(model, len(seen.people), options, seed(rng))
    check = CheckSet(unseen, options, rng)
    feed = Feed(seen, options, rng)
    standing = (keeper.read(training) if keeper else None) or Standing(feed.state)
    feed.go_on(standing.after)
    over = standing.waited >= options.patience
    for batch in feed.batches(0 if over else options.steps - standing.step):
        standing.step, standing.after = standing.step + 1, batch.after
        loss = training.step(batch.crops, batch.person, standing.step)
        due = standing.step % options.check_every == 0 or standing.step == options.steps
        tar = check.tar(training.model, training.place) if due else None
        standing.judge(tar, training)
        if due and keeper:
            keeper.write(standing, training)
        if report:
            report(Progress(step=standing.step, steps=options.steps, loss=loss, tar=tar))
        if standing.waited >= options.patience:
            break
    if standing.best:
        training.model.load_state_dict(standing.best)
    return Trained(training.model.cpu().eval(), standing.tar)
