"""`mascaron-lab tune`: a search over settings, and what it will cost before it starts."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from client.privacy.ledger import LEAST_KEY, Budget, Ledger
from common.console import result
from common.errors import ConfigError, RunError, ScenarioError
from common.outputs import check_folder
from common.privacy.accountant import epsilon
from common.privacy.selection import INDEPENDENT, Runs, likely_most, parse_runs
from common.trust import storing
from simulations.laboratory import Given, Laboratory
from simulations.pieces import write_json
from simulations.progress import Bars, stderr_console
from simulations.tuning.asked import Asked, load_search
from simulations.tuning.charging import EveryTrial, Free, Payment, Selected, trials_epsilon
from simulations.tuning.contest import Contest
from simulations.tuning.outcome import outcome
from simulations.tuning.space import PUBLIC_ONLY
from simulations.tuning.study import How, Study

RESULT = "tuned.json"


@dataclass(frozen=True, kw_only=True)
class TuneCommand:
    """What ``mascaron-lab tune`` may be told beside a search and its sources."""

    out: Path
    trials: int | None = None
    sampler: str | None = None
    seed: int = 0
    private: bool | None = None
    budget: float | None = None
    ledger: Path | None = None
    key: Path | None = None
    random: str | None = None
    yes: bool = False


def tune_command(search: str, told: TuneCommand, **sources: Any) -> None:
    """Searches; progress and cost go to stderr, the result to stdout and into the folder."""
    given, asked = Given(**sources), load_search(search)
    _need_optuna()
    private = is_private(given, asked, told)
    check_folder(told.out)
    runs = parse_runs(told.random) if told.random else None
    _check(given, asked, told, private=private)
    console, how = stderr_console(), _how(asked, told)
    kept = told.out / RESULT
    if runs and kept.is_file():
        result(_kept(kept, asked))
        return
    begun = time.monotonic()
    with Bars(console) as bars:
        laboratory = Laboratory(given, given.cache or told.out / "features", bars)
        contest = Contest(asked=asked, laboratory=laboratory, folder=told.out, private=private)
        contest.check()
        with _payment(contest, told, runs, private=private) as payment:
            for line in costs(contest, payment, how):
                console.print(line, highlight=False, soft_wrap=True)
            if private and not told.yes:
                click.confirm("Start?", abort=True, err=True)
            study = Study(contest=contest, payment=payment, how=how, folder=told.out)
            try:
                found = study.everything()
            except KeyboardInterrupt:
                console.print(f"Stopped. The same command with --out {told.out} goes on.")
                raise click.Abort from None
            figures = outcome(contest, payment, how, found)
            write_json(figures, kept)
            if runs:
                study.forget()
    _print(figures, time.monotonic() - begun, console)
    result(figures)


def _kept(path: Path, asked: Asked) -> dict[str, Any]:
    """What the search of this command told before; ``RunError`` where it was another one."""
    told: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if told.get("search") != asked.identity:
        raise RunError(f"{path.parent} holds the result of another search; choose another --out")
    return told


def is_private(given: Given, asked: Asked, told: TuneCommand) -> bool:
    """Whether somebody's privacy is at stake; ``ScenarioError`` where nobody has said so."""
    if asked.private and told.private is False:
        raise ScenarioError(
            "the search file says that its people are private: --free cannot undo it"
        )
    if asked.private or told.private is not None:
        return asked.private or bool(told.private)
    if given.faces is not None:
        raise ScenarioError(
            "a search looks at --faces once for every trial: say --private if these people did not "
            "publish their pictures, --free if they are public"
        )
    return False


def costs(contest: Contest, payment: Payment, how: How) -> Iterator[str]:
    """What a search will cost, in lines, before it starts."""
    asked = contest.asked
    if isinstance(payment, Free):
        yield f"{how.trials} trials on public or invented people: free."
        return
    assert isinstance(payment, EveryTrial | Selected)
    ledger, events, delta = payment.ledger, contest.events(), payment.ledger.budget.delta
    budget, trial = ledger.budget.epsilon, epsilon(contest.events(), delta)
    yield (
        f"These people are private. One trial (federations: {contest.repetitions}) costs one of "
        f"them epsilon {trial:.3g} at delta {delta:g}; their ledger holds "
        f"{ledger.epsilon():.3g} of {budget:.3g}."
    )
    past = ledger.events()
    if isinstance(payment, Selected):
        runs = payment.runs
        every = trials_epsilon(events, max(1, round(runs.mean)), past, delta)
        yield (
            f"The best of a random number of trials ({runs.mean:.3g} on average, in 99 of 100 "
            f"searches at most {likely_most(runs)}) comes to epsilon {payment.price():.3g}; as "
            f"many charged one by one, to {every:.3g}. The search takes all that the ledger has "
            "left."
        )
        return
    fits = _fitting(events, how.trials, past, ledger.budget)
    yield (
        f"Every trial is charged before it runs, stopped ones too: {how.trials} of them come to "
        f"epsilon {trials_epsilon(events, how.trials, past, delta):.3g}; {fits} fit into the "
        "budget."
    )
    if asked.scenario.seeds > 1:
        yield "A search with one seed costs as many times less: seeds = 1 under [set]."


def _fitting(events: Any, most: int, past: Any, budget: Budget) -> int:
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        fits = trials_epsilon(events, middle, past, budget.delta) <= budget.epsilon
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _how(asked: Asked, told: TuneCommand) -> How:
    sampler = told.sampler or (INDEPENDENT if told.random else "tpe")
    return How(
        trials=told.trials or asked.trials,
        sampler=sampler,
        seed=secrets.randbits(64) if told.random else told.seed,
    )


def _check(given: Given, asked: Asked, told: TuneCommand, *, private: bool) -> None:
    """Raises ``ScenarioError`` for options that contradict each other."""
    if not private:
        if told.random or told.budget is not None or told.ledger or told.key:
            raise ScenarioError("--random, --budget, --ledger and --key are for --private people")
        return
    if told.budget is None:
        raise ScenarioError("--private needs --budget: the epsilon these people may lose in all")
    if given.entropy != "os":
        raise ScenarioError("--private needs --entropy os: seeded noise protects nobody")
    if (told.ledger is None) != (told.key is None):
        raise ScenarioError("--ledger and --key belong together")
    if told.random and told.trials:
        raise ScenarioError("--random draws how many trials there are: leave --trials out")
    free = [name for name in PUBLIC_ONLY if name in asked.space.knobs]
    if free:
        raise ScenarioError(
            f"leave {', '.join(free)} out of [space]: to be chosen on public people only"
        )


@contextmanager
def _payment(
    contest: Contest, told: TuneCommand, runs: Runs | None, *, private: bool
) -> Iterator[Payment]:
    if not private:
        yield Free()
        return
    assert told.budget is not None
    told.out.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = told.ledger or told.out / "ledger.db"
    budget = Budget(told.budget, contest.asked.scenario.delta)
    with Ledger(path, _key(told), budget) as ledger:
        if runs is None:
            yield EveryTrial(ledger=ledger)
            return
        yield Selected(
            ledger=ledger,
            runs=runs,
            once=contest.events(),
            repetitions=contest.repetitions,
            sampler=_how(contest.asked, told).sampler,
        )


def _key(told: TuneCommand) -> bytes:
    """The ledger's key; made where the search keeps a ledger of its own."""
    path = told.key or told.out / "ledger.key"
    key = storing.read(path)
    if key is None and told.key is None:
        key = secrets.token_bytes(32)
        storing.replace(path, key)
    if key is None or len(key) < LEAST_KEY:
        raise ConfigError(f"no key of at least {LEAST_KEY} bytes at {path}: name one with --key")
    return key


def _need_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise ConfigError("a search needs Optuna: pip install 'mascaron[tune]'") from None


def _print(figures: dict[str, Any], seconds: float, console: Console) -> None:
    """The best setting beside the default one, and what report people say of both."""
    for name in ("default", "best"):
        tried, judged = figures[name], figures["report"].get(name)
        if tried is None:
            continue
        told = ", ".join(f"{knob}={_short(value)}" for knob, value in tried["setting"].items())
        rate = judged["1e-2"]
        seen = "too few to tell" if rate is None else _rate(rate)
        line = f"{name}: development people {tried['score']:.4f}, report people {seen}; {told}"
        console.print(line, highlight=False, soft_wrap=True)
    gain = figures["report"].get("gain")
    if gain:
        console.print(f"best over default, points at FAR 1e-2: {_rate(gain)}", highlight=False)
    if figures["ended"] == "budget":
        console.print("The budget ended before the trials did.", highlight=False)
    if figures["payment"] != "selection":  # there, the time tells how many runs there were
        console.print(f"{len(figures['trials'])} trials in {seconds:.0f} s", highlight=False)
    console.print(figures["statement"], highlight=False, soft_wrap=True)


def _rate(rate: dict[str, Any]) -> str:
    low, high = rate["ci95"]
    return f"{rate['value']:.4f} [{low:.4f}, {high:.4f}]"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
