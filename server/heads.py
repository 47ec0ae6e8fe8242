"""Public training of heads on a frozen trunk: on people whose labels everybody may know.

People are cut in three: most teach, some say when to stop and calibrate, the rest judge. Nobody is
in two of them. Nothing here is private, and nothing of a site's own people may be given to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, DataSetError
from common.heads.age import CUTS, AgeHead
from common.heads.attributes import AttributesHead
from common.heads.calibration import Platt, match_calibration
from common.heads.gender import GenderHead
from common.heads.head import KINDS, Head, PictureLabels
from common.heads.heads import Heads
from common.heads.joint import HeadTraining, Learnt, Lesson, train_heads
from common.heads.judging import calibrate, judge
from common.heads.kinds import DEFAULT
from common.heads.scaling import Scaling
from common.heads.sentences import prompt_bank
from common.heads.weights import checked_weights, uncertainty_weights
from common.heads.words import WordsHead
from common.metrics.verification import Pairs
from common.models.tail import Tail
from common.text.encoding import TextEncoder

LEAST = 5  # pictures with an attribute, and without, of those who teach: fewer teach nothing
PARTS = 0.6, 0.2  # of the people: who teach, and who stop and calibrate; the rest judge

Features = NDArray[np.float32]
Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Pupils:
    """Public people: ``features`` (N, D) of the trunk with hash ``trunk``, ``person`` (N,), and
    what ``labels`` say; ``names`` are the columns of the attributes."""

    trunk: str
    features: Features
    person: Indices
    labels: PictureLabels
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadsRequest:
    """Which ``kinds`` of heads to train; ``weights`` by kind, or none for those of uncertainty.

    ``cuts`` are those of an age head: where labels are ranges of years, cuts inside the ranges
    would learn nothing, so they are named to match.
    """

    kinds: tuple[str, ...] = DEFAULT
    weights: Mapping[str, float] = field(default_factory=dict)
    cuts: tuple[int, ...] = CUTS
    training: HeadTraining = field(default_factory=HeadTraining)
    seed: int = 0  # of who teaches, stops and judges

    def __post_init__(self) -> None:
        if not self.kinds or set(self.kinds) - set(KINDS) or len(set(self.kinds)) < len(self.kinds):
            raise ConfigError(f"--heads: some of {', '.join(KINDS)}, each once")
        if self.weights and set(self.weights) != set(self.kinds):
            raise ConfigError("--weights: one for every head, or none at all")


def train_public(
    pupils: Pupils,
    asked: HeadsRequest,
    tail: Tail | None = None,
    encoder: TextEncoder | None = None,
) -> tuple[Heads, dict[str, Any]]:
    """Heads of the public ``pupils``, and figures of those who judge them.

    With a ``tail`` cosines are calibrated too. ``DataSetError`` for fewer than ten people, or where
    nothing is labelled for a head.
    """
    teach, held, judges = _parts(pupils.person, asked.seed)
    heads, labels = heads_of(pupils, asked, teach, encoder)
    made, learnt = fitted(replace(pupils, labels=labels), asked, heads, (teach, held))
    if tail is not None:
        made = replace(made, match=_matched(tail, pupils, held))
    figures = judge(made, pupils.features[judges], labels.of(rows(judges)))
    return made, {
        "people": [len(np.unique(pupils.person[part])) for part in (teach, held, judges)],
        "pictures": len(judges),
        "weights": dict(made.weights),
        "decay": {kind: one.decay for kind, one in learnt.items()},
        "steps": {kind: one.steps for kind, one in learnt.items()},
        "judged": figures,
    }


def fitted(
    pupils: Pupils, asked: HeadsRequest, heads: tuple[Head, ...], parts: tuple[Indices, Indices]
) -> tuple[Heads, dict[str, Learnt]]:
    """``heads`` trained on the pictures of the first of ``parts``; the second stops and calibrates.

    The labels of ``pupils`` have the columns that the heads read.
    """
    teach, held = parts
    scaling = Scaling.of(pupils.features[teach])
    taught, stopping = (
        Lesson(features=scaling(pupils.features[part]), labels=pupils.labels.of(rows(part)))
        for part in (teach, held)
    )
    learnt = train_heads(heads, taught, stopping, asked.training)
    weights = asked.weights or uncertainty_weights({k: one.loss for k, one in learnt.items()})
    arrays = {name: array for one in learnt.values() for name, array in one.arrays.items()}
    made = Heads(
        trunk=pupils.trunk,
        heads=heads,
        scaling=scaling,
        arrays=arrays,
        weights=checked_weights(weights, heads),
        calibration=calibrated(heads, arrays, stopping),
    )
    return made, learnt


def heads_of(
    pupils: Pupils, asked: HeadsRequest, counted: Indices, encoder: TextEncoder | None = None
) -> tuple[tuple[Head, ...], PictureLabels]:
    """The heads to train, weighed by counts of the ``counted`` pictures, and labels as they read.

    An attribute that fewer than ``LEAST`` of those pictures show, or lack, is left out.
    """
    labels, taught = pupils.labels, pupils.labels.of(rows(counted))
    heads: list[Head] = []
    if "attributes" in asked.kinds:
        columns, head = _attributes(pupils.names, taught)
        heads.append(head)
        labels = replace(labels, attributes=labels.attributes[:, rows(columns)])  # type: ignore[index]
    if "age" in asked.kinds:
        heads.append(AgeHead(cuts=asked.cuts))
    if "gender" in asked.kinds:
        said = np.empty(0) if taught.gender is None else taught.gender.numpy()
        heads.append(GenderHead(female=int((said == 1).sum()), male=int((said == 0).sum())))
    if "words" in asked.kinds:
        if encoder is None:
            raise ConfigError("words are trained in the space of a text encoder: name one")
        bank = prompt_bank(encoder)
        heads.append(WordsHead(size=encoder.size, encoder=encoder.hash, bank=bank))
    return tuple(heads), labels


def rows(part: Indices) -> Any:
    """``part`` as labels take it."""
    import torch

    return torch.from_numpy(part)


def _attributes(names: tuple[str, ...], taught: PictureLabels) -> tuple[Indices, AttributesHead]:
    if taught.attributes is None:
        raise DataSetError("no attribute is labelled that a head may learn")
    said = taught.attributes.numpy()
    shown, absent = (said == 1).sum(axis=0), (said == 0).sum(axis=0)
    columns = np.flatnonzero(np.minimum(shown, absent) >= LEAST)
    if not len(columns):
        raise DataSetError(f"no attribute has {LEAST} pictures with it and {LEAST} without it")
    return columns, AttributesHead(
        names=tuple(names[c] for c in columns),
        shown=tuple(shown[columns].tolist()),
        absent=tuple(absent[columns].tolist()),
    )


def calibrated(
    heads: Sequence[Head], arrays: Mapping[str, Features], held: Lesson
) -> dict[str, Platt]:
    """The calibration of each head that has one, by people who taught it nothing."""
    found = {h.kind: calibrate(h, arrays, held.features, held.labels) for h in heads}
    return {kind: line for kind, line in found.items() if line is not None}


def _matched(tail: Tail, pupils: Pupils, held: Indices) -> Platt | None:
    """Of the cosines of the held people; None where nobody of them has two pictures."""
    scores = Pairs.of(pupils.person[held]).score(tail.embed(pupils.features[held]))
    if not len(scores.genuine) or not len(scores.impostor):
        return None
    return match_calibration(scores.genuine, scores.impostor)


def _parts(person: Indices, seed: int) -> tuple[Indices, Indices, Indices]:
    people = np.unique(person)
    if len(people) < 10:
        raise DataSetError("heads need at least ten public people: to teach, to stop and to judge")
    order = np.random.default_rng([seed, 29]).permutation(people)
    first, second = (round(len(people) * end) for end in np.cumsum(PARTS))
    groups = order[:first], order[first:second], order[second:]
    teach, held, judges = (np.flatnonzero(np.isin(person, group)) for group in groups)
    return teach, held, judges
