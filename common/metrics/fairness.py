"""How error rates differ between groups of people, at one threshold for everybody.

NISTIR 8280 and ISO/IEC 19795-10: the threshold is fixed on *other* people at a stated FMR and then
stands still. The FMR of a group is the accepted share of its pairs of two people of that group, its
FNMR the refused share of the pairs of one person. Two ratios say how far groups are apart: the
worst rate to the best, and the worst to the geometric mean of all, which one lucky group moves
less. A group without a single error counts as having half of one in ratios: they stay finite.

Intervals redraw people within each group (see ``intervals``), exactly: a comparison of i and j
weighs w_i w_j. They are about other people, not about another threshold, and a ratio's are about
the two groups that were worst and best.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.metrics.intervals import interval, person_weights
from common.metrics.rarity import rule_of_three
from common.metrics.verification import LEAST_IMPOSTORS, unit_rows

Doubles = NDArray[np.float64]

NOBODY = -1  # the group of people who are in none
LEAST_PEOPLE = 20  # of a group that is told of
_ROWS = 512  # pictures compared at a time
_CELLS = 4_000_000  # products held at a time while people are redrawn


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Decided:
    """What one threshold decided on all pairs of N pictures of P people, summed by person.

    Person pair k of K, ``first`` < ``second`` (K,), was accepted in ``accepted`` (K,) comparisons.
    Numbers of people are 0..P-1 in ascending order of their ids.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    accepted: Doubles
    pictures: Doubles  # (P,)
    refused: Doubles  # (P,) genuine pairs

    @property
    def genuine(self) -> Doubles:
        """(P,) pairs of two pictures of each person."""
        return self.pictures * (self.pictures - 1) / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What is told: groups of at least ``least_people``, where ``fmr`` would err often enough.

    Expected false matches below ``least_errors`` say nothing of a rate.
    """

    fmr: float
    least_people: int = LEAST_PEOPLE
    least_errors: float = LEAST_IMPOSTORS
    draws: int = 400
    seed: int = 0


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Share:
    """An error rate: ``errors`` of ``trials``, and under B resamples (B,)."""

    errors: float
    trials: float
    independent: int  # trials of which no two share all their people
    draws: Doubles

    @property
    def value(self) -> float:
        return self.errors / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """95 %; without an error up to the rule of three, since resamples show nothing."""
        return interval(self.draws) if self.errors else (0.0, rule_of_three(self.independent))


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class GroupRates:
    """One group that is told of; ``fnmr`` None where too few people have two pictures."""

    name: str
    people: int
    fmr: Share
    fnmr: Share | None


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Ratio:
    """How many times the rate of group ``worst`` is that of ``best`` (or of the mean: None)."""

    value: float
    interval: tuple[float, float]
    worst: str
    best: str | None


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Fairness:
    """Rates of the groups told of, the FMR ``cross`` (G, G) between them, who is ``suppressed``.

    Guarantee: nothing here depends on pictures of suppressed people, nor of people in no group;
    nobody is suppressed, or at least ``Terms.least_people`` are.
    """

    groups: tuple[GroupRates, ...]
    cross: Doubles
    suppressed: tuple[str, ...]

    def worst_to_best(self, rate: str = "fmr") -> Ratio | None:
        """The highest ``rate`` (fmr, fnmr) to the lowest; None of fewer than two groups."""
        return self._ratio(rate, to_mean=False)

    def worst_to_geometric_mean(self, rate: str = "fmr") -> Ratio | None:
        """The highest ``rate`` to the geometric mean of all; None of fewer than two groups."""
        return self._ratio(rate, to_mean=True)

    def _ratio(self, rate: str, *, to_mean: bool) -> Ratio | None:
        shares = {group.name: getattr(group, rate) for group in self.groups}
        names = [name for name, share in shares.items() if share is not None]
        if len(names) < 2:
            return None
        rates = np.array([_floored(shares[name]) for name in names])  # (G, 1 + B)
        worst, best = int(rates[:, 0].argmax()), int(rates[:, 0].argmin())
        below = np.exp(np.log(rates).mean(axis=0)) if to_mean else rates[best]
        ratio = rates[worst] / below
        return Ratio(
            value=float(ratio[0]),
            interval=interval(ratio[1:]),
            worst=names[worst],
            best=None if to_mean else names[best],
        )


def decide(embeddings: ArrayLike, person: ArrayLike, threshold: float) -> Decided:
    """Compares all pairs of ``embeddings`` (N, E), cosine at least ``threshold`` is accepted.

    ``person`` (N,) any integer ids. ``ModelError`` where an embedding is not finite.
    """
    unit, level = unit_rows(embeddings), np.float32(threshold)
    _, number, count = np.unique(np.asarray(person), return_inverse=True, return_counts=True)
    people, keys, counts = len(count), [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    true_accepts = np.zeros(people)
    for start in range(0, len(unit), _ROWS):
        close = unit[start : start + _ROWS] @ unit[start:].T >= level
        row, column = np.nonzero(np.triu(close, 1))
        a, b = number[start + row], number[start + column]
        same = a == b
        true_accepts += np.bincount(a[same], minlength=people)
        low, high = np.minimum(a, b)[~same], np.maximum(a, b)[~same]
        key, often = np.unique(low.astype(np.int64) * people + high, return_counts=True)
        keys.append(key)
        counts.append(often)
    key, at = np.unique(np.concatenate(keys), return_inverse=True)
    accepted = np.bincount(at, np.concatenate(counts), minlength=len(key)).astype(np.float64)
    first, second = np.divmod(key, max(people, 1))
    pictures = count.astype(np.float64)
    return Decided(first, second, accepted, pictures, pictures * (pictures - 1) / 2 - true_accepts)


def fairness(decided: Decided, group: ArrayLike, names: Sequence[str], terms: Terms) -> Fairness:
    """The rates of groups ``names`` (G,); ``group`` (P,) indexes them, ``NOBODY`` is in none."""
    belongs = np.asarray(group)
    if belongs.shape != decided.pictures.shape:
        raise ValueError(f"{len(belongs)} groups for {len(decided.pictures)} people")
    members = [np.flatnonzero(belongs == index) for index in range(len(names))]
    told = _told([_size(decided, part) for part in members], terms)
    where = {index: place for place, index in enumerate(told)}
    place = np.array([where.get(int(index), NOBODY) for index in belongs], np.int64)
    weights = np.zeros((terms.draws, len(belongs)))
    for index in told:
        part = members[index]
        weights[:, part] = person_weights(len(part), terms.draws, [terms.seed, index])
    groups = [_rates(decided, names[i], members[i], weights, terms) for i in told]
    hidden = tuple(name for i, name in enumerate(names) if i not in where and len(members[i]))
    return Fairness(tuple(groups), _cross(decided, place, len(told)), hidden)


def _size(decided: Decided, members: NDArray[np.intp]) -> tuple[int, float]:
    """People, and their comparisons with one another."""
    pictures = decided.pictures[members]
    return len(members), float((pictures.sum() ** 2 - (pictures**2).sum()) / 2)


def _told(sizes: Sequence[tuple[int, float]], terms: Terms) -> list[int]:
    """Which groups are told of.

    If those left out were few, whoever knows the total would know how few: then the smallest of
    the others goes with them.
    """
    told = [
        index
        for index, (people, pairs) in enumerate(sizes)
        if people >= max(terms.least_people, 2) and pairs * terms.fmr >= terms.least_errors
    ]
    while told:
        hidden = sum(people for index, (people, _) in enumerate(sizes) if index not in told)
        if not 0 < hidden < terms.least_people:
            break
        told.remove(min(told, key=lambda index: sizes[index]))
    return told


def _rates(
    decided: Decided, name: str, members: NDArray[np.intp], weights: Doubles, terms: Terms
) -> GroupRates:
    people, pairs = _size(decided, members)
    inside = np.zeros(len(decided.pictures), bool)
    inside[members] = True
    kept = inside[decided.first] & inside[decided.second]
    mine = weights[:, members] * decided.pictures[members]  # (B, P_g)
    trials = (mine.sum(axis=1) ** 2 - (mine**2).sum(axis=1)) / 2
    # A person is no impostor of their own copy: w_i n_i squared goes, copies and all.
    errors = _redrawn(weights, decided.first[kept], decided.second[kept], decided.accepted[kept])
    with np.errstate(invalid="ignore"):
        draws = np.where(trials > 0, errors / trials, np.nan)
    fmr = Share(float(decided.accepted[kept].sum()), pairs, people * (people - 1) // 2, draws)
    genuine, refused = decided.genuine[members], decided.refused[members]
    twice = int(np.count_nonzero(genuine))
    if twice < max(terms.least_people, 2):
        return GroupRates(name, people, fmr, None)
    with np.errstate(invalid="ignore"):
        share = (weights[:, members] @ refused) / (weights[:, members] @ genuine)
    fnmr = Share(float(refused.sum()), float(genuine.sum()), twice, share)
    return GroupRates(name, people, fmr, fnmr)


def _redrawn(
    weights: Doubles, first: NDArray[np.intp], second: NDArray[np.intp], accepted: Doubles
) -> Doubles:
    """(B,): the accepted comparisons under each row of ``weights`` (B, P)."""
    rows = max(1, _CELLS // max(len(first), 1))
    parts = [
        (part[:, first] * part[:, second]) @ accepted
        for part in np.split(weights, range(rows, len(weights), rows))
    ]
    found: Doubles = np.concatenate(parts)
    return found


def _cross(decided: Decided, place: NDArray[np.int64], groups: int) -> Doubles:
    """(G, G): the FMR of pairs of one person of each group."""
    a, b = place[decided.first], place[decided.second]
    kept = (a != NOBODY) & (b != NOBODY)
    flat = np.bincount(
        a[kept] * groups + b[kept], decided.accepted[kept], minlength=groups * groups
    )
    table = flat.reshape(groups, groups)
    accepted = table + table.T - np.diag(np.diag(table))
    inside = place != NOBODY
    pictures = np.bincount(place[inside], decided.pictures[inside], minlength=groups)
    squares = np.bincount(place[inside], decided.pictures[inside] ** 2, minlength=groups)
    pairs = np.outer(pictures, pictures)
    np.fill_diagonal(pairs, (pictures**2 - squares) / 2)
    rates: Doubles = accepted / pairs
    return rates


def _floored(share: Share) -> Doubles:
    """(1 + B,): the rate and its resamples, never less than half an error of all trials."""
    rates: Doubles = np.r_[share.value, share.draws]
    return np.maximum(rates, 0.5 / share.trials)
