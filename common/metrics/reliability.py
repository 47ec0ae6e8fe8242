"""Whether probabilities mean what they say: expected calibration error, and ranking of labels.

Naeini et al. 2015 and Guo et al. 2017 (arXiv:1706.04599): pictures are put into bins of equal width
by their probability; in each, the mean probability should be the share that is true. Labels may be
missing (-1) and count nowhere.
"""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

BINS = 15
MISSING = -1


def expected_calibration_error(
    probability: NDArray[np.floating], truth: NDArray[np.integer], bins: int = BINS
) -> float | None:
    """Mean over labelled pictures of |mean probability - share true| of their bin.

    ``probability`` and ``truth`` (in {1, 0, -1}) have the same shape; None where nothing is
    labelled.
    """
    known = truth != MISSING
    if probability.shape != truth.shape:
        raise ValueError("a probability for every label")
    if not known.any():
        return None
    said, true = np.asarray(probability, np.float64)[known], truth[known] == 1
    place = np.minimum((said * bins).astype(np.int64), bins - 1)
    gap = np.bincount(place, said, bins) - np.bincount(place, true, bins)
    return float(np.abs(gap).sum() / len(said))


def ranking(
    score: NDArray[np.floating], truth: NDArray[np.integer], weight: NDArray[np.floating]
) -> float | None:
    """The area under the ROC curve of ``score`` (N,) for ``truth`` (N,) in {1, 0, -1}.

    The chance that one with the attribute scores above one without, a tie counting half, each
    picture counting ``weight`` (N,) times (of resamples). None where one side is empty.
    """
    known = truth != MISSING
    value, yes, times = score[known], truth[known] == 1, np.asarray(weight, np.float64)[known]
    _, place = np.unique(value, return_inverse=True)
    bins = int(place.max()) + 1 if len(place) else 1
    with_it = np.bincount(place[yes], times[yes], bins)
    without = np.bincount(place[~yes], times[~yes], bins)
    pairs = float(with_it.sum() * without.sum())
    below = np.cumsum(without) - without
    return float((with_it * (below + without / 2)).sum()) / pairs if pairs else None
