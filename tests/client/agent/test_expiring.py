"""Secrets of an attempt go at its opening, at the next attempt, after a time, and at the end."""

import gc
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from client.agent.aggregation import Member, SecureAggregation
from client.agent.attempts import Attempts
from client.agent.secrets import RoundSecrets
from common.errors import AggregationError, ReplayError
from common.secagg.phases import KEYS, OPENING, PHASES, SURVIVORS, VECTOR
from common.secagg.terms import LIFE
from server.strategies.aggregating import Aggregation
from tests.small_secagg import SmallFederation, names, small_context, small_terms

SITES = 4
FIRST = names(SITES)[0]
CONTEXT = small_context(small_terms(SITES))


@dataclass
class Hours:
    """A clock that stands still."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def federation(tmp_path: Path, hours: Hours) -> SmallFederation:
    federation = SmallFederation(SITES, tmp_path)
    for name, key in federation.keys.items():
        member = Member(name=name, key=key, roster=lambda: federation.roster)
        attempts = Attempts(tmp_path / f"{name}.timed")
        federation.sites[name] = SecureAggregation(member, attempts, now=hours)
    return federation


def secrets(federation: SmallFederation) -> dict[str, RoundSecrets]:
    """Of the first site, by run."""
    live = federation.sites[FIRST]._live
    return {run: attempt.secrets for run, attempt in live.items()}


def bare(secret: RoundSecrets) -> bool:
    """Whether nothing is left that a share, a mask or a key could be made of."""
    private = (secret._seed, secret._mask, secret._privates)
    return not any((*private, secret._pairs, secret._shared, secret._kept))


def refused(federation: SmallFederation, centre: Aggregation, phase: str) -> None:
    request = centre.requests(phase)[FIRST]
    with pytest.raises(AggregationError, match="no secrets"):
        federation.answer(FIRST, centre.context, phase, request)
    with pytest.raises(ReplayError):
        federation.answer(FIRST, centre.context, KEYS, b"")


@pytest.mark.parametrize("phase", PHASES[1:])
def test_an_abandoned_attempt_is_forgotten_after_its_life_and_not_before(
    phase: str, federation: SmallFederation, hours: Hours
) -> None:
    centre = federation.until(phase, CONTEXT)
    held = secrets(federation)[CONTEXT.run]
    hours.now += LIFE - 1
    federation.sites[FIRST].expire()
    assert not bare(held)
    hours.now += 1
    federation.sites[FIRST].expire()
    assert bare(held)
    assert secrets(federation) == {}
    refused(federation, centre, phase)


def test_every_phase_gives_an_attempt_another_life(
    federation: SmallFederation, hours: Hours
) -> None:
    centre = Aggregation(CONTEXT, federation.roster)
    for phase in PHASES:
        hours.now += LIFE - 1
        for site in federation.sites.values():
            site.expire()
        centre.take(phase, federation.answers(centre, phase))
    assert np.array_equal(centre.total, federation.plain_sum({}))


def test_a_repeat_gives_no_other_life(federation: SmallFederation, hours: Hours) -> None:
    """Else a courier that asks again and again would keep the secrets for ever."""
    centre = federation.until(SURVIVORS, CONTEXT)
    hours.now += LIFE - 1
    assert federation.answer(FIRST, CONTEXT, KEYS, b"")
    hours.now += 1
    federation.sites[FIRST].expire()
    refused(federation, centre, SURVIVORS)


def test_an_opening_leaves_no_secret_and_repeats_for_a_while(
    federation: SmallFederation, hours: Hours
) -> None:
    centre = federation.until(OPENING, CONTEXT)
    request, held = centre.requests(OPENING)[FIRST], secrets(federation)[CONTEXT.run]
    said = federation.answer(FIRST, CONTEXT, OPENING, request)
    assert bare(held)
    assert federation.answer(FIRST, CONTEXT, OPENING, request) == said
    hours.now += LIFE
    federation.sites[FIRST].expire()
    refused(federation, centre, OPENING)


def test_the_next_attempt_of_a_run_ends_the_one_before_and_no_other_runs(
    federation: SmallFederation,
) -> None:
    other = small_context(CONTEXT.terms, run="other")
    for context in (CONTEXT, other):
        federation.until(VECTOR, context)
    held = secrets(federation)
    federation.answer(FIRST, small_context(CONTEXT.terms, attempt=2), KEYS, b"")
    assert (bare(held["run"]), bare(held["other"])) == (True, False)


def test_at_the_end_all_is_forgotten_however_young(federation: SmallFederation) -> None:
    for run in ("run", "other"):
        federation.until(VECTOR, small_context(CONTEXT.terms, run=run))
    held = secrets(federation)
    federation.sites[FIRST].expire(0.0)
    assert [bare(secret) for secret in held.values()] == [True, True]
    assert secrets(federation) == {}


def test_what_is_at_work_is_neither_forgotten_nor_waited_for(
    federation: SmallFederation, hours: Hours
) -> None:
    centre = federation.until(VECTOR, CONTEXT)
    asked, go = threading.Event(), threading.Event()

    def slow() -> np.ndarray:
        asked.set()
        assert go.wait(30)
        return federation.vectors[FIRST]

    said: list[bytes] = []
    request, site = centre.requests(VECTOR)[FIRST], federation.sites[FIRST]
    work = threading.Thread(target=lambda: said.append(site.answer(CONTEXT, VECTOR, request, slow)))
    work.start()
    assert asked.wait(30)
    hours.now += 2 * LIFE
    site.expire()
    site.expire(0.0)
    go.set()
    work.join(30)
    assert said
    site.expire()
    assert not bare(secrets(federation)[CONTEXT.run])


def test_secrets_that_were_forgotten_are_held_by_nobody(federation: SmallFederation) -> None:
    federation.until(VECTOR, CONTEXT)
    seed = secrets(federation)[CONTEXT.run]._seed
    federation.sites[FIRST].expire(0.0)
    gc.collect()
    assert [held for held in gc.get_referrers(seed) if isinstance(held, RoundSecrets)] == []
