"""What a list of Gaussian releases costs: epsilon for a delta, never below the truth.

Everything priced here is a Gaussian mechanism on a sum of clipped contributions, one a person,
with the people Poisson-sampled at ``rate`` (1 means everybody). Adjacency: add or remove one
person. Without sampling the composition is again one Gaussian and the answer is a closed form
(Balle & Wang 2018, arXiv:1805.06083, theorem 8); otherwise the privacy loss is convolved
numerically (Gopi et al. 2021, arXiv:2106.02848, through Opacus), which reports an upper bound.
Central-limit approximations are used nowhere: they report less than was spent.
"""

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from opacus.accountants.analysis.prv.prvs import DiscretePRV

EPSILON_ERROR = 0.01  # what the convolution adds on top, so that it never reports too little
LEAST_SIGMA = 1e-3  # less noise than this is priced as none
ROUNDING = 1e-6  # added to the closed form: far above any rounding error, far below any figure
_MOST_SIGMA = 1e9
_MOST_REACH = 700.0  # e to this power is still a float64
_MOST_POINTS = 2**23
_LEAST_DELTA = 1e-10  # below it, the rounding of a float64 convolution would dominate
_TURN = threading.Lock()  # a convolution may take gigabytes: one at a time, whoever asks
_LARGE = tuple(float(2**k * m // 4) for k in range(4, 10) for m in range(4, 8))
_ORDERS = (1.1, 1.25, 1.5, 1.75, *map(float, range(2, 16)), *_LARGE)


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """``steps`` applications of one sampled Gaussian mechanism."""

    sigma: float  # noise multiplier: standard deviation of the noise over the L2 sensitivity
    rate: float = 1.0  # Poisson sampling probability of each person
    steps: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.sigma <= _MOST_SIGMA:
            raise ValueError(f"sigma must be in [0, {_MOST_SIGMA:g}], got {self.sigma}")
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must be in (0, 1], got {self.rate}")
        if self.steps < 0:
            raise ValueError(f"steps must not be negative, got {self.steps}")


def epsilon(events: Iterable[Event], delta: float) -> float:
    """The smallest epsilon this project is ready to state for all ``events`` together at ``delta``.

    Guarantee: the adaptive composition of the events is (epsilon, delta)-DP under adding or
    removing one person. Nothing costs 0; a release without noise (or with next to none) costs
    infinity.
    """
    if not 0 < delta < 1:
        raise ValueError(f"delta must be in (0, 1), got {delta}")
    history = canonical(events)
    if any(event.sigma < LEAST_SIGMA for event in history):
        return math.inf
    if all(event.rate == 1 for event in history):
        return gaussian_epsilon(_mu(history), delta) + ROUNDING if history else 0.0
    return _convolved_epsilon(history, delta)


def delta_of(events: Iterable[Event], epsilon: float) -> float:
    """The delta at which all ``events`` together are ``epsilon``-DP; an upper bound."""
    if not epsilon >= 0:
        raise ValueError(f"epsilon must not be negative, got {epsilon}")
    history = canonical(events)
    if any(event.sigma < LEAST_SIGMA for event in history):
        return 1.0
    if all(event.rate == 1 for event in history):
        return gaussian_delta(_mu(history), epsilon)
    return _convolved_delta(history, epsilon)


def canonical(events: Iterable[Event]) -> tuple[Event, ...]:
    """The same spend with equal events counted together, in a fixed order: a key for caches."""
    steps: dict[tuple[float, float], int] = {}
    for event in events:
        key = float(event.sigma), float(event.rate)
        steps[key] = steps.get(key, 0) + event.steps
    return tuple(Event(*key, count) for key, count in sorted(steps.items()) if count)


@lru_cache(maxsize=4096)
def gaussian_epsilon(mu: float, delta: float) -> float:
    """Epsilon of one Gaussian release whose sensitivity is ``mu`` standard deviations."""
    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while gaussian_delta(mu, high) > delta:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        if gaussian_delta(mu, middle) > delta:
            low = middle
        else:
            high = middle
    return high


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu): Balle & Wang 2018, eq. 6."""
    if mu == 0:
        return 0.0
    kept = _log_phi(mu / 2 - epsilon / mu)
    lost = epsilon + _log_phi(-mu / 2 - epsilon / mu)
    return max(0.0, -math.exp(kept) * math.expm1(min(0.0, lost - kept)))


def _mu(history: tuple[Event, ...]) -> float:
    return math.sqrt(math.fsum(event.steps / event.sigma**2 for event in history))


def _log_phi(x: float) -> float:
    """Logarithm of the standard normal distribution function, also far in the lower tail."""
    if x > -30:
        return math.log(math.erfc(-x / math.sqrt(2)) / 2)
    square = x * x
    series = 1 - 1 / square + 3 / square**2 - 15 / square**3
    return -square / 2 - math.log(-x * math.sqrt(2 * math.pi)) + math.log(series)


@lru_cache(maxsize=4096)
def _convolved_epsilon(history: tuple[Event, ...], delta: float) -> float:
    bound = _renyi_epsilon(history, delta)
    if delta < _LEAST_DELTA:
        return bound
    error = delta / 1000
    try:
        with _TURN:
            loss = _privacy_loss(history, error)
            _, _, upper = loss.compute_epsilon(delta, error, EPSILON_ERROR)
    except (ValueError, RuntimeError, MemoryError):
        return bound  # outside what the convolution can represent; looser, still an upper bound
    return min(max(0.0, float(upper)), bound) if math.isfinite(upper) else bound


def _convolved_delta(history: tuple[Event, ...], epsilon: float) -> float:
    try:
        with _TURN:
            loss = _privacy_loss(history, _LEAST_DELTA)
    except (ValueError, RuntimeError, MemoryError):
        return 1.0
    # Rounding and truncation both move the estimate; each is paid for in its own currency.
    estimate = float(loss.compute_delta_estimate(max(0.0, epsilon - EPSILON_ERROR)))
    return min(1.0, estimate + 2 * _LEAST_DELTA) if math.isfinite(estimate) else 1.0


def renyi(events: Iterable[Event], orders: Sequence[float]) -> "NDArray[np.float64]":
    """The Renyi divergence of all ``events`` together, at most, at each of ``orders`` (K,) > 1.

    Mironov 2017, arXiv:1702.07476. Infinite where it is unknown; nothing costs 0.
    """
    import numpy as np
    from opacus.accountants.analysis import rdp

    def divergences(event: Event) -> Any:
        # The series of fractional orders hardly converges under much noise; order 2 bounds them.
        least = 2.0 if event.sigma > 20 else 1.0
        return np.asarray(
            rdp.compute_rdp(
                q=event.rate,
                noise_multiplier=event.sigma,
                steps=event.steps,
                orders=[max(order, least) for order in orders],
            )
        )

    total = np.zeros(len(orders))
    with np.errstate(all="ignore"):
        for event in canonical(events):
            total += divergences(event) if event.sigma >= LEAST_SIGMA else math.inf
    return np.where(np.isnan(total), math.inf, total)


def renyi_epsilon(
    divergences: "NDArray[np.float64]", orders: Sequence[float], delta: float
) -> float:
    """Epsilon at ``delta`` of what has these ``divergences`` (K,) at ``orders`` (K,): the best one.

    Canonne, Kamath & Steinke 2020, arXiv:2004.00010, proposition 12.
    """
    import numpy as np

    at = np.asarray(orders, np.float64)
    with np.errstate(all="ignore"):
        bounds = divergences + np.log1p(-1 / at) - (math.log(delta) + np.log(at)) / (at - 1)
    return max(0.0, float(np.min(bounds, where=np.isfinite(bounds), initial=math.inf)))


def _renyi_epsilon(history: tuple[Event, ...], delta: float) -> float:
    """Loose, and sound where the convolution cannot go."""
    return renyi_epsilon(renyi(history, _ORDERS), _ORDERS, delta)


@lru_cache(maxsize=4)  # up to 64 MB each, and whoever offers charters chooses how many there are
def _privacy_loss(history: tuple[Event, ...], delta_error: float) -> "DiscretePRV":
    """The composed privacy loss on a grid whose mesh keeps the error below ``EPSILON_ERROR``."""
    import numpy as np
    from opacus.accountants.analysis import prv

    unsampled = tuple(event for event in history if event.rate == 1)
    parts = [(e.rate, e.sigma, e.steps) for e in history if e.rate < 1]
    if unsampled:
        parts.append((1.0, 1 / _mu(unsampled), 1))  # Gaussians compose to one Gaussian, exactly
    losses = [prv.PoissonSubsampledGaussianPRV(rate, sigma) for rate, sigma, _ in parts]
    steps = [count for _, _, count in parts]
    with np.errstate(all="ignore"):  # log(0) and exp overflow sit outside the support
        reach = _reach(history, delta_error)
        mesh = EPSILON_ERROR / math.sqrt(sum(steps) * math.log(12 / delta_error) / 2)
        if not (reach < _MOST_REACH and reach / mesh < _MOST_POINTS):
            raise ValueError("the privacy loss does not fit on a grid of reasonable size")
        domain = prv.Domain.create_aligned(-reach, reach, mesh)
        grids = [
            prv.discretize(
                prv.TruncatedPrivacyRandomVariable(loss, domain.t_min, domain.t_max), domain
            )
            for loss in losses
        ]
        return prv.compose_heterogeneous(grids, steps)


def _reach(history: tuple[Event, ...], delta_error: float) -> float:
    """How far the grid must go so that what lies outside fits in ``delta_error`` (remark 5.6)."""
    steps = sum(event.steps for event in history)
    single = (_renyi_epsilon((replace(e, steps=1),), delta_error / (8 * steps)) for e in history)
    return max(_renyi_epsilon(history, delta_error / 4), *single, EPSILON_ERROR) + 3
