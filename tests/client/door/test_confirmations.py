"""Two people, each alone, or nobody: a search is confirmed by four eyes and in no other way."""

import dataclasses
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.audit.events import Event
from client.door.answers import Identification
from client.door.callers import Caller, Role
from client.door.confirmations import LIFE, MOST, OWN
from client.door.thresholds import Band
from common.errors import (
    AuditError,
    BusyError,
    OpenLimitError,
    RoleError,
    SessionError,
    WireError,
)
from tests.small_reception import ANYTHING, RULES, Site, caller, picture
from tests.small_vault import NOW, consent, person

EVERYTHING = frozenset({Role.IDENTIFY, Role.CONFIRM})
ASKER, FIRST, SECOND, THIRD = (
    Caller(name=name, roles=EVERYTHING) for name in ("asker", "first", "second", "third")
)
WHO = 3


@pytest.fixture
def site(twelve: Path, quick_path: Path) -> Iterator[Site]:
    rules = dataclasses.replace(RULES, four_eyes=True)
    with Site(shutil.copytree(twelve, quick_path / "site"), rules) as made:
        yield made


@pytest.fixture
def ticket(site: Site) -> bytes:
    asked = site.reception.identify(ASKER, picture(WHO), 5)
    assert (asked.state, asked.persons, asked.labels) == ("pending", (), ())
    return asked.ticket


def say(site: Site, who: Caller, ticket: bytes, number: int | None = WHO) -> None:
    site.reception.review(who, ticket)
    site.reception.confirm(who, ticket, None if number is None else person(number))


def outcome(site: Site, ticket: bytes) -> Identification:
    return site.reception.outcome(ASKER, ticket)


def candidate(site: Site, ticket: bytes, at: int) -> int:
    """The number of one of the people under review."""
    found = site.reception.review(THIRD, ticket).persons
    return int.from_bytes(bytes(found[at][0])[:2], "big")


def test_two_others_who_agree_confirm_and_only_then_is_somebody_named(
    site: Site, ticket: bytes
) -> None:
    for who in (FIRST, SECOND):
        assert outcome(site, ticket).state == "pending" and not outcome(site, ticket).persons
        shown = site.reception.review(who, ticket)
        assert shown.persons[0] == (person(WHO), Band.MATCH) and shown.labels[0] == "L3"
        site.reception.confirm(who, ticket, person(WHO))
    told = outcome(site, ticket)
    assert (told.state, told.persons, told.labels) == (
        "confirmed",
        ((person(WHO), Band.MATCH),),
        (),
    )
    rows = [row.event for row in site.rows() if row.event.kind == "confirm"]
    assert [row.outcome for row in rows] == ["pending", "pending", "pending", *["confirmed"] * 2]
    assert len(set(rows[3].actors)) == 3
    assert rows[3].actors[0] == rows[4].actors[0]  # the asker's
    assert {row.subject for row in rows[1::2]} == {site.vault.tag(person(WHO), b"audit")[:16]}


@pytest.mark.parametrize("votes", [(WHO, None), (None, WHO), (None, None)])
def test_who_is_not_named_by_both_is_nobody(
    site: Site, ticket: bytes, votes: tuple[int | None, int | None]
) -> None:
    for who, vote in zip((FIRST, SECOND), votes, strict=True):
        say(site, who, ticket, vote)
    told = outcome(site, ticket)
    assert (told.state, told.persons) == ("unknown", ())
    with pytest.raises(SessionError):
        say(site, THIRD, ticket)
    assert outcome(site, ticket) == told


def test_two_who_name_different_people_name_nobody(site: Site, ticket: bytes) -> None:
    site.reception._recognising.tickets._open[ticket].found = (
        (person(WHO), Band.MATCH),
        (person(4), Band.NEAR),
    )
    say(site, FIRST, ticket, 3)
    say(site, SECOND, ticket, 4)
    assert outcome(site, ticket).state == "unknown"


def test_one_person_is_not_two_however_often_they_come(site: Site, ticket: bytes) -> None:
    say(site, FIRST, ticket)
    again = Caller(name="first", roles=frozenset({Role.CONFIRM}), hourly=7)  # another session
    for who in (FIRST, again):
        for ask in (
            lambda who=who: site.reception.review(who, ticket),
            lambda who=who: site.reception.confirm(who, ticket, person(WHO)),
            lambda who=who: site.reception.confirm(who, ticket, None),
        ):
            with pytest.raises(RoleError):
                ask()
    assert outcome(site, ticket).state == "pending"


def test_who_asked_neither_looks_nor_confirms(site: Site, ticket: bytes) -> None:
    for ask in (
        lambda: site.reception.review(ASKER, ticket),
        lambda: site.reception.confirm(ASKER, ticket, person(WHO)),
    ):
        with pytest.raises(RoleError):
            ask()
    say(site, FIRST, ticket)
    with pytest.raises(RoleError):
        site.reception.confirm(ASKER, ticket, person(WHO))
    assert outcome(site, ticket).state == "pending"


def test_nobody_confirms_without_looking(site: Site, ticket: bytes) -> None:
    with pytest.raises(RoleError, match="look"):
        site.reception.confirm(FIRST, ticket, person(WHO))


def test_nobody_is_confirmed_who_was_not_found(site: Site, ticket: bytes) -> None:
    site.reception.review(FIRST, ticket)
    for number in (11, 777):
        with pytest.raises(WireError):
            site.reception.confirm(FIRST, ticket, person(number))
    with pytest.raises(WireError):
        site.reception.confirm(FIRST, ticket, b"")
    site.reception.confirm(FIRST, ticket, person(WHO))  # what was refused was no word


def test_the_second_sees_nothing_of_what_the_first_said(site: Site, ticket: bytes) -> None:
    before = site.reception.review(SECOND, ticket)
    say(site, FIRST, ticket, None)
    assert site.reception.review(SECOND, ticket) == before


def test_a_ticket_is_nobody_elses_and_looks_like_none_to_them(site: Site, ticket: bytes) -> None:
    say(site, FIRST, ticket)
    say(site, SECOND, ticket)
    told = set()
    for who, what in ((FIRST, ticket), (SECOND, ticket), (THIRD, ticket), (ASKER, b"none")):
        with pytest.raises(SessionError) as refused:
            site.reception.outcome(who, what)
        told.add(str(refused.value))
    for ask in (site.reception.review, lambda who, what: site.reception.confirm(who, what, None)):
        with pytest.raises(SessionError) as refused:
            ask(FIRST, b"none")
        told.add(str(refused.value))
    assert len(told) == 1


def test_a_stranger_is_unknown_at_once_and_nobody_is_bothered(site: Site) -> None:
    asked = site.reception.identify(ASKER, picture(600))
    assert asked == Identification(ticket=b"", state="unknown")
    assert len(site.reception._recognising.tickets) == 0


def test_a_word_without_its_row_was_not_said(
    site: Site, ticket: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(site, FIRST, ticket)
    site.reception.review(SECOND, ticket)

    def full(event: Event) -> int:
        raise AuditError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(site.log, "append", full)
        with pytest.raises(AuditError):
            site.reception.confirm(SECOND, ticket, person(WHO))
        with pytest.raises(AuditError):
            site.reception.review(THIRD, ticket)
    assert outcome(site, ticket).state == "pending"
    site.reception.confirm(SECOND, ticket, person(WHO))
    with monkeypatch.context() as broken:
        broken.setattr(site.log, "append", full)
        with pytest.raises(AuditError):
            outcome(site, ticket)
    assert outcome(site, ticket).state == "confirmed"


@pytest.mark.parametrize("way", ["erased", "expired", "withdrawn"])
@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_who_is_erased_or_takes_consent_back_is_not_named_any_more(
    site: Site, ticket: bytes, way: str, when: str
) -> None:
    site.vault.renew(person(WHO), consent(expires=NOW + 60), now=NOW)
    said = {"before": 0, "between": 1, "after": 2}[when]
    for who in (FIRST, SECOND)[:said]:
        say(site, who, ticket)
    if way == "erased":
        site.reception.erase(ANYTHING, [person(WHO)])
    elif way == "withdrawn":
        site.reception.renew(ANYTHING, person(WHO), consent("verify"))
    else:
        site.clock.now = NOW + 60
    for who in (FIRST, SECOND)[said:]:
        assert all(one != person(WHO) for one, _ in site.reception.review(who, ticket).persons)
        site.reception.confirm(who, ticket, None)
    told = outcome(site, ticket)
    assert (told.state, told.persons) == ("unknown", ())
    if way == "erased":
        assert person(WHO) not in repr(site.reception._recognising.tickets._open).encode()


@pytest.mark.parametrize("later", [LIFE, -1.0])
def test_a_ticket_that_is_over_is_gone(site: Site, ticket: bytes, later: float) -> None:
    say(site, FIRST, ticket)
    site.clock.now = NOW + later
    for ask in (
        lambda: site.reception.review(SECOND, ticket),
        lambda: site.reception.confirm(SECOND, ticket, None),
        lambda: site.reception.outcome(ASKER, ticket),
    ):
        with pytest.raises(SessionError):
            ask()
    site.reception.tidy()
    assert len(site.reception._recognising.tickets) == 0


def test_a_door_that_closes_forgets_what_waits(site: Site, ticket: bytes) -> None:
    say(site, FIRST, ticket)
    site.reception.close()
    with pytest.raises(SessionError):
        outcome(site, ticket)


def test_so_many_searches_wait_and_no_more(site: Site) -> None:
    for number in range(MOST):
        asker = f"camera {number // OWN}"
        site.reception._recognising.tickets.open(asker, ((person(WHO), Band.MATCH),))
    looked = site.eye.looked
    with pytest.raises(BusyError):
        site.reception.identify(ASKER, picture(WHO))
    assert site.eye.looked == looked


def test_no_caller_keeps_the_others_from_searching(site: Site, ticket: bytes) -> None:
    for _ in range(OWN - 1):
        assert site.reception.identify(ASKER, picture(WHO)).state == "pending"
    looked = site.eye.looked
    with pytest.raises(OpenLimitError):
        site.reception.identify(ASKER, picture(WHO))
    assert site.eye.looked == looked
    assert site.reception.identify(FIRST, picture(WHO)).state == "pending"
    for who in (FIRST, SECOND):
        site.reception.review(who, ticket)
        site.reception.confirm(who, ticket, None)
    assert site.reception.identify(ASKER, picture(WHO)).state == "pending"


def test_many_who_speak_at_once_are_two(site: Site, ticket: bytes) -> None:
    people = [caller(f"c{n}", Role.CONFIRM) for n in range(8)]
    for who in people:
        site.reception.review(who, ticket)
    heard: list[str] = []
    ready = threading.Barrier(len(people))

    def speak(who: Caller) -> None:
        ready.wait()
        try:
            site.reception.confirm(who, ticket, person(WHO))
            heard.append(who.name)
        except SessionError:
            pass

    threads = [threading.Thread(target=speak, args=(who,)) for who in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 2 and outcome(site, ticket).state == "confirmed"


def test_an_outcome_that_is_asked_for_often_fills_no_log(site: Site, ticket: bytes) -> None:
    rows = len(site.rows())
    for _ in range(5):
        outcome(site, ticket)
    assert len(site.rows()) == rows
    for who in (FIRST, SECOND):
        say(site, who, ticket)
    rows = len(site.rows())
    for _ in range(5):
        assert outcome(site, ticket).state == "confirmed"
    assert len(site.rows()) == rows + 1
