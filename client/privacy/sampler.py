"""Who takes part in a step, and with which pictures: independent coins, never a shuffle.

The price of a sampled step assumes that every person is in it by a coin of their own. Shuffled
batches of fixed size look alike and leak up to several times the stated epsilon (Chua et al.
2024, arXiv:2411.10614).
"""

import numpy as np
from numpy.typing import NDArray

from client.privacy.entropy import Entropy


def poisson(people: int, rate: float, entropy: Entropy) -> NDArray[np.int64]:
    """Indices in [0, people) of the persons whose coin of probability ``rate`` fell right.

    Guarantee: each index appears independently of all others; possibly none does.
    Leaks: the sample must stay secret, its size included, for the sampling to be worth anything.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"rate must be in (0, 1], got {rate}")
    return np.flatnonzero(entropy.uniform(people) < rate).astype(np.int64)


def choose(pictures: int, most: int, entropy: Entropy) -> NDArray[np.int64]:
    """At most ``most`` of one person's pictures, without repeats, in increasing order.

    How many a person has changes nothing for anybody else: the draw is the person's own.
    """
    order = np.argsort(entropy.uniform(pictures), kind="stable")
    return np.sort(order[:most]).astype(np.int64)
