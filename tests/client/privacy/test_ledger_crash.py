"""Killed at any moment, the ledger has recorded at least what was spent, and lost no release.

A child process, forked from this warm one, runs reserve/train/release cycles and says over a pipe
what it starts and what it released; the parent kills it with SIGKILL, reopens the ledger and
compares. Kills come at random times, and between the lines of the ledger's own code.
"""

import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

import pytest

from client.privacy import account, anchor, chain, ledger
from client.privacy.ledger import Budget, Ledger
from common.errors import BudgetError
from common.privacy.accountant import Event, epsilon
from common.privacy.plan import MomentMechanism, PrivacyPlan

KEY = b"k" * 32
DELTA = 1e-5
BUDGET = Budget(1e6, DELTA)
EVENT = Event(20.0)
ROUNDS = 40
FILES = {module.__file__ for module in (account, anchor, chain, ledger)}


def plan(rounds: int) -> PrivacyPlan:
    return PrivacyPlan(
        mechanisms=tuple(
            MomentMechanism(kind="mean", sigma=EVENT.sigma, clip=1.0, name=f"m{i}")
            for i in range(rounds)
        ),
        people=10,
        delta=DELTA,
    )


PLAN = plan(ROUNDS)


def live(path: Path, tell: Callable[[str], None], cycles: int) -> None:
    """What an agent does: accept, then each round: replay or reserve, train, release."""
    with Ledger(path, KEY, BUDGET) as opened:
        done = 0
        for run in (f"run{i}" for i in range(cycles)):
            opened.accept(run, PLAN)
            for number in range(1, ROUNDS + 1):
                if opened.replay(run, number, "request") is not None:
                    continue
                opened.reserve(run, number, "request", EVENT)
                tell(f"sampling {run} {number}")
                payload = os.urandom(64)
                opened.release(run, number, "request", payload)
                tell(f"released {run} {number} {payload.hex()}")
                done += 1
                if done == cycles:
                    return


def doomed(path: Path, cycles: int, end: "End") -> list[str]:
    """Runs ``live`` in a child that ``end`` cuts short; what the child had said by then."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        with contextlib.suppress(BaseException):
            os.close(reader)
            end.inside()
            live(path, lambda text: _say(writer, text), cycles)
            status = 0
        os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = end.outside(child, pipe) + pipe.readlines()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed by itself"
    return [line.decode().strip() for line in said]


class End:
    """How a child ends: this one by itself."""

    def inside(self) -> None:
        """Called in the child before it opens the ledger."""

    def outside(self, child: int, pipe: BinaryIO) -> list[bytes]:
        """Called in the parent; the lines it has read from the child."""
        return []


class RandomKill(End):
    """SIGKILL at a random moment: a random number of messages, then a random wait."""

    def __init__(self, rng: random.Random) -> None:
        self._messages = rng.randrange(0, 6)
        self._seconds = rng.uniform(0, 0.004 if self._messages else 0.03)

    def outside(self, child: int, pipe: BinaryIO) -> list[bytes]:
        said = [pipe.readline() for _ in range(self._messages)]
        time.sleep(self._seconds)
        os.kill(child, signal.SIGKILL)
        return said


class KillBeforeLine(End):
    """SIGKILL in front of the ``count``-th line executed in the ledger's own files."""

    def __init__(self, count: int) -> None:
        self._left = count

    def inside(self) -> None:
        sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
        return self._trace


def _say(writer: int, text: str) -> None:
    os.write(writer, f"{text}\n".encode())


class Witness:
    """What the world saw: every sampling started and every release, over all lives."""

    def __init__(self) -> None:
        self.sampled: Counter[tuple[str, int]] = Counter()
        self.released: dict[tuple[str, int], bytes] = {}

    def hear(self, said: list[str]) -> None:
        for line in said:
            kind, run, number, *payload = line.split()
            if kind == "sampling":
                self.sampled[run, int(number)] += 1
            else:
                self.released[run, int(number)] = bytes.fromhex(payload[0])

    def compare(self, path: Path) -> None:
        with Ledger(path, KEY, BUDGET) as opened:  # the chain verifies
            true = epsilon([Event(EVENT.sigma, 1.0, self.sampled.total())], DELTA)
            assert opened.epsilon() >= true
            for (run, number), payload in self.released.items():
                assert opened.replay(run, number, "request") == payload
            accepted = [e.run for e in opened.entries() if e.kind == "accept"]
            assert len(accepted) == len(set(accepted))
            for run, _ in self.sampled:
                assert run in accepted


def storm(folder: Path, kills: int, seed: int) -> int:
    """Kills that many children at work; how many cycles they had begun."""
    witness, rng = Witness(), random.Random(seed)  # noqa: S311
    folder.mkdir()
    for kill in range(kills):
        witness.hear(doomed(folder / "ledger.db", 50, RandomKill(rng)))
        if kill % 10 == 9:
            witness.compare(folder / "ledger.db")
    witness.compare(folder / "ledger.db")
    return witness.sampled.total()


def test_killed_at_random_over_100_cycles_it_never_under_counts_nor_loses_a_release(
    tmp_path: Path,
) -> None:
    cycles = sum(storm(tmp_path / str(seed), kills=25, seed=seed) for seed in range(4))
    assert cycles >= 100


@pytest.mark.slow
def test_killed_at_random_over_10000_cycles_it_never_under_counts(tmp_path: Path) -> None:
    cycles, seed = 0, 100
    while cycles < 10_000:
        cycles += storm(tmp_path / str(seed), kills=100, seed=seed)
        seed += 1


@pytest.mark.parametrize("apart", [21, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_before_any_line_of_its_own_code_it_never_under_counts(
    tmp_path: Path, apart: int
) -> None:
    survived = False
    for count in range(1, 4000, apart):
        folder = tmp_path / str(count)
        folder.mkdir()
        witness = Witness()
        said = doomed(folder / "ledger.db", 2, KillBeforeLine(count))
        witness.hear(said)
        witness.compare(folder / "ledger.db")
        witness.hear(doomed(folder / "ledger.db", 1, End()))
        witness.compare(folder / "ledger.db")
        survived = sum(line.startswith("released") for line in said) == 2
        if survived:
            break
    assert survived, "the cycles never ended"


def test_a_ledger_that_charges_after_sampling_is_caught_by_the_comparison(tmp_path: Path) -> None:
    witness = Witness()
    path = tmp_path / "ledger.db"
    Ledger(path, KEY, BUDGET).close()
    witness.hear(["sampling run0 1"])
    with pytest.raises(AssertionError):
        witness.compare(path)


def test_a_plan_over_budget_stays_refused_after_any_number_of_crashes(tmp_path: Path) -> None:
    path, tight = tmp_path / "ledger.db", Budget(epsilon([EVENT] * 3, DELTA), DELTA)
    for life in range(3):
        opened = Ledger(path, KEY, tight)
        opened.accept("run", plan(3))
        opened.reserve("run", 1, "request", EVENT)
        assert opened.events() == (Event(EVENT.sigma, 1.0, life + 1),)
        opened.close()
    with Ledger(path, KEY, tight) as opened:
        for number in (1, 2, 3):
            with pytest.raises(BudgetError):
                opened.reserve("run", number, "request", EVENT)
