"""Invented people for an audit: each alone in a direction of their own, in or out by a fair coin.

They have no faces, and what they release costs nobody anything. A canary's two pictures are the
same and far too long, so that whatever clips at the wrong place, or twice, is seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.agent.people import SitePeople
from client.privacy.entropy import Entropy
from client.privacy.objective import register_objective

PICTURES = 2
LENGTH = 16.0  # of a canary's contribution before the clip, in clip norms
OBJECTIVE = "simulations.evidence.canaries:along"

Entropies = Callable[[], Entropy]  # one for each place that draws


@dataclass(eq=False)
class Canaries:
    """``count`` canaries of one site, each in with probability ``share`` in every release anew.

    ``inside`` has one row a release: who was in it.
    """

    count: int
    coins: Entropy
    share: float = 0.5
    inside: list[NDArray[np.bool_]] = field(default_factory=list)

    def begin(self, run: str) -> None:
        """Nobody is held to a run: every release has people of its own."""

    def of(self, run: str) -> SitePeople:
        """Those who are in the next release."""
        self.inside.append(self.coins.uniform(self.count) < self.share)
        return canary_people(self.inside[-1])


def canary_people(inside: NDArray[np.bool_]) -> SitePeople:
    """The canaries of ``inside`` (K,) that are in, with features (.., K) along their own axes."""
    person = np.repeat(np.flatnonzero(inside), PICTURES)
    features = np.zeros((len(person), len(inside)), np.float32)
    features[np.arange(len(person)), person] = LENGTH
    return SitePeople(features, person)


class Along:
    """The loss whose gradient is a person's mean feature: what canaries are released through."""

    def __init__(self, module: nn.Module, negatives: Tensor, scale: float) -> None:
        self._scale = scale

    def __call__(self, module: nn.Module, bag: Tensor) -> Tensor:
        # Without the bias, which all of them share.
        moved: Tensor = module(bag) - module(torch.zeros_like(bag))
        return self._scale * moved.sum() / len(bag)


def along(module: nn.Module, negatives: Tensor, scale: float) -> Along:
    """Makes the objective of one step; see :class:`Along`."""
    return Along(module, negatives, scale)


def know_canaries() -> None:
    """Lets agents of this process be asked for the gradient of canaries."""
    register_objective(OBJECTIVE, along)
