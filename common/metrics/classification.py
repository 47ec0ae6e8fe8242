"""How often the decision "same person" is right, at a threshold that other people have fixed.

The four counts of a two-way decision and the rates they give (van Rijsbergen 1979, Information
Retrieval, ch. 7, for precision, recall and F1; Brodersen et al. 2010 for balanced accuracy).
*Positive* means accepted as the same person. A threshold chosen on the people it is then judged on
flatters the embedder, so the people who fix it and the people who are judged must differ.
"""

from dataclasses import dataclass

import numpy as np

from common.metrics.verification import Scores, threshold_at_far


@dataclass(frozen=True, slots=True)
class Decisions:
    """Counts of pairs, and their rates; a rate whose denominator is 0 is ``None``."""

    true_accepts: int
    false_rejects: int
    false_accepts: int
    true_rejects: int

    @classmethod
    def of(cls, scores: Scores, threshold: float) -> "Decisions":
        """Accepts each pair of ``scores`` whose score is at least ``threshold``."""
        level = np.float32(threshold)
        accepted = int(np.count_nonzero(scores.genuine >= level))
        mistaken = int(np.count_nonzero(scores.impostor >= level))
        return cls(
            true_accepts=accepted,
            false_rejects=len(scores.genuine) - accepted,
            false_accepts=mistaken,
            true_rejects=len(scores.impostor) - mistaken,
        )

    @property
    def pairs(self) -> int:
        return self.true_accepts + self.false_rejects + self.false_accepts + self.true_rejects

    @property
    def accuracy(self) -> float | None:
        """Right decisions among all; says little where nearly all pairs are impostors."""
        return share(self.true_accepts + self.true_rejects, self.pairs)

    @property
    def precision(self) -> float | None:
        """Genuine pairs among the accepted; falls with the share of impostors in the test."""
        return share(self.true_accepts, self.true_accepts + self.false_accepts)

    @property
    def recall(self) -> float | None:
        """Accepted pairs among the genuine: TAR."""
        return share(self.true_accepts, self.true_accepts + self.false_rejects)

    @property
    def specificity(self) -> float | None:
        """Refused pairs among the impostors: 1 - FMR."""
        return share(self.true_rejects, self.true_rejects + self.false_accepts)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall, 2 TA / (2 TA + FA + FR)."""
        wrong = self.false_accepts + self.false_rejects
        return share(2 * self.true_accepts, 2 * self.true_accepts + wrong)

    @property
    def balanced_accuracy(self) -> float | None:
        """The mean of recall and specificity: blind to how many pairs of each kind there are."""
        recall, specificity = self.recall, self.specificity
        return None if recall is None or specificity is None else (recall + specificity) / 2


def operating_threshold(others: Scores, fmr: float) -> float | None:
    """The threshold at ``fmr`` over the impostor pairs of people who are *not* judged with it.

    ``None`` where FMR x impostor pairs < 10.
    """
    return threshold_at_far(np.sort(others.impostor), fmr)


def share(part: float, whole: float) -> float | None:
    """``part`` / ``whole``, or ``None`` of nothing."""
    return part / whole if whole else None
