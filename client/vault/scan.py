"""One pass over the codes of a gallery that leaves only rows which might be among the best.

The codes say a score within a known distance (Cauchy-Schwarz on what they leave out), so no row
that could be among the best is lost; few are left, and those are scored from their float16 rows
in float64, in an order that depends on nothing else. So an answer is exact and the same, bit
for bit, whoever is asked beside it and wherever the rows lie.

The products of bytes are torch's ``_int_mm``, private there: a test holds what we rely on.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from client.vault.matrix import STEPS, Doubles, Matrix

if TYPE_CHECKING:
    from torch import Tensor

Index = NDArray[np.intp]
Scores = NDArray[np.float32]

FINE = 2 * STEPS  # the second piece of a probe counts this much less than the first
ROWS = 2048  # of one product: its result stays in the processor's cache
NUMBERS = 1 << 18  # products judged at once
GROUP = 65536  # rows judged at once, at most
SAMPLE = 8192  # rows of a group that raise the bar for the next ones
SCORED = 64  # rows in float64 at once: what is written stays in the cache
PROBES = 256  # at once; more only fill memory
MARGIN = 2e-6  # float32 arithmetic on scores of at most 1, and their rounding to float32
NOBODY = -4.0  # below every score
WIDER = 1.001  # the length of a stored row, and of the pieces of a probe, at most


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Pieces:
    """Probes as whole numbers: probe = step * (first + second / FINE), but for ``error``."""

    columns: NDArray[np.int8]  # (E, 2 Q): all first pieces, then all second ones
    step: NDArray[np.float32]  # (Q,)
    error: float  # length of what the pieces leave out, at most

    @classmethod
    def of(cls, probes: Doubles) -> "Pieces":
        """Splits (Q, E) unit probes."""
        step = (np.abs(probes).max(axis=1) / STEPS).astype(np.float32)
        scaled = probes / step[:, None]
        first = np.rint(scaled)
        second = np.rint((scaled - first) * FINE)
        left = (scaled - first - second / FINE) * step[:, None]
        columns = np.concatenate([first.T, second.T], axis=1).astype(np.int8)
        return cls(columns, step, float(np.sqrt(np.square(left).sum(axis=1)).max()))


def contenders(
    matrix: Matrix, probes: Doubles, needed: int, allowed: NDArray[np.bool_] | None = None
) -> list[Index]:
    """For each of (Q, E) unit probes the rows that may be among its ``needed`` best.

    ``allowed`` (N,) leaves rows out. At most PROBES probes.
    """
    import torch

    products = _Products(matrix, Pieces.of(probes))
    best = torch.full((needed, len(probes)), NOBODY)
    found: list[tuple[NDArray[Any], ...]] = []
    rise = 0
    for start in range(0, matrix.count, products.group):
        part = slice(start, min(start + products.group, matrix.count))
        scores, off = products.scores(part)
        if allowed is not None:
            scores[torch.from_numpy(~allowed[part])] = -torch.inf
        if start >= rise:  # ever more seldom, and by few rows: the bar hardly rises any more
            best = torch.topk(torch.cat([best, scores[:SAMPLE] - off]), needed, dim=0).values
            rise = 4 * part.stop
        near = scores.numpy()
        flat = np.flatnonzero(near >= best[-1].numpy() - np.float32(off))
        row, probe = np.divmod(flat, len(probes))
        middle = near.ravel()[flat]
        found.append((row + start, probe, middle + off, middle - off))
    row, probe, high, low = (np.concatenate(each) for each in zip(*found, strict=True))
    return [
        _left(row[mine], high[mine], low[mine], needed)
        for mine in (probe == each for each in range(len(probes)))
    ]


def exact(matrix: Matrix, index: Index, probe: Doubles) -> Scores:
    """Scores of the rows ``index`` with one unit probe (E,); the same bits in any company."""
    scores = np.empty(len(index), np.float32)
    wide = np.empty((SCORED, matrix.dim))
    for start in range(0, len(index), SCORED):
        part = index[start : start + SCORED]
        some = wide[: len(part)]
        some[:] = matrix["rows"][part]
        some *= probe
        scores[start : start + SCORED] = some.sum(axis=1)
    wide.fill(0)
    return scores


class _Products:
    """Codes times pieces, a group of rows after the other, in memory that is used again."""

    def __init__(self, matrix: Matrix, pieces: Pieces) -> None:
        import torch

        self._matrix, self._error = matrix, pieces.error
        self._columns, self._step = map(torch.from_numpy, (pieces.columns, pieces.step))
        width = pieces.columns.shape[1]
        self.group = min(GROUP, max(1, NUMBERS // width // ROWS) * ROWS)
        self._whole = torch.empty((self.group, width), dtype=torch.int32)
        self._both = torch.empty((self.group, width))
        self._near = torch.empty((self.group, width // 2))

    def scores(self, part: slice) -> "tuple[Tensor, float]":
        """Scores (n, Q) of rows ``part`` as codes tell them, and how far off they may be.

        Holds until the next call.
        """
        import torch

        codes = torch.from_numpy(self._matrix["codes"][part])
        whole, both, near = (each[: len(codes)] for each in (self._whole, self._both, self._near))
        for some, into in zip(torch.split(codes, ROWS), torch.split(whole, ROWS), strict=True):
            torch._int_mm(some, self._columns, out=into)
        both.copy_(whole)
        count = near.shape[1]
        torch.add(both[:, :count], both[:, count:], alpha=1 / FINE, out=near)
        near.mul_(torch.from_numpy(self._matrix["scale"][part])[:, None]).mul_(self._step)
        off = (float(self._matrix["slack"][part].max()) + self._error) * WIDER + MARGIN
        return near, off


def _left(row: Index, high: Scores, low: Scores, needed: int) -> Index:
    """Rows that can still be among the best once all lower bounds are known."""
    if len(row) <= needed:
        return row
    bar = np.partition(low, len(low) - needed)[len(low) - needed]
    kept: Index = row[high >= bar]
    return kept
