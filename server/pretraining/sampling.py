"""Whose picture comes next: as many people have few pictures, that decides who is learned.

``pictures``: every picture once before any comes again, so that people come as often as they have
pictures. ``people``: everybody alike. ``root``: by the square root of their pictures, in between
(Mahajan et al. 2018, arXiv:1805.00932).
"""

import numpy as np
from numpy.typing import NDArray

from common.faces.crops import Indices
from server.pretraining.options import PretrainOptions, Sampling

_POWER: dict[Sampling, float] = {"pictures": 1.0, "people": 0.0, "root": 0.5}


class Sampler:
    """Draws batches of pictures (B,) out of N, whose people are ``label`` (N,) in 0..P-1.

    ``left`` are the pictures still to come of a pass over all; with it and the generator's state
    the drawing goes on as if it had never stopped.
    """

    def __init__(self, label: NDArray[np.int64], options: PretrainOptions) -> None:
        self.label, self.options = label, options
        self.size = min(options.batch, len(label))
        self.left: Indices = np.empty(0, np.int64)
        counts = np.bincount(label).astype(np.float64)
        people = counts ** _POWER[options.sampling]
        self._people = people / people.sum()  # (P,)
        self._pictures = (self._people / counts)[label]  # (N,)
        self._of = np.split(np.argsort(label, kind="stable"), np.cumsum(counts[:-1]).astype(int))

    def draw(self, rng: np.random.Generator) -> Indices:
        """The pictures of the next batch; none comes twice within it."""
        if self.options.loss == "triplet":
            return self._groups(rng)
        if self.options.sampling == "pictures":
            return self._pass(rng)
        return rng.choice(len(self.label), self.size, replace=False, p=self._pictures)

    def _pass(self, rng: np.random.Generator) -> Indices:
        if len(self.left) < self.size:
            self.left = rng.permutation(len(self.label))
        drawn, self.left = self.left[: self.size], self.left[self.size :]
        return drawn

    def _groups(self, rng: np.random.Generator) -> Indices:
        """``views`` pictures, or all there are, of each of a few people."""
        views = self.options.views
        number = min(len(self._people), max(2, self.size // views))
        people = rng.choice(len(self._people), number, replace=False, p=self._people)
        return np.concatenate([rng.permutation(self._of[p])[:views] for p in people])
