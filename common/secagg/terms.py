"""Who may take part in a secure sum, how many must, and what a threshold has to exclude."""

from dataclasses import dataclass
from functools import cached_property

from common import wire
from common.errors import CohortError, PlanError
from common.privacy.plan import Mechanism, PrivacyPlan
from common.secagg.fixed_point import FixedPoint, finest

VERSION = "secure aggregation v2"  # in every digest and key
LEAST_SITES = 3  # of two, each learns the other's by taking its own away
MOST_SITES = 64
MOST_WORDS = 4 * 2**20
LIFE = 6 * 3600.0  # seconds that a site keeps an attempt's secrets after it last said something
LONGEST_PHASE = LIFE / 2  # seconds that a centre may wait for answers, and still find them


@dataclass(frozen=True, kw_only=True, slots=True)
class AggregationTerms:
    """The fixed part of a secure sum: the same for all its rounds of one mechanism and pool.

    With N members, ``threshold`` T and ``colluders`` c (sites that may work with the centre):

    - T > (N + c) / 2. To have both secrets of a site the centre needs T shares of each. A
      colluder gives both, an honest site one, so 2 (T - c) <= N - c; the bound excludes it. For
      the same reason no two different lists of survivors can both be signed by T sites. N counts
      all members, not who came, so nothing is gained by telling sites different cohorts.
    - T - c >= ``honest`` of the grid: any sum that is unmasked has at least T sites in it, so the
      noise of that many honest ones.
    - T >= 3.

    N - T sites may drop out, each at any phase. Raises ``PlanError`` for terms that break a rule.
    """

    members: tuple[str, ...]  # names of sites, sorted
    threshold: int  # fewest sites in a sum, and shares that make a secret
    colluders: int
    grid: FixedPoint
    size: int  # coordinates

    def __post_init__(self) -> None:
        sites = len(self.members)
        if tuple(sorted(set(self.members))) != self.members:
            raise PlanError("members are sorted and each there once")
        if not LEAST_SITES <= sites <= MOST_SITES:
            raise PlanError(f"a secure sum has {LEAST_SITES} to {MOST_SITES} sites, not {sites}")
        if not (LEAST_SITES <= self.threshold <= sites and self.colluders >= 0):
            raise PlanError(f"the threshold must be in [{LEAST_SITES}, {sites}]")
        if 2 * self.threshold <= sites + self.colluders:
            raise PlanError(
                f"a threshold of {self.threshold} lets the centre split {sites} sites in two: "
                f"it must be above {(sites + self.colluders) / 2:g}"
            )
        if self.threshold - self.colluders < self.grid.honest or self.grid.sites < sites:
            raise PlanError("the grid counts on more honest sites, or fewer sites, than the terms")
        if not 1 <= self.size <= MOST_WORDS:
            raise PlanError(f"a secure sum has 1 to {MOST_WORDS} coordinates")

    @property
    def dropouts(self) -> int:
        """How many sites may be lost, each at any phase."""
        return len(self.members) - self.threshold

    def number(self, name: str) -> int:
        """Where the polynomials have the share of member ``name``; its place, from 1."""
        return self.members.index(name) + 1

    def check_cohort(self, sites: int, what: str) -> None:
        """Raises ``CohortError`` if fewer than the threshold are left."""
        if sites < self.threshold:
            raise CohortError(
                f"{sites} sites {what}, a secure sum here needs {self.threshold}: wait until more "
                "of them are reachable and let the round be tried again"
            )


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every key, share and signature of one attempt is bound to."""

    federation: str  # SHA-256 of the CA certificate
    charter: str  # digest of the signed charter
    run: str
    round: int
    attempt: int  # from 1; a round that failed may be tried again, with new keys and noise
    terms: AggregationTerms

    @cached_property
    def digest(self) -> bytes:
        """32 bytes: two sites that disagree about anything have different ones."""
        terms, grid = self.terms, self.terms.grid
        numbers = (self.round, self.attempt, terms.threshold, terms.colluders, terms.size)
        more = (grid.clip.hex(), grid.units, grid.sigma.hex(), grid.people, grid.sites)
        parts = (self.federation, self.charter, self.run, *numbers, *more, grid.honest, grid.bits)
        text = (VERSION, *map(str, parts), *terms.members)
        return bytes.fromhex(wire.digest(*text))


def least_threshold(sites: int, colluders: int) -> int:
    """The smallest threshold that no split of ``sites`` gets around."""
    return max(LEAST_SITES, (sites + colluders) // 2 + 1)


def terms_of(
    plan: PrivacyPlan, mechanism: Mechanism, members: tuple[str, ...], size: int
) -> AggregationTerms:
    """The terms that ``plan`` implies for one mechanism of ``size`` coordinates and one pool.

    The colluders are what the plan's ``cohort`` leaves above its ``honest_sites``; the threshold
    is the cohort, or the least one that is safe for this many members. Raises ``CohortError`` for
    a pool smaller than that, ``PlanError`` unless the noise is distributed and the numbers fit.
    """
    if plan.noise != "distributed":
        raise PlanError("a secure sum belongs to distributed noise")
    sites, colluders = len(members), plan.cohort - plan.honest_sites
    threshold = max(plan.cohort, least_threshold(sites, colluders))
    if sites < threshold:
        raise CohortError(
            f"a pool has {sites} sites, a secure sum under this plan needs {threshold}: admit "
            "more sites of its kind, or propose a charter that pools all kinds"
        )
    grid = finest(
        clip=mechanism.clip,
        sigma=mechanism.sigma,
        people=plan.people,
        sites=sites,
        honest=plan.honest_sites,
    )
    return AggregationTerms(
        members=tuple(sorted(members)),
        threshold=threshold,
        colluders=colluders,
        grid=grid,
        size=size,
    )
