"""Which rule turns the replies of a pool into one update: its name, its numbers, what it needs.

Public constants of a run, written into its charter. The rules are flwr's own (``named``).
"""

import dataclasses
import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from common.errors import ConfigError

NAMES = (
    "fedavg",
    "fedprox",
    "fedadam",
    "fedyogi",
    "fedmedian",
    "fedtrimmedavg",
    "krum",
    "multikrum",
    "bulyan",
)
ADAPTIVE = frozenset({"fedadam", "fedyogi"})
ROBUST = frozenset({"fedmedian", "fedtrimmedavg", "krum", "multikrum", "bulyan"})
# Variance of a rule's result on normal draws, in that of the mean of those it looks at, at most.
MEDIAN_NOISE = math.pi / 2
BULYAN_NOISE = 2.0  # simulated: the mean of the nearest to a median is noisier than the median


@dataclass(frozen=True, kw_only=True, slots=True)
class StrategyChoice:
    """A strategy by name. A number that the named strategy does not read changes nothing.

    ``fedavg`` and ``fedprox`` average; the proximal term of the latter is the plan's, applied at
    the sites. ``fedadam`` and ``fedyogi`` treat the average of a gradient round as the gradient of
    the centre's own optimiser (Reddi et al. 2021), which takes the place of the centre's momentum;
    sums of moments they average plainly, since a sum is no direction. While coordinates move by
    much less than ``tau`` a round and ``server_rate`` equals ``tau``, both are plain momentum.

    The robust rules keep the centre, and everybody who uses its release, from ``malicious`` sites
    that send whatever the norm bound lets through; they protect no site's people, which is what
    the noise does. They apply to moments as well, where a robust centre of the sites' sums times
    their number stands in for the sum: right where sites are alike in size, too small by the
    skew where few are large, and noisier than the sum (``noise_factor``, which the estimator is
    told). None works on releases that only their sum may be seen of: see ``robust``.
    """

    name: str = "fedavg"
    malicious: int = 1  # sites tolerated by krum, multikrum and bulyan, in every pool
    selected: int | None = None  # sites multikrum averages; None: as many as it may
    trim: float = 0.2  # share that fedtrimmedavg cuts off at either end
    server_rate: float = 1e-3  # step of fedadam and fedyogi
    tau: float = 1e-3  # their floor under the size of a coordinate's moves
    beta_1: float = 0.9
    beta_2: float = 0.99

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            near = difflib.get_close_matches(self.name, NAMES, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(f"no strategy {self.name!r}; {hint}there are: {', '.join(NAMES)}")
        if self.malicious < 0 or not (self.selected is None or self.selected >= 1):
            raise ConfigError("malicious must be >= 0 and selected >= 1")
        if not 0 < self.trim < 0.5:
            raise ConfigError(f"trim must be in (0, 0.5), got {self.trim}")
        for key in ("server_rate", "tau"):
            if not 0 < getattr(self, key) < math.inf:
                raise ConfigError(f"{key} must be positive and finite")
        if not (0 <= self.beta_1 < 1 and 0 <= self.beta_2 < 1):
            raise ConfigError("beta_1 and beta_2 must be in [0, 1)")

    @property
    def adaptive(self) -> bool:
        """Whether the centre's optimiser, not its momentum, follows the average gradient."""
        return self.name in ADAPTIVE

    @property
    def robust(self) -> bool:
        """Whether the rule compares releases of single sites, so that the centre must see them."""
        return self.name in ROBUST

    @property
    def least_sites(self) -> int:
        """The fewest replies of a pool that the rule keeps its promise with.

        Krum and multi-krum: 2 f + 3 (Blanchard et al. 2017), and f + 2 more than are averaged
        (Damaskinos et al. 2019); bulyan: 4 f + 3 (El Mhamdi et al. 2018).
        """
        if self.name in ("krum", "multikrum"):
            averaged = (self.selected or 1) if self.name == "multikrum" else 1
            return max(2 * self.malicious + 3, averaged + self.malicious + 2)
        if self.name == "bulyan":
            return 4 * self.malicious + 3
        if self.name == "fedtrimmedavg":
            least = math.ceil(1 / self.trim)
            return least if int(self.trim * least) >= 1 else least + 1  # as flwr rounds it
        return 3 if self.name == "fedmedian" else 1

    def too_few(self, sites: Mapping[str, int]) -> str | None:
        """What to tell whoever has a pool with too few ``sites`` for the rule, or None."""
        for pool, count in sorted(sites.items()):
            if self.robust and count < self.least_sites:
                return (
                    f"{self._told()} needs {self.least_sites} sites in every pool, {pool!r} has "
                    f"{count}: bring more sites of that camera type, pool all sites together "
                    '(pooling = "all"), or choose another strategy'
                )
        return None

    def averaged(self, sites: int) -> int:
        """How many of ``sites`` replies multi-krum averages."""
        return self.selected or max(1, sites - self.malicious - 2)

    def noise_factor(self, sites: int) -> float:
        """Noise variance of a moment of ``sites`` sites in that of their plain sum, at most."""
        if self.name == "krum":
            return float(sites)
        if self.name == "multikrum":
            return max(1.0, sites / self.averaged(sites))
        if self.name == "bulyan":
            return BULYAN_NOISE * sites / max(1, sites - 2 * self.malicious)
        return MEDIAN_NOISE if self.robust else 1.0

    def to_json(self) -> str:
        """Canonical JSON: equal choices give equal text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    def _told(self) -> str:
        if self.name in ("krum", "multikrum", "bulyan"):
            return f"{self.name} with malicious = {self.malicious}"
        return f"{self.name} with trim = {self.trim}" if self.name == "fedtrimmedavg" else self.name


FEDAVG = StrategyChoice()
