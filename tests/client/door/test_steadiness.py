"""A clock that is set far forward destroys nobody's keys before somebody could notice."""

import logging

import pytest

from client.door.steadiness import GAP, LEAP, PAUSE, Steadiness
from tests.small_reception import Site
from tests.small_vault import NOW, person

YEARS = 10 * 365 * 86_400.0


class Hands:
    """A clock on the wall, and how long the machine has been up."""

    def __init__(self) -> None:
        self.wall, self.up = NOW, 5.0

    def wait(self, seconds: float) -> None:
        self.wall, self.up = self.wall + seconds, self.up + seconds

    def steady(self, known: float | None = NOW) -> Steadiness:
        return Steadiness(lambda: self.wall, lambda: self.up, known)


def test_a_clock_that_goes_as_time_does_is_believed() -> None:
    hands = Hands()
    steady = hands.steady()
    for seconds in (0, 60, YEARS):
        hands.wait(seconds)
        assert steady.trusted()
    hands.wall -= YEARS  # backwards nothing runs out
    assert steady.trusted()


def test_after_a_leap_a_day_has_to_pass() -> None:
    hands = Hands()
    steady = hands.steady()
    hands.wall += LEAP + 1
    assert not steady.trusted()
    hands.wait(PAUSE - 1)
    assert not steady.trusted()
    hands.wait(1)
    assert steady.trusted()


def test_a_second_leap_begins_another_day() -> None:
    hands = Hands()
    steady = hands.steady()
    hands.wall += YEARS
    assert not steady.trusted()
    hands.wait(PAUSE / 2)
    hands.wall += YEARS
    assert not steady.trusted()
    hands.wait(PAUSE / 2)
    assert not steady.trusted()
    hands.wait(PAUSE / 2)
    assert steady.trusted()


@pytest.mark.parametrize(("known", "believed"), [(None, True), (NOW, True), (NOW - GAP - 1, False)])
def test_a_start_long_after_the_last_thing_done_is_a_leap_too(
    known: float | None, believed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert Hands().steady(known).trusted() is believed
    assert ("is the date right?" in caplog.text) is not believed


def test_nobody_is_erased_by_a_leap_and_all_are_once_the_day_is_over(site: Site) -> None:
    hands = Hands()
    reception = site.with_parts(uptime=lambda: hands.up)
    reception.tidy()
    site.clock.now = NOW + YEARS
    reception.tidy()
    assert site.vault.expired(NOW + YEARS), "they answer to nothing, and are still there"
    assert not site.vault.people(now=NOW + YEARS)
    site.clock.now = NOW  # somebody noticed
    assert person(0) in site.vault.people(now=NOW)
    site.clock.now = NOW + YEARS
    reception.tidy()
    hands.up += PAUSE + 1
    site.clock.now += PAUSE + 1
    reception.tidy()
    assert not site.vault.expired(site.clock.now)
