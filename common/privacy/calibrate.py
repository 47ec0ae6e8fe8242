"""How much noise a budget buys: the accountant turned around, always rounded to more noise."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from common.privacy.accountant import Event, epsilon

_MORE = 1 + 1e-12  # pushes rounding errors to the private side


@lru_cache(maxsize=1024)
def sigma_for(target: float, delta: float, rate: float = 1.0, steps: int = 1) -> float:
    """The smallest noise multiplier at which ``steps`` releases cost at most ``target``.

    Raises ValueError for a target that is not positive and finite.
    """
    if not 0 < target < math.inf:
        raise ValueError(f"epsilon must be positive and finite, got {target}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    # Without sampling, steps releases at sqrt(steps) sigma cost what one costs at sigma.
    repeats, scale = (1, math.sqrt(steps) * _MORE) if rate == 1 else (steps, 1.0)
    tolerance = 1e-12 if rate == 1 else 1e-4

    def fits(sigma: float) -> bool:
        return epsilon((Event(sigma, rate, repeats),), delta) <= target

    low, high = 0.0, 1.0
    while not fits(high):
        low, high = high, 2 * high
        if high > 1e9:
            raise ValueError(f"no amount of noise reaches epsilon {target} at delta {delta}")
    while high - low > tolerance * high:
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high * scale


def scaled_to_budget(
    events: Sequence[Event], target: float, delta: float, tolerance: float = 1e-3
) -> float:
    """The factor on every sigma of ``events`` at which together they cost at most ``target``.

    Raises ValueError if even a thousandfold noise is too little.
    """
    low, high = 0.0, 1.0

    def fits(factor: float) -> bool:
        scaled = tuple(replace(event, sigma=event.sigma * factor) for event in events)
        return epsilon(scaled, delta) <= target

    while not fits(high):
        low, high = high, 2 * high
        if high > 1000:
            raise ValueError(f"no amount of noise reaches epsilon {target} at delta {delta}")
    while high - low > tolerance * high:
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def split_budget(target: float, delta: float, shares: Sequence[float]) -> tuple[float, ...]:
    """Noise multipliers of Gaussian releases that together cost ``target`` at ``delta``.

    ``shares`` are positive weights: a release with twice the share gets half the noise variance.
    The precision 1/sigma^2 is what adds up under composition, so that is what is divided.
    """
    if not shares or any(not 0 < share < math.inf for share in shares):
        raise ValueError("every share must be positive and finite, and there must be one")
    whole, total = sigma_for(target, delta), math.fsum(shares)
    return tuple(whole * math.sqrt(total / share) * _MORE for share in shares)
