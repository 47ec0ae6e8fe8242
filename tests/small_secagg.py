"""A federation of secure sums in one process: members with keys, a roster, and a relay."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.agent.aggregation import Member, SecureAggregation
from client.agent.attempts import Attempts
from common.secagg.fixed_point import FixedPoint, finest
from common.secagg.phases import PHASES, VECTOR
from common.secagg.terms import AggregationTerms, Context, least_threshold
from common.trust.keys import SigningKey
from common.trust.roster import Roster, SiteEntry
from server.strategies.aggregating import Aggregation

FEDERATION = "f" * 64
SIZE = 5

Steps = NDArray[np.int64]


def names(count: int) -> tuple[str, ...]:
    return tuple(f"site-{i:02d}" for i in range(count))


def small_grid(sites: int, honest: int = 1) -> FixedPoint:
    return finest(clip=1.0, sigma=1.0, people=10, sites=sites, honest=honest)


def small_terms(sites: int, colluders: int = 1, size: int = SIZE) -> AggregationTerms:
    threshold = least_threshold(sites, colluders)
    return AggregationTerms(
        members=names(sites),
        threshold=threshold,
        colluders=colluders,
        grid=small_grid(sites, threshold - colluders),
        size=size,
    )


def small_context(terms: AggregationTerms, **other: object) -> Context:
    context = Context(
        federation=FEDERATION, charter="c" * 64, run="run", round=1, attempt=1, terms=terms
    )
    return dataclasses.replace(context, **other)  # type: ignore[arg-type]


class SmallFederation:
    """``count`` sites, each with a key in the roster, a file of attempts and a vector."""

    def __init__(self, count: int, folder: Path) -> None:
        self.names, self.folder = names(count), folder
        self.keys = {name: SigningKey.generate() for name in self.names}
        entries = tuple(
            SiteEntry(
                name=name,
                identity=key.public.text,
                node=f"node of {name}",
                camera_type="door",
                people=10,
            )
            for name, key in self.keys.items()
        )
        self.roster = Roster(federation=FEDERATION, number=1, sites=entries)
        self.sites = {name: self.site(name) for name in self.names}
        rng = np.random.default_rng(count)
        self.vectors = {name: rng.integers(-(10**4), 10**4, SIZE) for name in self.names}
        self.charged: list[str] = []

    def site(self, name: str) -> SecureAggregation:
        """The site as after a restart: its file of attempts, nothing else."""
        member = Member(name=name, key=self.keys[name], roster=lambda: self.roster)
        attempts = Attempts(self.folder / f"{name}.attempts")
        return SecureAggregation(member, attempts)

    def release(self, name: str) -> Callable[[], Steps]:
        def release() -> Steps:
            self.charged.append(name)
            return self.vectors[name]

        return release

    def answer(self, name: str, context: Context, phase: str, payload: bytes) -> bytes:
        return self.sites[name].answer(context, phase, payload, self.release(name))

    def answers(
        self, centre: Aggregation, phase: str, lost: frozenset[str] = frozenset()
    ) -> dict[str, bytes]:
        return {
            name: self.answer(name, centre.context, phase, payload)
            for name, payload in centre.requests(phase).items()
            if name not in lost
        }

    def until(self, phase: str, context: Context) -> Aggregation:
        """The centre just before ``phase``, after everybody answered all that comes before."""
        centre = Aggregation(context, self.roster)
        for earlier in PHASES[: PHASES.index(phase)]:
            centre.take(earlier, self.answers(centre, earlier))
        return centre

    def run(self, context: Context, lost_at: Mapping[str, str]) -> Aggregation:
        """All phases; ``lost_at`` gives for a site the first phase that it does not answer."""
        centre = Aggregation(context, self.roster)
        for phase in PHASES:
            gone = PHASES[: PHASES.index(phase) + 1]
            lost = frozenset(name for name, at in lost_at.items() if at in gone)
            centre.take(phase, self.answers(centre, phase, lost))
        return centre

    def plain_sum(self, lost_at: Mapping[str, str]) -> Steps:
        """What must come out: the sum over the sites whose vector arrived."""
        before = PHASES[: PHASES.index(VECTOR) + 1]
        there = [name for name in self.names if lost_at.get(name) not in before]
        return np.sum([self.vectors[name] for name in there], axis=0)
