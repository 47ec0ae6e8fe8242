"""`mascaron-admin plan price`: what a budget buys, before any site is asked."""

import math
from typing import Any

from common.errors import ConfigError
from common.moments.reference import MEAN_SHARE
from common.privacy.calibrate import split_budget

SHARES = {"mean": MEAN_SHARE, "scatter": 1 - MEAN_SHARE}  # of the budget; released once each
SITES = 16  # of the comparison between noise at each site and distributed noise


def price_command(epsilon: float, delta: float, people: int) -> dict[str, Any]:
    """The noise of the two moment releases of a run that costs ``epsilon`` at ``delta``.

    ``people`` is the declared number of a site. Noise is the standard deviation in one coordinate
    of the average over people, as a share of ``clip``, the most that one person contributes.
    Raises ``ConfigError`` for a budget nobody can mean.
    """
    if not (0 < epsilon < math.inf and 0 < delta < 1):
        raise ConfigError("epsilon must be positive and finite, and delta in (0, 1)")
    if people < 1:
        raise ConfigError(f"people must be at least 1, got {people}")
    try:
        sigmas = split_budget(epsilon, delta, tuple(SHARES.values()))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return {
        "epsilon": epsilon,
        "delta": delta,
        "people": people,
        "adjacency": "add or remove one person with all pictures",
        "releases": {
            name: _release(sigma, people) for name, sigma in zip(SHARES, sigmas, strict=True)
        },
    }


def _release(sigma: float, people: int) -> dict[str, float]:
    """Independent noises of n sites add up to sqrt(n) of one; distributed noise stays at one."""
    pooled = SITES * people
    return {
        "noise_multiplier": sigma,
        "noise_of_one_site_in_clips": sigma / people,
        f"noise_of_{SITES}_sites_in_clips": math.sqrt(SITES) * sigma / pooled,
        f"noise_of_{SITES}_sites_distributed_in_clips": sigma / pooled,
        f"distributed_noise_is_smaller_by_{SITES}_sites": math.sqrt(SITES),
    }
