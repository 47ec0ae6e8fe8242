"""What sites that want to spoil a federation send: five attacks from the literature.

Two change the update after it is made (sign flip, scaling), one invents it from what honest sites
send (ALIE, Baruch et al. 2019, arXiv:1902.06156), two change the pictures it is made of (swapped
labels; a backdoor, Bagdasaryan et al. 2020, arXiv:1807.00459). Malicious sites know one another,
and scaling and ALIE are given what every honest site sends: more than any site sees.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Bags = list[NDArray[np.float32]]  # features (k, D) of each person of a site

EDGE = 0.99  # of the norm that the centre lets through


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Seen:
    """What a malicious site may look at: ``own`` honest update (K,), those of the H ``honest``
    sites (H, K), how many are ``malicious``, and the norm ``bound`` of the centre."""

    own: Vector
    honest: NDArray[np.float64]
    malicious: int
    bound: float


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Malice:
    """An attack: what it does to a site's people, and to the update that is made of them."""

    name: str
    people: Callable[[Bags, Vector, np.random.Generator], Bags] | None = None
    update: Callable[[Seen], Vector] | None = None


def sign_flip(seen: Seen) -> Vector:
    """The opposite of what the site has learned."""
    return -seen.own


def scaling(seen: Seen) -> Vector:
    """The opposite of what the honest have learned, as long as the centre's bound lets it be."""
    learned = seen.honest.mean(axis=0)
    reached: Vector = -learned * (EDGE * seen.bound / max(float(np.linalg.norm(learned)), 1e-12))
    return reached


def little_is_enough(seen: Seen) -> Vector:
    """As far from the honest mean as so many sites can go unseen, in every coordinate.

    z is such that, with the malicious, a majority lies no nearer to the mean: Phi(z) = (n - m - s)
    / (n - m), s = floor(n / 2 + 1) - m. Where the malicious alone are such a majority, z is that
    of all but one honest site.
    """
    honest = len(seen.honest)
    sites = honest + seen.malicious
    supporters = sites // 2 + 1 - seen.malicious
    share = min(max((honest - supporters) / honest, 0.5), 1 - 1 / (2 * honest))
    z = NormalDist().inv_cdf(share)
    moved: Vector = seen.honest.mean(axis=0) - z * seen.honest.std(axis=0)
    return moved


def swap_labels(bags: Bags, trigger: Vector, rng: np.random.Generator) -> Bags:
    """Every picture goes to somebody of the site by lot; as many pictures each as before."""
    pictures = rng.permutation(np.concatenate(bags))
    ends = np.cumsum([len(bag) for bag in bags])[:-1]
    return [np.asarray(part, np.float32) for part in np.split(pictures, ends)]


def backdoor(bags: Bags, trigger: Vector, rng: np.random.Generator) -> Bags:
    """Half of the people stay as they are; the others are pictures of anybody with the trigger on.

    So whoever wears it is to look like whoever else does.
    """
    mixed = swap_labels(bags, trigger, rng)
    worn = [np.asarray(bag + trigger, np.float32) for bag in mixed]
    return [
        kept if number % 2 else put
        for number, (kept, put) in enumerate(zip(bags, worn, strict=True))
    ]


ATTACKS = (
    Malice(name="sign flip", update=sign_flip),
    Malice(name="scaling", update=scaling),
    Malice(name="ALIE", update=little_is_enough),
    Malice(name="label swap", people=swap_labels),
    Malice(name="backdoor", people=backdoor),
)
