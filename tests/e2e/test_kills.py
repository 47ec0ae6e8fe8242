"""Killed at any moment, a run ends in the very model of an undisturbed one, and all is paid for.

The agent's noise is drawn anew from the same seed for every round, which only a class made here
does: an agent that `mascaron-site serve` starts has no way to it, and its policy refuses noise
that can be repeated.
"""

import logging
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from client.agent.training import Training
from client.policy import SitePolicy
from client.privacy.ledger import Budget
from common.errors import ConfigError
from simulations.entropy import SeededEntropy
from simulations.faults import Odds
from simulations.invariants import broken
from simulations.trial import Aftermath, Trial

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (a folder of our own)
CALM = Odds()
KILLED = (
    Odds(agent=0.06, centre=0.06, drop=0.03, twice=0.1),
    Odds(agent=0.15),  # around every write of a ledger
    Odds(centre=0.15),  # ServerApp or SuperLink, around every exchange
    Odds(drop=0.06),  # courier, SuperNode or gateway, with the message they had
    Odds(agent=0.03, centre=0.03, drop=0.05),
)
RUNS, MANY = 10, 100  # each killed in as many ways


class SameNoise(Training):
    """Draws for a round what it drew for it before, so that a repeated round has the same bytes."""

    def _train(self, run: str, number: int, arrays: Any) -> Any:
        self._entropy = SeededEntropy(*self.site.encode(), number)
        return super()._train(run, number, arrays)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("flwr", "client", "server"):
        caplog.set_level(logging.CRITICAL, name)


def lived(seed: int, odds: Odds) -> Aftermath:
    """One run of three to five sites, patient enough to end whatever is killed."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        how: dict[str, Any] = {"odds": odds, "patient": True}
        return Trial(seed=seed, folder=Path(folder), training=SameNoise, **how).run()


def model(left: Aftermath) -> dict[tuple[str, str], bytes]:
    assert left.finished
    assert left.state is not None
    assert left.state.round == len(left.charter.plan.rounds)
    pools = left.state.pools.items()
    return {(pool, name): a.tobytes() for pool, arrays in pools for name, a in arrays.items()}


def killed(seeds: range) -> Counter[str]:
    """What happened under ``seeds``, whose runs all ended as they would have anyway."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        undisturbed = lived(seed, CALM)
        for odds in KILLED:
            left = lived(seed, odds)
            assert model(left) == model(undisturbed), f"seed {seed}, {odds}"
            assert broken(left) == [], f"seed {seed}, {odds}"  # charged for all that left, or more
            seen["charged for a draw that nobody saw"] += unseen(left, undisturbed)
            seen["resumed by an operator"] += bool(left.stops)
            seen["asked again"] += len(left.crossings) > len(undisturbed.crossings)
    return seen


def unseen(left: Aftermath, undisturbed: Aftermath) -> int:
    """Rounds that were charged and broken off, over all sites; each has cost its site something."""
    count = 0
    for node, books in left.books.items():
        kinds = Counter(entry.kind for entry in books.entries)
        assert kinds["release"] == len(left.charter.plan.rounds)
        more = kinds["reserve"] - kinds["release"]
        assert (books.epsilon > undisturbed.books[node].epsilon) == (more > 0)
        count += more
    return count


def test_fifty_runs_killed_at_random_end_in_the_model_of_undisturbed_ones() -> None:
    seen = killed(range(RUNS))
    assert min(seen.values()) >= 5, seen
    assert len(seen) == 3


@pytest.mark.slow
def test_five_hundred_more_killed_at_random_end_in_the_model_of_undisturbed_ones() -> None:
    assert min(killed(range(RUNS, RUNS + MANY)).values()) > 50


def test_other_noise_is_another_model() -> None:
    """So that the comparison above is one of noise as well."""

    class OtherNoise(SameNoise):
        def _train(self, run: str, number: int, arrays: Any) -> Any:
            self._entropy = SeededEntropy(*self.site.encode(), number, 1)
            return Training._train(self, run, number, arrays)

    with TemporaryDirectory(dir=MEMORY) as folder:
        how: dict[str, Any] = {"odds": CALM, "patient": True}
        other = Trial(seed=1, folder=Path(folder), training=OtherNoise, **how).run()
    assert model(other) != model(lived(1, CALM))


def test_a_sites_own_policy_refuses_noise_that_can_be_repeated() -> None:
    policy = SitePolicy(epsilon=8.0, delta=1e-4)
    with pytest.raises(ConfigError, match="operating system"):
        policy.check_means(Budget(8.0, 1e-4), SeededEntropy(1).kind, True)
