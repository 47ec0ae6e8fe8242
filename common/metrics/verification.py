"""How well an embedder tells people apart: every pair of pictures compared once, ties included.

Words of ISO/IEC 19795-1: a *genuine* pair shows one person, an *impostor* pair two. A pair is
accepted where its score is at least the threshold. FMR (here also FAR) is the accepted share of
the impostor pairs, FNMR the refused share of the genuine ones, TAR = 1 - FNMR.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ModelError

Floats = NDArray[np.float32]

FARS = (1e-1, 1e-2, 1e-3)
LEAST_IMPOSTORS = 10  # accepted impostor pairs below which a rate is not worth reporting


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Pairs:
    """All pairs of N pictures of P people; found once, used for every embedder of these pictures.

    Takes 4 bytes an impostor pair. ``person`` (N,) numbers people 0..P-1 in ascending order of
    their ids, so that the columns of a person bootstrap mean the same for every embedder.
    """

    person: NDArray[np.intp]  # (N,)
    genuine: NDArray[np.integer]  # (G,) row * N + column, row < column
    impostor: NDArray[np.integer]  # (I,) likewise
    people: int

    @classmethod
    def of(cls, person: ArrayLike) -> "Pairs":
        """The pairs of pictures whose people are ``person`` (N,), any integer ids."""
        ids, number = np.unique(np.asarray(person), return_inverse=True)
        n = len(number)
        kind = np.int32 if n * n < 2**31 else np.int64
        genuine, impostor = [], []
        for row in range(n - 1):
            flat = np.arange(row * n + row + 1, (row + 1) * n, dtype=kind)
            same = number[row + 1 :] == number[row]
            genuine.append(flat[same])
            impostor.append(flat[~same])
        nothing = np.empty(0, kind)
        return cls(
            number.astype(np.intp),
            np.concatenate([nothing, *genuine]),
            np.concatenate([nothing, *impostor]),
            len(ids),
        )

    def __len__(self) -> int:
        return len(self.genuine) + len(self.impostor)

    def score(self, embeddings: ArrayLike) -> "Scores":
        """The cosine of every pair of ``embeddings`` (N, E), of any norm; a zero row scores 0.

        Raises ``ModelError`` where an embedding is not finite.
        """
        unit = unit_rows(embeddings)
        if len(unit) != len(self.person):
            raise ValueError(f"{len(unit)} embeddings for {len(self.person)} pictures")
        table = (unit @ unit.T).ravel()  # (N * N,)
        return Scores(table.take(self.genuine), table.take(self.impostor))


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Scores:
    """Similarities of genuine (G,) and impostor (I,) pairs; higher means more alike."""

    genuine: Floats
    impostor: Floats


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Curve:
    """Error rates (T,) at every threshold where one of them changes, ascending (ROC and DET)."""

    threshold: Floats
    fmr: NDArray[np.float64]
    fnmr: NDArray[np.float64]

    @property
    def tar(self) -> NDArray[np.float64]:
        """True accept rate (T,); against ``fmr`` it is the ROC curve."""
        return 1 - self.fnmr

    @property
    def area(self) -> float:
        """The area under the ROC curve, by straight lines between its points.

        Equals the chance that a genuine pair scores above an impostor pair, a tie counting half
        (Bamber 1975, J. Math. Psychology 12; Hanley & McNeil 1982, Radiology 143).
        """
        return float((-np.diff(self.fmr) * (self.tar[1:] + self.tar[:-1]) / 2).sum())

    @property
    def eer(self) -> float:
        """The rate where FMR = FNMR, on the straight line between the two nearest thresholds."""
        excess = self.fmr - self.fnmr  # falls from 1 to -1
        after = int(np.argmax(excess <= 0))
        before = after - 1
        share = excess[before] / (excess[before] - excess[after])
        return float(self.fmr[before] + share * (self.fmr[after] - self.fmr[before]))

    def tar_at(self, fmrs: ArrayLike) -> NDArray[np.float64]:
        """The TAR (F,) at the lowest threshold whose FMR is at most each of ``fmrs`` (F,).

        For drawing; it says nothing of whether there are impostors enough (``tar_at_far`` does).
        """
        allowed = np.asarray(fmrs, np.float64) + 1e-12
        refused = np.searchsorted(self.fmr[::-1], allowed, side="right")
        found: NDArray[np.float64] = self.tar[len(self.fmr) - refused]
        return found


def tar_at_far(
    embeddings: ArrayLike, person: ArrayLike, fars: Sequence[float] = FARS
) -> dict[float, float | None]:
    """TAR over all pairs of ``embeddings`` (N, E) at the threshold of each false accept rate.

    ``None`` where FAR x impostor pairs < 10, or where nobody has two pictures.
    """
    scores = Pairs.of(person).score(embeddings)
    ordered = np.sort(scores.impostor)
    return {far: _tar(scores.genuine, threshold_at_far(ordered, far)) for far in fars}


def threshold_at_far(ordered: Floats, far: float) -> float | None:
    """The smallest float32 whose FMR over ascending impostor scores (I,) is at most ``far``.

    Equal scores are accepted or refused together, so ties make the achieved FMR smaller than
    ``far``, never larger. ``None`` where FAR x impostor pairs < 10.
    """
    allowed = allowed_impostors(far, len(ordered))
    if allowed < LEAST_IMPOSTORS:
        return None
    return threshold_at_rank(ordered, allowed)


def allowed_impostors(far: float, pairs: int) -> int:
    """How many of ``pairs`` may be accepted at ``far``; decimal rates count as written."""
    return math.floor(far * pairs + 1e-9)  # 0.29 * 100 is a hair below 29


def threshold_at_rank(ordered: Floats, allowed: int) -> float:
    """The smallest float32 that at most ``allowed`` of the ascending scores (I,) reach."""
    if allowed >= len(ordered):
        return -math.inf
    return float(np.nextafter(ordered[len(ordered) - 1 - allowed], np.float32(np.inf)))


def det_curve(scores: Scores) -> Curve:
    """FMR and FNMR at each distinct score, and just above the highest one."""
    if not len(scores.genuine) or not len(scores.impostor):
        raise ValueError("a curve needs genuine and impostor pairs")
    genuine, impostor = np.sort(scores.genuine), np.sort(scores.impostor)
    distinct = np.unique(np.concatenate([genuine, impostor]))
    threshold = np.append(distinct, np.nextafter(distinct[-1], np.float32(np.inf)))
    refused = np.searchsorted(genuine, threshold, side="left")
    accepted = len(impostor) - np.searchsorted(impostor, threshold, side="left")
    return Curve(threshold, accepted / len(impostor), refused / len(genuine))


def eer(scores: Scores) -> float:
    """The error rate where FMR = FNMR; where the curve is at hand, ask ``Curve.eer``."""
    return det_curve(scores).eer


def unit_rows(embeddings: ArrayLike) -> Floats:
    """``embeddings`` (N, E) scaled to length 1; a zero row stays zero.

    Raises ``ModelError`` where an embedding is not finite.
    """
    rows = np.asarray(embeddings, np.float32)
    if rows.ndim != 2:
        raise ValueError(f"embeddings must be (N, E), got shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ModelError("an embedding is not finite")
    norm = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    unit: Floats = (rows / np.where(norm > 0, norm, 1)).astype(np.float32)
    return unit


def _tar(genuine: Floats, threshold: float | None) -> float | None:
    if threshold is None or not len(genuine):
        return None
    return float(np.mean(genuine >= np.float32(threshold)))
