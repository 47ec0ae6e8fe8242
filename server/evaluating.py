"""What an evaluation asks sites with, and what the sums they release say of the tail.

Both are post-processing of releases and of public people. No figure enters a tail, an average or
the decision to stop early: those look at public people alone.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from common.errors import RunError
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.matching import site_tail
from common.moments.names import (
    THRESHOLD,
    asked_name,
    evaluation_count,
    evaluation_noise,
    evaluation_sum,
    sum_name,
)
from common.moments.own import own_part
from common.moments.posterior import shared_parts
from common.moments.reference import Reference, retuned
from common.privacy.cells import rates
from common.privacy.plan import EvaluationMechanism, PrivacyPlan, Round
from server.checkpoint import PoolArrays
from server.moments import MOMENTS, pools_of, sites_of

Pools = Mapping[str, PoolArrays]


class Yardstick(Protocol):
    """Public people by whom thresholds are found, and what they say of moments."""

    reference: Reference | None

    @property
    def rates(self) -> tuple[float, ...]:
        """The shares of public pairs that thresholds are found for, m of them."""

    def thresholds(self, tail: Tail) -> NDArray[np.float32]:
        """A cosine for each of ``rates``, (m,)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """Prepares the evaluations of a run of ``plan`` that began with ``initial``, and reads them."""

    plan: PrivacyPlan
    initial: Mapping[str, NDArray[Any]]
    yardstick: Yardstick | None

    def check(self) -> None:
        """Raises ``RunError`` if the plan evaluates and public people cannot say at which cosine.

        Before anybody is asked for anything: an evaluation stands last, and costs budget.
        """
        judged = [m for m in self.plan.mechanisms if isinstance(m, EvaluationMechanism)]
        if not judged:
            return
        most = max(mechanism.thresholds for mechanism in judged)
        there = len(self.yardstick.rates) if self.yardstick is not None else 0
        if most > there:
            raise RunError(
                f"the plan evaluates at {most} thresholds, and the public people beside the "
                f"charter are enough for {there}: propose the charter again with more of them, "
                "or without --evaluation"
            )

    def prepared(self, current: Round, pools: Pools) -> dict[str, PoolArrays]:
        """``pools`` with tail and thresholds for ``current`` in each; what is there stays.

        They are to be in a checkpoint before sites are asked: a repeat must have the same bytes,
        and another machine may round otherwise.
        """
        name, mechanism = current.mechanism.name, current.mechanism
        if self.yardstick is None or not isinstance(mechanism, EvaluationMechanism):
            raise RunError(f"round {current.number} cannot be evaluated without public people")
        missing = [pool for pool in pools if asked_name(name, WEIGHT) not in pools[pool]]
        tails, after = self.tails(pools) if missing else {}, dict(pools)
        for pool in missing:
            tail = tails[pool]
            told = {**tail.arrays(), THRESHOLD: self.yardstick.thresholds(tail)}
            told[THRESHOLD] = told[THRESHOLD][: mechanism.thresholds]
            after[pool] = {**pools[pool], **{asked_name(name, k): a for k, a in told.items()}}
        return after

    def tails(self, pools: Pools) -> dict[str, Tail]:
        """What is evaluated in each of ``pools``: the tail of a site with no people of its own.

        That is the estimator on public people and on what was released so far, without any own
        part; where no public statistics are at hand, the pool's shared tail as it is.
        """
        trained = {pool: Tail(arrays[WEIGHT], arrays[BIAS]) for pool, arrays in pools.items()}
        reference = self.yardstick.reference if self.yardstick is not None else None
        if reference is None:
            return trained
        done = {p: a for p, a in pools.items() if all(sum_name(m) in a for m in MOMENTS)}
        parts = shared_parts(reference, pools_of(done, self.plan), sites_of(done)) if done else {}
        first = Tail(self.initial[WEIGHT], self.initial[BIAS])
        found = {}
        for pool, tail in trained.items():
            mine = reference if tail.hash == first.hash else retuned(reference, first, tail)
            found[pool] = site_tail(mine, own_part(mine, ()), parts.get(pool))
        return found

    def figures(self, current: Round, pools: Pools) -> dict[str, Any]:
        """What the sums of ``current`` in ``pools`` say, as JSON: by pool, and of all together.

        Each pool is judged at its own thresholds; ``error`` is the standard error that noise
        alone gives a figure, null stands for what is lost in it.
        """
        mechanism = current.mechanism
        found, sums, variances = {}, [], []
        for pool, arrays in sorted(pools.items()):
            if evaluation_sum(mechanism.name) not in arrays:
                continue
            total = np.asarray(arrays[evaluation_sum(mechanism.name)], np.float64)
            sites = int(arrays[evaluation_count(mechanism.name)][1])
            factor = float(arrays[evaluation_noise(mechanism.name)][0])
            deviation = self.plan.site_sigma(mechanism) * mechanism.clip
            sums.append((total, sites))
            variances.append(factor * sites * deviation**2)
            thresholds = arrays[asked_name(mechanism.name, THRESHOLD)].tolist()
            told = self._told(total, variances[-1], sites)
            found[pool] = {**told, "thresholds": thresholds}
        figures: dict[str, Any] = {"tail": self._what, "pools": found}
        if len(sums) > 1:
            whole, sites = np.sum([t for t, _ in sums], axis=0), sum(n for _, n in sums)
            figures["together"] = self._told(whole, sum(variances), sites)
        return figures

    def _told(self, total: NDArray[np.float64], variance: float, sites: int) -> dict[str, Any]:
        told = asdict(rates(total, float(np.sqrt(variance))))
        listed = {key: list(told[key]) for key in ("own", "public")}
        fmrs = list(self.yardstick.rates if self.yardstick is not None else ())
        return {**told, **listed, "sites": sites, "public_rates": fmrs[: len(listed["own"])]}

    @property
    def _what(self) -> str:
        known = self.yardstick is not None and self.yardstick.reference is not None
        return "of a site without own people" if known else "shared"
