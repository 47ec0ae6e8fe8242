"""How often the audit of the mechanism is right: planted mistakes flagged, honest code let pass."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from common.models.studio import Progress
from simulations.entropy import SeededEntropy
from simulations.evidence.canaries import Entropies
from simulations.evidence.mechanism import Claim, audit_mechanism
from simulations.evidence.planted import QUICK, Mistake, mistakes


@dataclass(frozen=True, kw_only=True)
class Flagged:
    """In ``flagged`` of ``seeds`` audits something was wrong. ``kind`` is what was released."""

    mistake: str  # or "none"
    kind: str
    flagged: int
    seeds: int

    @property
    def share(self) -> float:
        return self.flagged / self.seeds


def power(claim: Claim, seeds: int, progress: Progress) -> list[Flagged]:
    """Audits honest code and every mistake ``seeds`` times, all with other noise."""
    planted = mistakes()
    step = progress.start("auditing planted mistakes", seeds * (len(planted) + 1))
    found = [Flagged(mistake="none", kind="all", flagged=_honest(claim, seeds, step), seeds=seeds)]
    for number, mistake in enumerate(planted, 1):
        flagged = _planted(claim, mistake, seeds, number, step)
        found.append(Flagged(mistake=mistake.name, kind=mistake.kind, flagged=flagged, seeds=seeds))
    return found


def streams(*seed: int) -> Entropies:
    """Sources that all draw something else, and the same again for the same ``seed``."""
    number = count()
    return lambda: SeededEntropy(*seed, next(number))


def _honest(claim: Claim, seeds: int, step: Callable[[int], None]) -> int:
    flagged = 0
    for seed in range(seeds):
        flagged += bool(audit_mechanism(claim, QUICK, streams(seed, 0)).failed)
        step(1)
    return flagged


def _planted(
    claim: Claim, mistake: Mistake, seeds: int, number: int, step: Callable[[int], None]
) -> int:
    flagged = 0
    with mistake.planted():
        for seed in range(seeds):
            made = audit_mechanism(claim, mistake.effort, streams(seed, number))
            flagged += bool(made.failed)
            step(1)
    return flagged
