"""Classic mistakes, planted in the code that ships while a block runs: each must be flagged.

An audit that never spoke proves nothing about the code and something about the audit.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.agent import gradients, mechanisms
from client.agent.training import Training
from client.privacy import integer_noise, moments
from client.privacy.entropy import Entropy
from client.privacy.joint import Person
from client.privacy.step import PersonDPOptimizer
from simulations.entropy import SeededEntropy
from simulations.evidence.mechanism import Effort

# Enough to see any of them; few enough to be repeated hundreds of times.
QUICK = Effort(canaries=64, moments=8, gradients=4, secure_sums=4)


@dataclass(frozen=True)
class Mistake:
    """One mistake, ``made`` of what an attribute was: ``places`` are (owner, attribute)."""

    name: str
    kind: str  # of releases, as ``Effort`` has them
    places: tuple[tuple[Any, str, Callable[[Any], Any]], ...]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """While the block runs, what ships makes this mistake; in this process only."""
        with ExitStack() as stack:
            for owner, attribute, made in self.places:
                before = getattr(owner, attribute)
                stack.callback(setattr, owner, attribute, before)
                setattr(owner, attribute, made(before))
            yield

    @property
    def effort(self) -> Effort:
        """An audit that looks at this kind of release; where people are sampled, at sums too."""
        sampled = self.kind == "sampled"
        looked_at = "moments" if sampled else self.kind
        none = {name: 0 for name in ("moments", "gradients", "secure_sums") if name != looked_at}
        return replace(QUICK, sampled=sampled, **none)


def mistakes() -> tuple[Mistake, ...]:
    """Everything that is planted."""
    step, clipped, grid = PersonDPOptimizer, "clip_and_accumulate", "grid_rows"
    return (
        Mistake("2x sensitivity", "moments", ((moments, "clip_rows", _twice_clipped),)),
        Mistake("2x sensitivity", "gradients", ((step, clipped, _twice_stepped),)),
        Mistake("2x sensitivity", "secure_sums", ((integer_noise, grid, _twice_rounded),)),
        Mistake("per-picture clipping", "moments", ((mechanisms, "contributions", _rows),)),
        Mistake("per-picture clipping", "gradients", ((gradients, "private_step", _steps),)),
        Mistake("per-picture clipping", "secure_sums", ((mechanisms, "contributions", _rows),)),
        Mistake("missing noise", "moments", ((mechanisms, "private_sum", _silent_sum),)),
        Mistake("missing noise", "gradients", ((step, "add_noise", _silent_step),)),
        Mistake("missing noise", "secure_sums", ((integer_noise, _INTEGERS, _silent),)),
        Mistake("reused seed", "moments", ((mechanisms, "private_sum", _same_sum),)),
        Mistake("reused seed", "gradients", ((step, "add_noise", _same_step),)),
        Mistake("reused seed", "secure_sums", ((integer_noise, _INTEGERS, _same),)),
        Mistake("shuffle for Poisson", "sampled", ((gradients, "poisson", _shuffled),)),
        Mistake("uncharged statistic", "moments", ((Training, "train", _with_a_count),)),
        Mistake("uncharged statistic", "gradients", ((Training, "train", _with_a_count),)),
    )


_INTEGERS, _SEED = "discrete_gaussian", 7


def _twice_clipped(clip_rows: Any) -> Any:
    return lambda vectors, clip: clip_rows(vectors, 2 * clip)


def _twice_stepped(clip_and_accumulate: Any) -> Any:
    def twice(self: PersonDPOptimizer) -> None:
        self.max_grad_norm *= 2
        clip_and_accumulate(self)
        self.max_grad_norm /= 2

    return twice


def _twice_rounded(grid_rows: Any) -> Any:
    return lambda vectors, grid: 2 * grid_rows(vectors, grid)


def _rows(contributions: Any) -> Any:
    def each(kind: str, bags: Any, weight: Any, bias: Any) -> Any:
        return contributions(kind, _apart(bags), weight, bias)

    return each


def _steps(private_step: Any) -> Any:
    def each(module: Any, loss: Any, people: Any, optimizer: Any) -> None:
        pictures = [
            Person(person.bag[i : i + 1], person.labels.of(slice(i, i + 1)))
            for person in people
            for i in range(len(person.bag))
        ]
        private_step(module, loss, pictures, optimizer)

    return each


def _apart(bags: Any) -> list[Any]:
    return [bag[i : i + 1] for bag in bags for i in range(len(bag))]


def _silent_sum(private_sum: Any) -> Any:
    return lambda vectors, clip, sigma, entropy: private_sum(vectors, clip, 0.0, entropy)


def _silent_step(add_noise: Any) -> Any:
    def silent(self: PersonDPOptimizer) -> None:
        sigma, self.noise_multiplier = self.noise_multiplier, 0.0
        add_noise(self)
        self.noise_multiplier = sigma

    return silent


def _silent(discrete_gaussian: Any) -> Any:
    return lambda variance, count, entropy: np.zeros(count, np.int64)


def _same_sum(private_sum: Any) -> Any:
    def same(vectors: Any, clip: float, sigma: float, entropy: Entropy) -> Any:
        return private_sum(vectors, clip, sigma, SeededEntropy(_SEED))

    return same


def _same_step(add_noise: Any) -> Any:
    def same(self: PersonDPOptimizer) -> None:
        self._entropy = SeededEntropy(_SEED)
        add_noise(self)

    return same


def _same(discrete_gaussian: Any) -> Any:
    return lambda variance, count, entropy: discrete_gaussian(variance, count, SeededEntropy(_SEED))


def _shuffled(poisson: Any) -> Any:
    epochs: dict[int, list[int]] = {}  # by how many people there are

    def batch(people: int, rate: float, entropy: Entropy) -> NDArray[np.int64]:
        left, size = epochs.get(people, []), round(rate * people)
        if len(left) < size:
            left = np.argsort(entropy.uniform(people)).tolist()
        epochs[people] = left[size:]
        return np.array(left[:size], np.int64)

    return batch


def _with_a_count(train: Any) -> Any:
    def told(self: Training, *asked: Any) -> Any:
        return {**train(self, *asked), "moments.count.sum": np.ones(1, np.float32)}

    return told
