"""How sure a share of independent trials is: the score interval (Wilson 1927, JASA 22)."""

import math
from statistics import NormalDist


def wilson(hits: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of the share behind ``hits`` of ``trials``; (0, 1) where nothing was tried."""
    if not 0 <= hits <= trials:
        raise ValueError(f"{hits} hits of {trials} trials")
    if not trials:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share, spread = hits / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    # At the ends the formula gives the end itself, but for rounding.
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == trials else middle + half)
