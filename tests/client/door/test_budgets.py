"""Nobody asks more often than they may, whatever they try."""

import threading

import pytest

from client.door.callers import Caller, Role
from common.errors import PictureError, QueryBudgetError
from tests.small_reception import ANYTHING, Site, caller, picture
from tests.small_vault import NOW, person

PEOPLE = range(12)


def gate(hourly: int = 3, daily: int = 5) -> Caller:
    return caller("gate", Role.VERIFY, Role.IDENTIFY, hourly=hourly, daily=daily)


def ask(site: Site, who: Caller, times: int) -> int:
    """How many of so many questions were answered."""
    answered = 0
    for number in range(times):
        try:
            if number % 2:
                site.reception.identify(who, picture(number))
            else:
                site.reception.verify(who, person(number), picture(number))
            answered += 1
        except QueryBudgetError as error:
            assert error.reason == "QUERY_BUDGET_EXHAUSTED"
    return answered


def test_an_hour_and_a_day_have_so_many_questions_of_both_kinds(site: Site) -> None:
    assert ask(site, gate(), 9) == 3
    site.clock.now = NOW + 3_599
    assert ask(site, gate(), 2) == 0
    site.clock.now = NOW + 3_601
    assert ask(site, gate(), 9) == 2  # the day's five
    site.clock.now = NOW + 2 * 3_601
    assert ask(site, gate(), 9) == 0
    site.clock.now = NOW + 86_401
    assert ask(site, gate(), 1) == 1


def test_what_is_refused_is_not_looked_at_and_leaves_no_row(site: Site) -> None:
    ask(site, gate(), 3)
    looked, rows = site.eye.looked, len(site.rows())
    assert ask(site, gate(), 5) == 0
    assert (site.eye.looked, len(site.rows())) == (looked, rows)


def test_one_callers_questions_are_not_another_ones(site: Site) -> None:
    assert ask(site, gate(), 9) == 3
    assert ask(site, caller("other", Role.VERIFY, Role.IDENTIFY, hourly=2), 9) == 2


def test_pictures_that_cannot_be_seen_are_questions_too(site: Site) -> None:
    for _ in range(3):
        with pytest.raises(PictureError):
            site.reception.verify(gate(), person(1), b"broken")
    assert ask(site, gate(), 2) == 0


def test_starting_the_process_again_does_not_fill_a_budget(site: Site) -> None:
    assert ask(site, gate(), 9) == 3
    site.close()
    with Site(site.folder) as again:
        assert ask(again, gate(), 9) == 0
        again.clock.now = NOW + 3_601
        assert ask(again, gate(), 9) == 2


def test_a_clock_that_is_set_back_fills_no_budget(site: Site) -> None:
    assert ask(site, gate(), 9) == 3
    site.clock.now = NOW - 900
    assert ask(site, gate(), 9) == 0


def test_a_caller_added_again_under_its_name_has_asked_already(site: Site) -> None:
    assert ask(site, gate(), 9) == 3
    assert ask(site, gate(hourly=4), 9) == 1


def test_many_connections_at_once_share_one_budget(site: Site) -> None:
    answered, who = [0] * 8, gate(hourly=10, daily=10)

    def connect(number: int) -> None:
        answered[number] = ask(site, who, 8)

    threads = [threading.Thread(target=connect, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answered) <= 10
    assert len(site.rows()) == sum(answered)
    ask(site, who, 20)
    assert len(site.rows()) == 10


def test_nothing_may_be_asked_with_a_budget_of_nothing(site: Site) -> None:
    assert ask(site, gate(hourly=0), 3) == 0
    assert ask(site, gate(daily=0), 3) == 0


def test_who_has_room_asks_on(site: Site) -> None:
    assert ask(site, ANYTHING, 12) == 12
