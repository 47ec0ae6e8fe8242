"""Sorting unlabelled pictures into people, and how well that went.

Clusters are grown by average linkage over cosine distances (Sokal & Michener 1958; the
nearest-neighbour chain of Müllner 2011 takes O(N^2)): two clusters join while the mean similarity
of their pictures is at least a threshold, which other, labelled people have chosen.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.metrics.classification import share
from common.metrics.verification import unit_rows

Doubles = NDArray[np.float64]
Labels = NDArray[np.int64]

TRIED = 256  # thresholds tried when one is chosen


@dataclass(frozen=True, eq=False, repr=False)
class Tree:
    """All joins of N pictures, from each alone to all together; cut it where you like.

    ``joins`` (N - 1, 4) as ``scipy.cluster.hierarchy.linkage`` gives them, at distances 1 - cosine.
    """

    joins: Doubles
    pictures: int

    @classmethod
    def of(cls, embeddings: ArrayLike) -> "Tree":
        """The tree of ``embeddings`` (N, E), of any norm; takes 8 N^2 bytes while it is made.

        Raises ``ModelError`` where an embedding is not finite.
        """
        from scipy.cluster.hierarchy import linkage

        unit = unit_rows(embeddings)
        n = len(unit)
        if n < 2:
            return cls(np.empty((0, 4)), n)
        distances = np.empty(n * (n - 1) // 2)
        at = 0
        for row in range(n - 1):
            distances[at : at + n - 1 - row] = 1 - unit[row + 1 :] @ unit[row]
            at += n - 1 - row
        np.maximum(distances, 0, out=distances)  # a picture and its copy, rounded
        return cls(linkage(distances, "average"), n)

    def cut(self, similarity: float) -> Labels:
        """The cluster (N,) of every picture, where none joins below ``similarity``."""
        from scipy.cluster.hierarchy import fcluster

        if self.pictures < 2:
            return np.zeros(self.pictures, np.int64)
        labels = fcluster(self.joins, 1 - similarity, criterion="distance")
        return np.asarray(labels, np.int64) - 1

    def similarities(self) -> list[float]:
        """At most ``TRIED`` thresholds between the joins, spread evenly over them, ascending."""
        heights = np.unique(self.joins[:, 2])
        middles = (heights[1:] + heights[:-1]) / 2
        between = np.concatenate([heights[:1] / 2, middles, heights[-1:] + 0.5])
        chosen = np.unique(np.linspace(0, len(between) - 1, TRIED).round().astype(int))
        return sorted((1 - between[chosen]).tolist())


@dataclass(frozen=True, eq=False, repr=False)
class Agreement:
    """How well clusters agree with people: N pictures counted by (cluster, person).

    ``counts`` holds the numbers of pictures of each pair that occurs, ``cluster`` and ``person``
    those of each cluster and each person.
    """

    counts: Doubles
    cluster: Doubles  # (K,)
    person: Doubles  # (P,)
    purity: float  # sum over counts of count^2 / size of its cluster
    unity: float  # sum over counts of count^2 / pictures of its person

    @classmethod
    def of(cls, cluster: ArrayLike, person: ArrayLike) -> "Agreement":
        """Of the clusters (N,) and the true people (N,) of the same pictures, any integer ids."""
        k, clusters = np.unique(np.asarray(cluster), return_inverse=True)
        p, people = np.unique(np.asarray(person), return_inverse=True)
        if len(clusters) != len(people):
            raise ValueError(f"{len(clusters)} clusters for {len(people)} pictures")
        met, counts = np.unique(clusters * max(len(p), 1) + people, return_counts=True)
        size = np.bincount(clusters, minlength=len(k)).astype(np.float64)
        pictures = np.bincount(people, minlength=len(p)).astype(np.float64)
        square = counts.astype(np.float64) ** 2
        row, column = np.divmod(met, max(len(p), 1))
        purity, unity = (square / size[row]).sum(), (square / pictures[column]).sum()
        return cls(counts.astype(np.float64), size, pictures, float(purity), float(unity))

    @property
    def clusters(self) -> int:
        return len(self.cluster)

    @property
    def people(self) -> int:
        return len(self.person)

    @property
    def pairwise_precision(self) -> float | None:
        """Pairs of one person among the pairs of one cluster; ``None`` if all are alone."""
        return share(_pairs(self.counts), _pairs(self.cluster))

    @property
    def pairwise_recall(self) -> float | None:
        """Pairs of one cluster among the pairs of one person; ``None`` if nobody has a pair."""
        return share(_pairs(self.counts), _pairs(self.person))

    @property
    def pairwise_f1(self) -> float | None:
        """Their harmonic mean; ``None`` where there is no pair of either kind."""
        return share(2 * _pairs(self.counts), _pairs(self.cluster) + _pairs(self.person))

    @property
    def bcubed_precision(self) -> float | None:
        """Mean over pictures of the share of its cluster that is the same person, itself included.

        B-cubed: Bagga & Baldwin 1998; Amigó et al. 2009, Information Retrieval 12(4).
        """
        return share(self.purity, self._pictures)

    @property
    def bcubed_recall(self) -> float | None:
        """Mean over pictures of the share of its person that is in the same cluster."""
        return share(self.unity, self._pictures)

    @property
    def bcubed_f1(self) -> float | None:
        """The harmonic mean of the two."""
        precision, recall = self.bcubed_precision, self.bcubed_recall
        if precision is None or recall is None:
            return None
        return 2 * precision * recall / (precision + recall)

    @property
    def mutual_information(self) -> float | None:
        """Mutual information over the mean of both entropies (Vinh, Epps & Bailey 2010, NMI_sum).

        1 for clusters that are the people; ``None`` where both are one single group.
        """
        clusters, people, both = map(_entropy, (self.cluster, self.person, self.counts))
        known = share(2 * (clusters + people - both), clusters + people)
        return None if known is None else min(max(known, 0.0), 1.0)

    @cached_property
    def _pictures(self) -> float:
        return float(self.person.sum())


def choose_similarity(tree: Tree, person: ArrayLike) -> float | None:
    """The threshold whose clusters of these labelled pictures have the highest B-cubed F1.

    Of equally good ones the middle one. Choose it on other people than those you then sort, and
    on about as many: the more people there are, the likelier two look alike. ``None`` for fewer
    than two pictures.
    """
    if tree.pictures < 2:
        return None
    tried = tree.similarities()
    worth = [Agreement.of(tree.cut(s), person).bcubed_f1 or 0.0 for s in tried]
    best = [s for s, value in zip(tried, worth, strict=True) if value >= max(worth) - 1e-12]
    return best[len(best) // 2]


def _pairs(counts: Doubles) -> float:
    return float((counts * (counts - 1) / 2).sum())


def _entropy(counts: Doubles) -> float:
    """In nats, of the shares the counts have in their sum."""
    whole = counts.sum()
    return float(-(counts / whole * np.log(counts / whole)).sum()) if whole else 0.0
