"""Fixes the thresholds of one release from features: of the people enrolled, and of public ones.

A claim is decided by the best of a person's templates, or by all of them pooled, so that is what is
compared here too, by the very measure that decides. Two kinds of impostors are compared: people
enrolled with one another (the same cameras, the same sort of people), and people enrolled with
public strangers (many more of them). The two kinds are never thrown together: the stricter of the
two thresholds holds. So public people who are unlike the site's can raise a threshold but not lower
it below what the site's own show. Where the site's own people are too few for the rate asked for,
they show what they can: no two of them are taken for each other.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from client.door.measures import PLAIN, Measure, Pictures
from client.door.thresholds import Calibration, Levels
from common.errors import InsufficientCalibrationError
from common.metrics.calibration import (
    above_all,
    accepted_at,
    least_rate,
    match_rate,
    threshold_for,
)
from common.metrics.impostors import Faces, GroupedScores, claims_among, claims_between
from common.metrics.openset import OpenSearches, open_threshold, search_open
from common.metrics.rarity import rule_of_three
from common.models.tail import Tail

NEAR = 10.0  # the band below a match begins where errors are this many times as frequent
WIDEST = 0.25  # the highest rate anything is calibrated to
NARROWEST = 1e-12  # the lowest: nobody will ever have people enough for less


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class Material:
    """Features (N, D) of ``trunk`` and whose they are (N,), of the site's and of public people.

    The two number their people independently: nobody is in both. ``own_quality`` (N,) is what
    pooling weighs by; None: all alike.
    """

    trunk: str
    own: NDArray[np.floating]
    own_person: NDArray[np.integer]
    public: NDArray[np.floating]
    public_person: NDArray[np.integer]
    own_quality: NDArray[np.floating] | None = None

    def digest(self) -> str:
        """SHA-256 of all of it: other people or pictures, another digest."""
        found = hashlib.sha256(self.trunk.encode())
        for features, person in (
            (self.own, self.own_person),
            (self.public, self.public_person),
        ):
            _, number = np.unique(person, return_inverse=True)
            found.update(repr(features.shape).encode())
            found.update(np.ascontiguousarray(features, "<f4").tobytes())
            found.update(number.astype("<i8").tobytes())
        if self.own_quality is not None:
            found.update(self.own_quality.astype("<f8").tobytes())
        return found.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The error rates to keep: FMR of a verification; FPIR of a search, None for none."""

    fmr: float = 1e-4
    fpir: float | None = 1e-2

    def __post_init__(self) -> None:
        for rate in (self.fmr, self.fpir):
            if rate is not None and not NARROWEST <= rate <= WIDEST:
                raise ValueError(f"a rate must be in [{NARROWEST}, {WIDEST}], got {rate}")


def calibrate(
    material: Material, tail: Tail, target: Target, now: float, measure: Measure = PLAIN
) -> Calibration:
    """The thresholds of the release ``tail`` by ``measure``; the same material gives the same, to
    the bit.

    No picture is needed: a new release calibrates itself from the features that are enrolled.
    Raises ``InsufficientCalibrationError`` where neither kind of impostors can show the rates.
    """
    features = _plain(material.own)
    seen = tail.embed(features)
    own = Faces(measure.rows(seen), material.own_person)
    public = Faces(measure.rows(tail.embed(_plain(material.public))), material.public_person)
    pooled = None
    if measure.pools:
        shown = Pictures(features=features, embeddings=seen, quality=material.own_quality)
        pooled = measure.enrolled(shown, own.person)
    return Calibration(
        release=tail.hash,
        trunk=material.trunk,
        verify=_verify(own, public, target.fmr, pooled),
        search=None if target.fpir is None else _search(own, public, target.fpir, pooled),
        gallery=own.people,
        made=now,
        faces=material.digest(),
        measure=measure.name,
    )


def _verify(own: Faces, public: Faces, fmr: float, pooled: Faces | None) -> Levels:
    wide, enrolled = _wider(fmr), own if pooled is None else pooled
    groups = [
        claims_among(own, most=wide, enrolled=enrolled),
        claims_between(enrolled, public, most=wide),
    ]
    match, near = stricter(groups, fmr), stricter(groups, wide)
    bounds = [match_rate(group, accepted_at(group, match)).bound for group in groups]
    showing = [index for index, group in enumerate(groups) if least_rate(group) <= fmr]
    return Levels(
        match=match,
        near=min(near, match),
        rate=fmr,
        bound=max(bounds[index] for index in showing),
        own_bound=bounds[0],
        comparisons=sum(group.comparisons for group in groups),
        people=own.people + public.people,
    )


def stricter(groups: Sequence[GroupedScores], fmr: float) -> float:
    """The highest of the thresholds that each of ``groups`` asks for at ``fmr``.

    A group too small for ``fmr`` asks that none of its comparisons is accepted. Raises
    ``InsufficientCalibrationError``, telling of the group that lacks fewest people, where none of
    them can show ``fmr``.
    """
    if not any(least_rate(group) <= fmr for group in groups):
        raise _least_missing([partial(threshold_for, group, fmr) for group in groups])
    return max(
        threshold_for(group, fmr).value if least_rate(group) <= fmr else above_all(group)
        for group in groups
        if group.comparisons
    )


def _search(own: Faces, public: Faces, fpir: float, pooled: Faces | None) -> Levels:
    if own.people < 2:
        raise InsufficientCalibrationError(comparisons=1, people=2 - own.people)
    together = search_open(own, public, pooled)
    found, near = open_threshold(together, fpir), open_threshold(together, _wider(fpir))
    alone = together.by_enrolled()
    match = max(found.value, _alone(alone, fpir))
    return Levels(
        match=match,
        near=min(near.value, match),
        rate=fpir,
        bound=together.rate(match).bound,
        own_bound=alone.rate(match).bound,
        comparisons=found.searches,
        people=found.people,
    )


def _alone(searches: OpenSearches, fpir: float) -> float:
    """What the people enrolled ask for by themselves; too few of them, that none is accepted."""
    if rule_of_three(searches.people) <= fpir:
        return open_threshold(searches, fpir).value
    return float(np.nextafter(searches.stranger.max(), np.float32(np.inf)))


def _least_missing(attempts: Sequence[Callable[[], object]]) -> InsufficientCalibrationError:
    missing = []
    for attempt in attempts:
        try:
            attempt()
        except InsufficientCalibrationError as error:
            missing.append(error)
    return min(missing, key=lambda error: error.people)


def _wider(rate: float) -> float:
    return min(WIDEST, rate * NEAR)


def _plain(features: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(features, np.float32)
