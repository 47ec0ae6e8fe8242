"""Whom inversion attacks: people with three pictures, one attacked, one kept to judge by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.attacks.inversion import Victims
from common.errors import ScenarioError
from common.metrics.classification import operating_threshold
from common.metrics.verification import Floats, Pairs, unit_rows
from simulations.evidence.subject import Subject

MOST_TEACHERS = 2000  # pictures of others that a decoder learns from
LEAST = 3  # pictures of a person: two to train on, one that nobody saw


@dataclass(frozen=True, eq=False, repr=False)
class Prey:
    """P people of ``subject.tested``, in an order that chance drew.

    ``own`` (P,) is the picture attacked, ``other`` (P,) one that judges; ``bags`` are the pictures
    that a site trains on: all of the person's but ``other``. ``teachers`` (T,) index pictures of
    ``subject.others``, who share nobody with them and fixed ``threshold``.
    """

    subject: Subject
    own: NDArray[np.int64]
    other: NDArray[np.int64]
    bags: tuple[NDArray[np.int64], ...]
    teachers: NDArray[np.int64]
    threshold: float

    def __len__(self) -> int:
        return len(self.own)

    @property
    def victims(self) -> Victims:
        unit = unit_rows(self.subject.embeddings)
        return Victims(unit[self.own], unit[self.other], self.threshold)

    @property
    def taught(self) -> Floats:
        """(T, E) unit embeddings of the teachers."""
        return unit_rows(self.subject.other_embeddings[self.teachers])

    def bag(self, number: int) -> Floats:
        """The features (k, D) a site has of person ``number``."""
        return self.subject.features[self.bags[number]]


def choose_prey(subject: Subject, most: int, fmr: float, rng: np.random.Generator) -> Prey:
    """``most`` people at most, and the threshold at ``fmr`` over everybody else.

    ``ScenarioError`` where fewer than two have three pictures, or too few others fix a threshold.
    """
    fixed = Pairs.of(subject.others.person).score(subject.other_embeddings)
    threshold = operating_threshold(fixed, fmr)
    if threshold is None:
        raise ScenarioError(
            f"{len(subject.others.people)} people in --threshold-folds have too few pairs to fix "
            f"a threshold at FMR {fmr:g}: name more folds, or a higher --fmr"
        )
    known = [
        p for p, n in zip(subject.tested.people, subject.tested.counts(), strict=True) if n > 2
    ]
    if len(known) < 2:
        raise ScenarioError(f"inversion needs two people with {LEAST} pictures in --folds")
    shown = [rng.permutation(subject.tested.pictures_of(p)) for p in rng.permutation(known)[:most]]
    teachers = rng.permutation(len(subject.others))[:MOST_TEACHERS]
    return Prey(
        subject=subject,
        own=np.array([pictures[0] for pictures in shown]),
        other=np.array([pictures[1] for pictures in shown]),
        bags=tuple(np.delete(pictures, 1) for pictures in shown),
        teachers=np.sort(teachers),
        threshold=threshold,
    )
