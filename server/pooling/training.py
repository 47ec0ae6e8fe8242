"""Public training of weights of pictures: most people teach, the others judge, nobody does both.

Nothing here is private, and nothing of a site's own people may be given to it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from common.errors import ConfigError, DataSetError
from common.matching.learnt import KINDS, Kind
from common.matching.set_file import parse_set, set_bytes
from common.matching.set_learning import Frames, LearningOptions, learn_weights
from common.matching.set_weights import make_weights
from common.models.tail import Tail
from server.pooling.judging import by_learnt, by_mean, by_quality, compared

LEAST = 10  # people with two pictures
TEACH = 0.7  # of them; the others judge
DEALS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolingRequest:
    """Which ``kind`` of weights, of what ``size``, after how many ``steps``.

    ``template`` pictures make one of those who judge; ``seed`` is of who teaches and of learning.
    """

    kind: Kind = "attention"
    size: int = 32
    steps: int = 400
    template: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"--kind: one of {', '.join(KINDS)}")


def train_pooling(
    frames: Frames, tail: Tail, trunk: str, asked: PoolingRequest
) -> tuple[bytes, dict[str, Any]]:
    """The file of what the public people of ``frames`` taught, and figures of those who judge.

    The same arguments give the same bytes. ``DataSetError`` for fewer than ten people with two
    pictures.
    """
    teach, judges = _parts(frames, asked.seed)
    model = make_weights(asked.kind, frames.features.shape[2], asked.size, asked.seed)
    options = LearningOptions(steps=asked.steps)
    learn_weights(model, teach, tail, options, np.random.default_rng(asked.seed))
    content = set_bytes(model, trunk)
    learnt = parse_set(content, "what was learnt")
    ways = {"mean": by_mean, "quality": by_quality, "learnt": by_learnt(learnt)}
    sizes = (asked.template, DEALS)
    judged = {
        name: compared(judges, tail, ways, sizes, mixed=mixed)
        for name, mixed in (("clean", False), ("mixed", True))
    }
    figures = {
        "sha256": learnt.name,
        "power_of_quality": round(float(model.power.detach()), 3),
        "people": [len(np.unique(part.person)) for part in (teach, judges)],
        "template": asked.template,
        "judged": judged,
    }
    return content, figures


def _parts(frames: Frames, seed: int) -> tuple[Frames, Frames]:
    groups = frames.groups(2)
    if len(groups) < LEAST:
        raise DataSetError(
            f"weights need at least {LEAST} public people with two pictures, to teach and to judge"
        )
    order = np.random.default_rng([seed, 31]).permutation(len(groups))
    cut = round(TEACH * len(groups))
    teach, judges = (
        np.concatenate([groups[number] for number in part]) for part in np.split(order, [cut])
    )
    return frames.of(teach), frames.of(judges)
