"""One run from where it stands to its end: waits for sites, notes every round, pauses, goes on.

A crash anywhere costs at most the round under way: the checkpoint is that of the round before, and
sites answer a repeated request with the bytes they answered first.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flwr.serverapp import Grid

from common.errors import AggregationError, CohortError, MascaronError, RunError
from common.locks import locked
from common.trust.signed import Signed
from server.charter import Charter
from server.checkpoint import CHECKPOINT, PoolArrays, RunState, read_checkpoint
from server.clock import Clock
from server.runs.manner import Manner
from server.runs.progress import (
    LOCK,
    Progress,
    RoundNote,
    State,
    note_round,
    read_progress,
    write_progress,
)
from server.runs.register import Register
from server.runs.verdict import verdict
from server.runs.watching import Exchange, WatchedGrid
from server.strategies.rounds import EVALUATE, TRAIN, Monitor, RoundLoop
from server.strategies.secure import KIND

LOOK = 2.0  # seconds between two looks for sites
LEAST = 60.0  # seconds that a site has at least to say who it is, and whether it accepts
GO_ON = "`mascaron-admin run {run} --resume` goes on with round {next}"


@dataclass(kw_only=True, slots=True)
class Running:
    """Runs ``charter`` over ``grid`` into ``folder``, telling of it in files (``progress``).

    Where fewer sites than the cohort minimum take part, or none of a pool that took part before, it
    looks for them again for as long as ``manner`` says, and then ends in state "paused"; so it does
    at once where a secure sum failed after the sites had paid for it. Any other failure ends it as
    "failed". All leave the checkpoint of the last whole round.
    """

    grid: Grid
    charter: Charter
    signed: Signed
    folder: Path
    register: Register
    manner: Manner = field(default_factory=Manner)
    monitor: Monitor | None = None
    clock: Clock = field(default_factory=Clock)
    _attempt: int = 0
    _round: int = 0  # done
    _asked: bool = False  # whether sites that had accepted were asked for a round
    _sites: tuple[str, ...] = ()
    _loop: RoundLoop | None = None
    _train: Exchange | None = None
    _waves: list[Exchange] = field(default_factory=list)  # of the secure sums of this round

    def go(self, initial: PoolArrays) -> Progress:
        """Runs to the end, or to a pause, and returns where it then stands.

        Raises ``BusyError`` if another process runs it, ``RunError`` for a checkpoint that is of
        another plan, or that is there though nobody said to resume.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.folder / LOCK, f"run {self.charter.run}"):
            before = read_progress(self.folder)
            self._attempt = 1 + (before.attempt if before else 0)
            try:
                if not self.manner.resume and (self.folder / CHECKPOINT).exists():
                    raise RunError(f"{self.charter.run} began already: {self._remedy()}")
                return self._until_over(initial)
            except Exception as error:
                self._failed(error)
                raise

    def _until_over(self, initial: PoolArrays) -> Progress:
        deadline = self.clock.now() + self.manner.wait
        failed = 0  # times since the last round that was done
        while True:
            state = self._stand()
            reached, self._asked = state.round, False
            try:
                self._wait_for_nodes(deadline)
                self._told("running")
                history = self._enter(state, initial).history
                return self._told("done", "; ".join(verdict(history)))
            except CohortError as error:
                failed = 1 if self._round > reached else failed + 1
                if failed == 1 and (self._round > reached or self._asked):
                    deadline = self.clock.now() + self.manner.wait  # they were there until now
                if self.clock.now() >= deadline:
                    return self._told("paused", self._paused(error, waited=True), error.reason)
                self._told("waiting", f"{error}; looking for sites again", error.reason)
                self.clock.sleep(LOOK)
            except AggregationError as error:  # trying again by itself would cost the sites
                return self._told("paused", self._paused(error), error.reason)
            finally:
                self._waves.clear()

    def _stand(self) -> RunState:
        """The last state on the disk, or the beginning."""
        digest = self.charter.plan.digest
        state = read_checkpoint(self.folder, digest) or RunState(plan=digest)
        self._round = state.round
        return state

    def _enter(self, state: RunState, initial: PoolArrays) -> RunState:
        grid = WatchedGrid(self.grid, self.clock.now, self._begun, self._noted)
        grid.asking = max(LEAST, self.manner.wait)
        self._loop = RoundLoop(
            grid,
            self.charter,
            self.signed,
            self.folder,
            monitor=self.monitor,
            register=self.register,
            done=self._done,
            without=self.manner.without,
        )
        return self._loop.run(state, initial)

    def _wait_for_nodes(self, deadline: float) -> None:
        """Waits while there are too few nodes to ask; ``CohortError`` at ``deadline``."""
        cohort = self.charter.plan.cohort
        while len(there := list(self.grid.get_node_ids())) < cohort:
            told = f"{len(there)} sites are connected, the cohort minimum is {cohort}"
            if self.clock.now() >= deadline:
                raise CohortError(told)
            self._told("waiting", told, CohortError.reason)
            self.clock.sleep(LOOK)

    def _begun(self, kind: str, group: str) -> None:
        if kind in (TRAIN, EVALUATE, KIND):
            self._asked = True
            self._told("running", f"round {group}: sites are at work")

    def _noted(self, exchange: Exchange) -> None:
        if exchange.kind in (TRAIN, EVALUATE):
            self._train = exchange
        elif exchange.kind == KIND:
            self._waves.append(exchange)

    def _done(self, state: RunState) -> None:
        """After every round on the disk: a note of it, and progress."""
        self._round, loop, wave = state.round, self._loop, self._train
        if loop is not None and self._waves:
            self._note_sums(loop)
        elif loop is not None and wave is not None and wave.group == str(state.round):
            refused = {node: reason for node, reason in loop.faults.items() if node in wave.asked}
            refused |= wave.errors
            answered = [node for node in wave.asked if node not in refused]
            self._sites = tuple(sorted(self._name(node) for node in answered))
            note = RoundNote(
                round=state.round,
                mechanism=self.charter.plan.rounds[state.round - 1].mechanism.name,
                answered=self._sites,
                refused={self._name(node): reason for node, reason in sorted(refused.items())},
                seconds=round(wave.seconds, 3),
                sent=wave.sent,
                received=wave.received,
                attempt=self._attempt,
            )
            note_round(self.folder, note)
            loop.faults.clear()
        self._told("running")

    def _note_sums(self, loop: RoundLoop) -> None:
        """A note of a round that was one secure sum a pool: every wave, and whom it lost."""
        waves, self._waves = self._waves, []
        self._sites = tuple(sorted(name for names in loop.summed.values() for name in names))
        note = RoundNote(
            round=self._round,
            mechanism=self.charter.plan.rounds[self._round - 1].mechanism.name,
            answered=self._sites,
            refused=dict(sorted(loop.left_out.items())),
            seconds=round(sum(wave.seconds for wave in waves), 3),
            sent=sum(wave.sent for wave in waves),
            received=sum(wave.received for wave in waves),
            attempt=self._attempt,
            phases=tuple(self._phase(wave) for wave in waves),
        )
        note_round(self.folder, note)

    def _phase(self, wave: Exchange) -> dict[str, Any]:
        errors = {self._name(node): reason for node, reason in sorted(wave.errors.items())}
        return {"phase": wave.group, "seconds": round(wave.seconds, 3), "errors": errors}

    def _name(self, node: int) -> str:
        known = self._loop.names if self._loop is not None else {}
        return known.get(node, f"node {node}")

    def _told(self, state: State, message: str = "", reason: str = "") -> Progress:
        progress = Progress(
            run=self.charter.run,
            plan=self.charter.plan.digest,
            state=state,
            round=self._round,
            rounds=len(self.charter.plan.rounds),
            attempt=self._attempt,
            updated=self.clock.now(),
            sites=self._sites,
            message=message,
            reason=reason,
            wait=self.manner.wait,
        )
        write_progress(self.folder, progress)
        return progress

    def _paused(self, error: MascaronError, *, waited: bool = False) -> str:
        wait = f"{self.manner.wait:.0f} s"
        looked = f". None came within {wait}, and a longer --wait gives them more" if waited else ""
        return (
            f"{error}{looked}. `mascaron-admin sites` lists who is admitted, `mascaron-site "
            f"doctor` finds out at a site why it is missing; then {self._remedy()}"
        )

    def _remedy(self) -> str:
        return GO_ON.format(run=self.charter.run, next=self._round + 1)

    def _failed(self, error: Exception) -> None:
        """Says why in the progress; a bug's text is not repeated, it is in the log."""
        ours = isinstance(error, MascaronError)
        reason = error.reason if isinstance(error, MascaronError) else "INTERNAL"
        told = str(error) if ours else f"{type(error).__name__}; see the log of the ServerApp"
        self._told("failed", told, reason)
