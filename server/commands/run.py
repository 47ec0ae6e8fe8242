"""`mascaron-admin run`: starts a signed run, or lets it go on, and follows it to its end."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import BusyError, CharterError, CohortError, DeploymentError, RunError
from common.locks import is_locked
from common.trust.charter import CharterTerms
from server.charter import CHARTER
from server.checkpoint import CHECKPOINT, read_checkpoint
from server.clock import Clock
from server.commands.charter import find, say, seconds_of
from server.home import CentreHome
from server.runs.manner import Manner
from server.runs.progress import LOCK, Progress, read_progress
from server.runs.proposal import check_run
from server.standing import daemon_states, roster_of

LOOK = 0.5  # seconds between two looks
STARTING = 180.0  # seconds that Flower may take to start a ServerApp
OPENING = 60.0  # seconds that the daemons of a centre that was just started may take
GONE = 5.0  # seconds without a living ServerApp after which it is believed dead

ASK = 10.0  # seconds between two questions to Flower, which take a second each

Config = dict[str, str | bool | float]
Start = Callable[[CentreHome, Config], object]
Ended = Callable[[CentreHome, object], bool]


@dataclass(frozen=True, kw_only=True)
class Way:
    """How to run: in which ``manner``, and whether to ``follow`` it until it is over.

    ``start`` asks Flower.

    ``start`` gets the home and the run config, and returns Flower's number of the run; ``ended``
    says whether Flower believes that run to be over.
    """

    start: Start
    ended: Ended = lambda home, number: False
    manner: Manner = field(default_factory=Manner)
    follow: bool = True
    clock: Clock = field(default_factory=Clock)


def run_command(home: CentreHome, name: str, way: Way) -> dict[str, Any]:
    """Starts the run ``name``; with ``way.follow`` follows it on stderr until it is over.

    Whatever would stop it later is told now, with what to do about it: ``CharterError``,
    ``CohortError``, ``RunError``, ``BusyError`` or ``DeploymentError``.
    """
    check_run(name)
    check(home, name, way)
    folder = home.run(name)
    before = read_progress(folder)
    config: Config = {
        "charter": str(home.charter(name).resolve()),
        "folder": str(folder.resolve()),
        "resume": way.manner.resume,
        "centre": str(home.folder.resolve()),
        "wait": way.manner.wait,
        "without": json.dumps(sorted(way.manner.without)),
    }
    _await_daemons(home, way.clock)
    say(f"{name}: asking Flower to start it")
    number = way.start(home, config)
    told = {"run": name, "flower_run": str(number)}
    if not way.follow:
        return {**told, "state": "started", "next": f"mascaron-admin rounds {name}"}
    attempt = before.attempt if before else 0
    progress = _follow(folder, attempt, way.clock, lambda: way.ended(home, number))
    return {
        **told,
        "state": progress.state,
        "round": progress.round,
        "rounds": progress.rounds,
        "sites": list(progress.sites),
        "message": progress.message,
        "checkpoint": str(folder / CHECKPOINT),
    }


def manner_of(*, resume: bool, wait: str, without: tuple[str, ...]) -> Manner:
    """What was typed; ``ConfigError`` for a time that nobody can mean."""
    return Manner(resume=resume, wait=seconds_of(wait), without=frozenset(without))


def check(home: CentreHome, name: str, way: Way) -> None:
    """Raises one of our errors, with a remedy, if the run ``name`` cannot start now."""
    if not (home.charter(name) / CHARTER).exists():
        raise CharterError(
            f"there is no signed charter {name}: `mascaron-admin charter list` shows what there "
            f"is, `mascaron-admin charter sign {name}` signs a proposal"
        )
    terms, _, _ = find(home, name)
    if is_locked(home.run(name) / LOCK):
        raise BusyError(f"{name} runs already; `mascaron-admin rounds {name}` shows how far it is")
    _check_stand(home, terms, way)
    roster = roster_of(home)
    for pool in sorted(way.manner.without - {site.camera_type for site in roster.sites}):
        raise RunError(f"no site has the camera type {pool!r}: `mascaron-admin sites` shows them")
    admitted, cohort = len(roster.admitted), terms.plan.cohort
    if admitted < cohort:
        raise CohortError(
            f"{name} needs {cohort} sites a round and {admitted} are admitted: "
            "`mascaron-admin sites` shows who waits"
        )
    if not is_locked(home.lock):
        raise DeploymentError("the centre is not running: start `mascaron-admin serve` first")


def _await_daemons(home: CentreHome, clock: Clock) -> None:
    """Returns once all daemons of `serve` are up; ``DeploymentError`` if some stay away."""
    limit, told = clock.now() + OPENING, False
    while is_locked(home.lock):
        states = daemon_states(home)
        away = sorted(name for name, state in states.items() if state != "up")
        if states and not away:
            return
        if clock.now() > limit:
            raise DeploymentError(
                f"not up: {', '.join(away) or 'the daemons'}; `mascaron-admin doctor` finds out why"
            )
        if not told:
            say("waiting for the centre's daemons")
        told = True
        clock.sleep(LOOK)
    raise DeploymentError("the centre is not running: start `mascaron-admin serve` first")


def _check_stand(home: CentreHome, terms: CharterTerms, way: Way) -> None:
    """Whether the checkpoint, if there is one, is this run's and still has rounds before it."""
    folder, name = home.run(terms.run), terms.run
    if (folder / CHECKPOINT).exists() and not way.manner.resume:
        raise RunError(
            f"{name} began already: `mascaron-admin run {name} --resume` goes on; what its sites "
            "released cannot be released again"
        )
    state = read_checkpoint(folder, terms.plan.digest)
    if state is not None and state.round >= len(terms.plan.rounds):
        raise RunError(f"{name} is done: a new run needs a new charter")
    if state is None and terms.expires <= way.clock.now():
        raise CharterError(f"the charter {name} has expired: propose and sign a new one")


def _follow(folder: Path, before: int, clock: Clock, ended: Callable[[], bool]) -> Progress:
    """Tells of every change until the attempt after number ``before`` is over."""
    started = alive = asked = clock.now()
    said: dict[str, int] = {}  # a line: the round it was said in; a run looks for sites anew often
    while True:
        progress = read_progress(folder)
        if progress is not None and progress.attempt > before:
            if said.get(told := _line(progress)) != progress.round:
                say(told)
                said[told] = progress.round
            if progress.over:
                return progress
        elif clock.now() - started > STARTING or (clock.now() - asked > ASK and ended()):
            raise DeploymentError(
                "the ServerApp did not start: `mascaron-admin doctor` finds the cause, and what it "
                "said is in the folder logs of the centre"
            )
        if clock.now() - asked > ASK:
            asked = clock.now()
        if not said or is_locked(folder / LOCK):
            alive = clock.now()
        elif clock.now() - alive > GONE:
            raise RunError("the ServerApp died; the same command with --resume goes on")
        clock.sleep(LOOK)


def _line(progress: Progress) -> str:
    """What a person who waits wants to know."""
    sites = f", {len(progress.sites)} sites" if progress.sites else ""
    told = f"{progress.run}: {progress.state}, round {progress.round} of {progress.rounds}{sites}"
    return f"{told} ({progress.message})" if progress.message else told
