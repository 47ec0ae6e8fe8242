"""A battery of tests of randomness for words of 32 bits, as masked vectors have to be."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CHANCE = 1e-4  # of a false alarm for each test, where the randomness is not seeded


def worst_chance(words: list[NDArray[np.uint32]]) -> dict[str, float]:
    """The smallest p value of each test over all vectors: tiny where they are not random."""
    bits = [np.unpackbits(one.view(np.uint8)) for one in words]
    real = [one.astype(np.float64) for one in words]
    return {
        "bytes": min(bytes_chance(one) for one in words),
        "bits": min(stats.binomtest(int(b.sum()), b.size).pvalue for b in bits),
        "runs": min(runs_chance(b) for b in bits),
        "next word": min(stats.pearsonr(one[:-1], one[1:]).pvalue for one in real),
        "other sites": min(
            stats.pearsonr(one, two).pvalue for i, one in enumerate(real) for two in real[i + 1 :]
        ),
    }


def bytes_chance(words: NDArray[np.uint32]) -> float:
    """Chi-square over the 256 values, at each of the four places in a word; both tails."""
    chances = []
    for place in words.view(np.uint8).reshape(-1, 4).T:
        value = float(stats.chisquare(np.bincount(place, minlength=256)).pvalue)
        chances.append(min(value, 1 - value))
    return min(chances)


def runs_chance(bits: NDArray[np.uint8]) -> float:
    """Wald and Wolfowitz: how often neighbouring bits differ."""
    ones, runs = bits.mean(), 1 + int((bits[1:] != bits[:-1]).sum())
    expected = 2 * bits.size * ones * (1 - ones) + 1
    deviation = 2 * np.sqrt(bits.size) * ones * (1 - ones)
    return float(2 * stats.norm.sf(abs(runs - expected) / deviation))
