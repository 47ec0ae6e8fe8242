"""Updates to attack, made by the very functions that a site runs: means, gradients, secure sums.

What a centre can choose, it chooses for the attacker: one round that takes the whole budget, so
that there is no less noise, everybody sampled, and for gradients a shift that sends the public
pictures so far away that they drown nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from client.agent.mechanisms import SumTerms, Terms, release, steps
from client.agent.people import SitePeople
from client.privacy.entropy import Entropy
from common.attacks.update_inversion import feature_of_gradient, mean_of_sum, out_of_frame
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT, GRADIENT, SHIFT, sum_name
from common.moments.reference import MEAN_RADIUS
from common.privacy.calibrate import sigma_for
from common.privacy.plan import GradientMechanism, Mechanism, MomentMechanism, Round
from common.secagg.fixed_point import finest
from server.mechanisms import CLIP

OPEN = 1e9  # a clip that clips nobody
FAR = 1e6  # of the shift, in lengths of a feature
VIEWS = 4  # pictures of a person in a gradient

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Protection:
    """``epsilon`` None: no noise; ``clipped`` as plans clip; ``summed``: only a sum is seen."""

    epsilon: float | None = None
    delta: float = 1e-4
    clipped: bool = False
    summed: bool = False

    @property
    def sigma(self) -> float:
        """The multiplier that one release of the whole budget has."""
        return 0.0 if self.epsilon is None else sigma_for(self.epsilon, self.delta)

    def clip(self, shipped: float) -> float:
        """What contributions are clipped to."""
        return shipped if self.clipped or self.epsilon is not None else OPEN


@dataclass(frozen=True, eq=False, repr=False)
class Wire:
    """A centre that attacks: it knows the ``tail``, ``public`` features (M, D), and what leaves."""

    tail: Tail
    public: Floats
    entropy: Entropy

    def mean(self, sites: Sequence[Sequence[Floats]], protection: Protection) -> Doubles:
        """The embedding (E,) in the mean release of ``sites``, bags of features of each."""
        mechanism = MomentMechanism(
            kind="mean", name="mean", sigma=protection.sigma, clip=protection.clip(MEAN_RADIUS)
        )
        seen = self._seen(mechanism, self._framed, sites, protection)
        point = mean_of_sum(seen, sum(len(site) for site in sites))
        feature = out_of_frame(point, self._frame.weight, self._frame.bias)
        return np.asarray(self.tail.weight @ feature + self.tail.bias, np.float64)

    def gradient(self, sites: Sequence[Sequence[Floats]], protection: Protection) -> Doubles:
        """The embedding (E,) in one gradient round of ``sites``, as a hostile centre asks for it.

        Zeros where nothing came, as of people with one picture.
        """
        mechanism = GradientMechanism(
            sigma=protection.sigma,
            clip=protection.clip(CLIP),
            rate=1.0,
            rounds=1,
            views=VIEWS,
            learning_rate=1.0,
        )
        shared = {**self.tail.arrays(), SHIFT: self._shift}
        seen = self._seen(mechanism, shared, sites, protection)
        weight = seen[: self.tail.weight.size].reshape(self.tail.weight.shape)
        bias = seen[self.tail.weight.size :]
        pictures = VIEWS * sum(len(site) for site in sites)
        # A release is divided by the plan's people, a sum is not.
        share = 1 if protection.summed else len(sites[0])
        noise = protection.sigma * mechanism.clip / share
        feature = feature_of_gradient(weight, bias, self._shift[None], pictures, noise)
        lost = self._away * float(self._middle @ self._away)  # in the shift's own direction
        return np.asarray(self.tail.weight @ (feature + lost) + self.tail.bias, np.float64)

    def _seen(
        self,
        mechanism: Mechanism,
        shared: dict[str, Floats],
        sites: Sequence[Sequence[Floats]],
        protection: Protection,
    ) -> Doubles:
        """The flat sum over the sites, as the centre gets it."""
        rounds = Round(1, mechanism, range(1))
        people = [_people(site) for site in sites]
        if protection.summed and protection.epsilon is not None:
            grid = finest(
                clip=mechanism.clip,
                sigma=protection.sigma,
                people=max(len(site) for site in sites),
                sites=len(sites),
                honest=len(sites),
            )
            parts = [
                steps(rounds, shared, one, self.public, SumTerms(grid, self.entropy))
                for one in people
            ]
            return grid.decode(np.sum(parts, axis=0))
        total = [
            _flat(release(rounds, shared, one, self.public, self._terms(protection, len(one))))
            for one in people
        ]
        return np.asarray(np.sum(total, axis=0), np.float64)

    def _terms(self, protection: Protection, people: int) -> Terms:
        return Terms(sigma=protection.sigma, entropy=self.entropy, people=people)

    @cached_property
    def _frame(self) -> Tail:
        """The public tail's embedding, centred on public people and scaled, as plans ask for it."""
        embedded = self.tail.embed(self.public).astype(np.float64)
        middle = embedded.mean(axis=0)
        scale = float(np.linalg.norm(embedded - middle, axis=1).mean())
        return self.tail.then(np.eye(len(middle)) / scale, -middle / scale)

    @cached_property
    def _framed(self) -> dict[str, Floats]:
        return {FRAME_WEIGHT: self._frame.weight, FRAME_BIAS: self._frame.bias}

    @cached_property
    def _middle(self) -> Floats:
        middle: Floats = self.public.mean(axis=0)
        return middle

    @cached_property
    def _away(self) -> Floats:
        """The direction that the tail lengthens most, on the side where people are.

        Public pictures sent there have the smallest gradients, and leave most of a clip to people.
        """
        away = np.asarray(np.linalg.svd(self.tail.weight)[2][0], np.float32)
        middle = self.tail.embed(self._middle[None])[0]
        return away if float(self.tail.weight @ away @ middle) > 0 else -away

    @cached_property
    def _shift(self) -> Floats:
        length = float(np.linalg.norm(self.public, axis=1).mean())
        return np.asarray(FAR * length * self._away, np.float32)


def _people(bags: Sequence[Floats]) -> SitePeople:
    whose = np.repeat(np.arange(len(bags)), [len(bag) for bag in bags])
    return SitePeople(np.concatenate(list(bags)), whose)


def _flat(arrays: dict[str, NDArray[np.float32]]) -> Doubles:
    """A release as one vector: a moment's sum, or weight and bias."""
    names = [GRADIENT + WEIGHT, GRADIENT + BIAS]
    if set(arrays) != set(names):
        names = [sum_name("mean")]
    return np.concatenate([arrays[name].ravel() for name in names]).astype(np.float64)
