"""Secure sums in bad weather: whatever is lost or dies, a total is exact over whom it names."""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from common import wire
from common.errors import AggregationError, CohortError
from common.secagg.phases import KEYS, OPENING, PHASES, SHARES, SURVIVORS, VECTOR
from simulations.faults import FaultyGrid, Odds, PowerCut, Weather
from tests.small_afternoon import Afternoon
from tests.small_sums import NAMES

PAID = (SURVIVORS, OPENING)  # the vectors are there


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("flwr", "client", "server"):
        caplog.set_level(logging.CRITICAL, name)


@pytest.mark.parametrize("at", PHASES)
@pytest.mark.parametrize("name", NAMES)
def test_a_site_lost_from_any_phase_on_leaves_an_exact_sum(
    tmp_path: Path, at: str, name: str
) -> None:
    gone = PHASES[PHASES.index(at) :]
    it = Afternoon(tmp_path, lost=lambda who, phase: who == name and phase in gone)
    it.go()
    others = tuple(other for other in NAMES if other != name)
    assert it.checked == [NAMES if at in PAID else others]
    assert it.attempts == {"1": 1}


@pytest.mark.parametrize("at", PHASES[1:])
def test_an_agent_that_dies_between_phases_leaves_an_exact_sum(tmp_path: Path, at: str) -> None:
    it = Afternoon(tmp_path)
    it.before = lambda number, attempt, phase: it.kill("south") if phase == at else None
    it.go()
    others = tuple(name for name in NAMES if name != "south")
    assert it.checked == [NAMES if at in PAID else others]
    assert [it.charged(name) for name in others] == [1, 1, 1]


@pytest.mark.parametrize("at", PHASES[1:])
def test_two_agents_that_die_cost_an_attempt_and_no_more_than_was_sent(
    tmp_path: Path, at: str
) -> None:
    def both(number: int, attempt: int, phase: str) -> None:
        if attempt == 1 and phase == at:
            for name in ("north", "west"):
                it.kill(name)

    it = Afternoon(tmp_path, before=both)
    it.go()
    assert it.checked == [NAMES]
    assert it.attempts == {"1": 2}
    again = 1 if at in (SHARES, VECTOR) else 2
    assert it.charged("north") == again
    assert it.charged("east") == (1 if at == SHARES else 2)


@pytest.mark.parametrize("at", PHASES)
def test_a_centre_that_died_between_phases_goes_on_with_a_new_attempt(
    tmp_path: Path, at: str
) -> None:
    def cut(number: int, attempt: int, phase: str) -> None:
        if attempt == 1 and phase == at:
            raise PowerCut(at)

    it = Afternoon(tmp_path, before=cut)
    with pytest.raises(PowerCut):
        it.go()
    assert it.checked == []
    it.go()
    assert it.checked == [NAMES]
    assert it.attempts == {"1": 2}
    assert {it.charged(name) for name in NAMES} == {2 if at in PAID else 1}


def test_too_few_vectors_are_tried_once_more_and_then_left_to_a_person(tmp_path: Path) -> None:
    it = Afternoon(tmp_path, lost=lambda name, phase: name in NAMES[:2] and phase == VECTOR)
    with pytest.raises(AggregationError, match="charged 2 times") as told:
        it.go()
    assert "no answer in time" in str(told.value)
    assert {it.charged(name) for name in NAMES} == {2}
    it.lost = lambda name, phase: False
    it.go()
    assert it.checked == [NAMES]
    assert it.attempts == {"1": 3}


def test_too_few_keys_cost_nobody_anything_however_often(tmp_path: Path) -> None:
    it = Afternoon(tmp_path, lost=lambda name, phase: name in NAMES[:2] and phase == KEYS)
    for _ in range(3):
        with pytest.raises(CohortError, match="2 sites sent keys"):
            it.go()
    assert {it.charged(name) for name in NAMES} == {0}
    assert it.attempts == {"1": 6}


def test_a_centre_that_counts_attempts_anew_is_told_so_and_gets_past_them(tmp_path: Path) -> None:
    it = Afternoon(tmp_path, lost=lambda name, phase: name in NAMES[:2] and phase == KEYS)
    for _ in range(2):
        with pytest.raises(CohortError, match="2 sites sent keys"):
            it.go()
    it.lost = lambda name, phase: False
    (tmp_path / "attempts.json").unlink()  # as in the backup
    with pytest.raises(CohortError) as told:
        it.go()
    assert "REPLAY_MISMATCH (it took part in an attempt of this number" in str(told.value)
    assert "--run" not in str(told.value)
    it.go()
    assert (it.checked, it.attempts) == ([NAMES], {"1": 4})
    assert {it.charged(name) for name in NAMES} == {1}


def test_agents_that_were_started_again_in_every_attempt_are_named_for_it(tmp_path: Path) -> None:
    def both(number: int, attempt: int, phase: str) -> None:
        if phase == SHARES:
            for name in ("north", "west"):
                it.kill(name)

    it = Afternoon(tmp_path, before=both)
    with pytest.raises(
        CohortError, match=r"north, west: AGGREGATION_REFUSED \(its agent was start"
    ):
        it.go()


def test_a_lost_count_of_attempts_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "attempts.json").write_text("[]", "utf-8")
    with pytest.raises(AggregationError, match="propose it under another --run"):
        Afternoon(tmp_path).go()


ODDS = Odds(drop=0.01, late=0.01, twice=0.2, corrupt=0.01, reorder=True, centre=0.02)


def deaths(it: Afternoon, weather: Weather) -> Callable[[int, int, str], None]:
    """Before each phase some agents die."""

    def before(number: int, attempt: int, phase: str) -> None:
        for name in NAMES:
            if weather.strikes(0.02):
                it.kill(name)

    return before


def storms(folder: Path, seeds: range) -> tuple[int, int]:
    """In how many seeds the run came to its end, and in how many without all sites."""
    ends = dropped = 0
    for seed in seeds:
        place = folder / str(seed)
        place.mkdir()
        it = Afternoon(place, weather=Weather(ODDS, seed))
        it.before = deaths(it, Weather(Odds(), seed, 1))
        for _ in range(12):
            with suppress(PowerCut, CohortError, AggregationError):
                it.go()
                ends += 1
                break
        dropped += any(len(names) < len(NAMES) for names in it.checked)
        for name in NAMES:
            it.sites.ledgers[name].verify()
            assert it.sites.kinds(name).count("masked") <= it.charged(name)
            it.sites.ledgers[name].close()
    return ends, dropped


def test_whatever_the_weather_a_total_is_exact(tmp_path: Path) -> None:
    assert storms(tmp_path, range(3))[0] >= 2


@pytest.mark.slow
def test_in_a_hundred_storms_every_total_is_exact(tmp_path: Path) -> None:
    ends, dropped = storms(tmp_path, range(100, 200))
    assert ends >= 80
    assert dropped >= 10


def test_a_broken_word_of_a_site_is_not_taken_for_its_word(tmp_path: Path) -> None:
    it = Afternoon(tmp_path, weather=Weather(Odds(corrupt=0.05), 3))
    for _ in range(12):
        with suppress(CohortError, AggregationError):
            it.go()
            break
    assert len(it.checked) == 1
    crossings = it.grid.crossings if isinstance(it.grid, FaultyGrid) else []
    assert any(c.broken and wire.PAYLOAD in str(c.message.content) for c in crossings)
