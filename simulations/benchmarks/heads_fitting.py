"""Heads and linear probes taught by other people, each picture read once.

People are dealt into parts; each part is read by heads of the people of all others, of whom a fifth
says when to stop and calibrates. The private heads are trained by the private step itself, over
people, and use of that fifth alone what has to be public: counts, scaling and calibration.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from client.privacy.joint import Person, Trained
from client.privacy.sampler import poisson
from client.privacy.step import private_step, sgd
from common.attacks.attributes import Probe
from common.heads.attributes import AttributesHead
from common.heads.head import joint_loss
from common.heads.heads import Heads
from common.heads.joint import Lesson
from common.heads.judging import even, scores_of, truth_of
from common.heads.scaling import Scaling
from common.privacy.calibrate import sigma_for
from server.heads import HeadsRequest, Indices, Pupils, calibrated, fitted, heads_of, rows
from simulations.entropy import SeededEntropy

STOPPING = 5  # one person in so many of those who teach stops and calibrates instead
RIDGE = 1e-2  # of the variance of the features

Doubles = NDArray[np.float64]
Fit: TypeAlias = Callable[[Pupils, Indices, Indices], Heads]


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """DP-SGD over people: ``steps`` with each person by a coin of ``rate``."""

    epsilon: float
    delta: float = 1e-4
    steps: int = 60
    rate: float = 0.5
    learning_rate: float = 4.0
    clip: float = 1.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Told:
    """What was said of N pictures by heads that others taught: ``scores`` and calibrated
    ``probability`` (N, A), beside ``truth`` (N, A) in {1, 0, -1}."""

    names: tuple[str, ...]
    scores: Doubles
    probability: Doubles
    truth: NDArray[np.int8]


def public_fit(asked: HeadsRequest) -> Fit:
    """Heads as `mascaron-admin heads train` makes them."""

    def fit(pupils: Pupils, teach: Indices, held: Indices) -> Heads:
        heads, labels = heads_of(pupils, asked, teach)
        return fitted(replace(pupils, labels=labels), asked, heads, (teach, held))[0]

    return fit


def private_fit(asked: HeadsRequest, budget: Budget) -> Fit:
    """Heads by private steps over the people who teach, all in one clipped sum.

    The noise is seeded, so these figures protect nobody.
    """

    def fit(pupils: Pupils, teach: Indices, held: Indices) -> Heads:
        heads, labels = heads_of(pupils, asked, held)
        scaling = Scaling.of(pupils.features[held])
        seen = torch.from_numpy(scaling(pupils.features))
        whose = pupils.person[teach]
        mine = [rows(teach[whose == person]) for person in np.unique(whose)]
        persons = [Person(seen[own], labels.of(own)) for own in mine]
        generator = torch.Generator().manual_seed(budget.seed)
        width = len(scaling.centre)
        drawn = {n: a for head in heads for n, a in head.arrays(width, generator).items()}
        module = Trained(torch.nn.Linear(1, 1), drawn, frozen=True)
        weights = {head.kind: 1.0 for head in heads}

        def loss(_: torch.nn.Module, person: Person) -> torch.Tensor:
            return joint_loss(heads, weights, module.arrays, person.bag, person.labels)

        entropy = SeededEntropy(budget.seed, 31)
        optimizer = sgd(
            module,
            rate=budget.learning_rate / (budget.rate * len(persons)),
            sigma=sigma_for(budget.epsilon, budget.delta, budget.rate, budget.steps),
            clip=budget.clip,
            entropy=entropy,
        )
        for _ in range(budget.steps):
            chosen = poisson(len(persons), budget.rate, entropy)
            private_step(module, loss, [persons[i] for i in chosen], optimizer)
        arrays = {n: a.detach().numpy().astype(np.float32) for n, a in module.arrays.items()}
        held_out = Lesson(features=scaling(pupils.features[held]), labels=labels.of(rows(held)))
        return Heads(
            trunk=pupils.trunk,
            heads=heads,
            scaling=scaling,
            arrays=arrays,
            weights=weights,
            calibration=calibrated(heads, arrays, held_out),
        )

    return fit


def dealt(person: Indices, parts: int, seed: int) -> Indices:
    """The part (N,) that each picture is in; nobody is in two."""
    people, number = np.unique(person, return_inverse=True)
    order = np.random.default_rng([seed, 37]).permutation(len(people))
    return np.asarray((order % parts)[number], np.int64)


def cross_fitted(pupils: Pupils, part: Indices, fit: Fit) -> dict[str, Told]:
    """By kind, what heads that the other parts taught say of each picture."""
    told: dict[str, Told] = {}
    for number in range(int(part.max()) + 1):
        here, rest = np.flatnonzero(part == number), np.flatnonzero(part != number)
        stops = dealt(pupils.person[rest], STOPPING, number) == 0
        heads = fit(pupils, rest[~stops], rest[stops])
        seen = heads.scaling(pupils.features[here])
        for head in heads.heads:
            scores = scores_of(head, heads.arrays, seen)
            if head.kind not in told:
                told[head.kind] = _nothing(pupils, heads, head.kind)
            mine = told[head.kind]
            columns = np.arange(scores.shape[1])
            if isinstance(head, AttributesHead):
                columns = np.array([mine.names.index(name) for name in head.names])
            mine.scores[np.ix_(here, columns)] = scores - even(head)
            mine.probability[np.ix_(here, columns)] = heads.line(head.kind)(scores)
    return told


def probed(features: NDArray[np.float32], truth: NDArray[np.int8], part: Indices) -> Doubles:
    """(N, A) scores of logistic probes that the other parts taught; labels must not be missing."""
    scores = np.zeros(truth.shape)
    for number in range(int(part.max()) + 1):
        here = part == number
        probe = Probe.fit(features[~here], truth[~here] == 1)
        scores[here] = (features[here] - probe.centre) / probe.scale @ probe.weight + probe.bias
    return scores


def regressed(features: NDArray[np.float32], years: Doubles, part: Indices) -> Doubles:
    """(N,) years by ridge regression on the features of the other parts."""
    found = np.zeros(len(years))
    for number in range(int(part.max()) + 1):
        here = part == number
        x, y = np.asarray(features[~here], np.float64), years[~here]
        centre, middle = x.mean(axis=0), y.mean()
        spread = (x - centre).T @ (x - centre)
        spread += (RIDGE * np.trace(spread) / len(spread) + 1e-9) * np.eye(len(spread))
        weight = np.linalg.solve(spread, (x - centre).T @ (y - middle))
        found[here] = (features[here] - centre) @ weight + middle
    return found


def _nothing(pupils: Pupils, heads: Heads, kind: str) -> Told:
    head = heads.head(kind)
    if kind == "attributes" and pupils.labels.attributes is not None:
        truth, names = pupils.labels.attributes.numpy(), pupils.names
    else:
        found = None if head is None else truth_of(head, pupils.labels)
        truth = np.empty((0, 0), np.int8) if found is None else found
        names = (kind,) * truth.shape[1]
    zero = np.zeros(truth.shape)
    return Told(names=names, scores=zero, probability=zero + 0.5, truth=truth)
