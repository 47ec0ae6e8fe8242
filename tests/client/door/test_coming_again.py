"""Somebody enrolled comes again: the id, consent and label stay, and nobody takes an id over."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from client.audit.events import Event
from client.door.answers import Looked
from client.door.callers import Caller, Role
from client.door.enrolling import UNLIKE_PERSON
from client.door.eye import Seen
from client.door.thresholds import Band
from client.vault.consent import Consent
from common.errors import (
    AuditError,
    MascaronError,
    NotReadyError,
    QualityError,
    QueryBudgetError,
    WireError,
)
from tests.small_reception import ANYTHING, RULES, Site, caller, picture
from tests.small_releases import TARGET, TRUNK, tail_of
from tests.small_vault import LATER, NOW, OTHER, consent, person

UNLIKE = Looked(accepted=False, reasons=(UNLIKE_PERSON,), pictures=0)
VIEWS = (3, 4, 5)


def again(
    site: Site, number: int, of: int | None = None, views: Iterable[int] = VIEWS
) -> tuple[bytes, list[Looked]]:
    """A session of person ``number`` in which pictures ``of`` (else the same) were shown."""
    session = site.reception.begin(ANYTHING, None, "", person(number))
    face = number if of is None else of
    told = [site.reception.look(ANYTHING, session, picture(face, view)) for view in views]
    return session, told


def features(site: Site, number: int, trunk: str = TRUNK) -> set[bytes]:
    return {one.feature.tobytes() for one in site.vault.held(person(number), trunk)}


def test_who_comes_again_keeps_id_consent_and_label(site: Site) -> None:
    before = features(site, 3)
    session, told = again(site, 3)
    assert [(one.accepted, one.pictures) for one in told] == [(True, 1), (True, 2), (True, 3)]
    done = site.reception.commit(ANYTHING, session)
    assert (done.person, done.checked) == (person(3), True)
    assert site.vault.people(now=NOW) == {person(n) for n in range(12)}
    assert (site.vault.label(person(3)), site.vault.consent(person(3))) == ("L3", consent())
    assert len(features(site, 3)) == 5 and before < features(site, 3)
    assert site.releases.active.gallery.people == site.vault.people(now=NOW)
    assert site.reception.verify(ANYTHING, person(3), picture(3, 5)) == Band.MATCH
    tag = site.vault.tag(person(3), b"audit")[:16]
    rows = [(row.event.kind, row.event.outcome, row.event.subject) for row in site.rows()]
    assert rows[-3:-1] == [("enrol", "pending", tag), ("enrol", "done_again", tag)]
    assert [(kind, whose) for kind, _, whose in rows[:3]] == [("verify", tag)] * 3


def test_the_oldest_pictures_go_where_there_are_too_many(site: Site) -> None:
    first = features(site, 3)
    for views in ((3, 4, 5), (6, 7, 8), (10, 11, 12)):
        session, _ = again(site, 3, views=views)
        site.reception.commit(ANYTHING, session)
    held = features(site, 3)
    assert len(held) == RULES.most_pictures and not held & first
    assert len(site.releases.active.gallery) == 11 * 2 + RULES.most_pictures


def gone(site: Site) -> int:
    return 99


def erased(site: Site) -> int:
    site.reception.erase(ANYTHING, [person(3)])
    return 3


def expired(site: Site) -> int:
    some = consent(expires=NOW + 10)
    site.reception.renew(ANYTHING, person(3), some)
    site.clock.now = NOW + 10
    return 3


@pytest.mark.parametrize("away", [gone, erased, expired])
def test_who_is_not_there_is_refused_as_a_stranger_is(
    site: Site, away: Callable[[Site], int]
) -> None:
    number = away(site)
    before, rows = site.vault.generation, len(site.rows())
    session, told = again(site, number, of=3)
    other, strangers = again(site, 4, of=50)
    assert told == strangers == [UNLIKE] * 3
    refused = [
        refusal(lambda one=one: site.reception.commit(ANYTHING, one)) for one in (session, other)
    ]
    assert refused[0] == refused[1] == ("QUALITY_TOO_LOW", ("too_few_pictures",))
    assert site.vault.generation == before
    assert site.told()[rows:] == [("verify", "no")] * 6


def refusal(call: Callable[[], object]) -> tuple[str, tuple[str, ...]]:
    with pytest.raises(QualityError) as caught:
        call()
    return caught.value.reason, caught.value.reasons


@pytest.mark.parametrize("end", ["erased", "expired", "unlike"])
def test_a_session_ends_alike_whoever_goes_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    if end == "expired":
        site.reception.renew(ANYTHING, person(3), consent(expires=NOW + 10))
    session, told = again(site, 3)
    assert told[-1].pictures == 3
    if end == "erased":
        site.reception.erase(ANYTHING, [person(3)])
    elif end == "expired":
        site.clock.now = NOW + 10
    else:
        monkeypatch.setattr(site.releases.active, "verify", lambda *_: Band.NEAR)
    before = site.vault.generation
    assert refusal(lambda: site.reception.commit(ANYTHING, session)) == (
        "QUALITY_TOO_LOW",
        (UNLIKE_PERSON,),
    )
    assert site.vault.generation == before
    assert site.told()[-1] == ("enrol", "QUALITY_TOO_LOW")
    assert not site.rows()[-1].event.subject


def test_what_somebody_erased_had_shown_is_zeroed_with_the_receipt(site: Site) -> None:
    shown = list[Seen]()
    for number in (3, 4):
        again(site, number)
        shown.append(site.eye.last)
    site.reception.erase(ANYTHING, [person(3)])
    first, other = ([bool(one.any()) for one in seen.features.values()] for seen in shown)
    assert (any(first), all(other)) == (False, True)


def test_erased_between_the_last_look_and_the_change_nobody_comes_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = again(site, 3)
    monkeypatch.setattr(site.reception._enrolling._claims, "all_of", lambda *_: True)
    site.reception.erase(ANYTHING, [person(3)])
    assert refusal(lambda: site.reception.commit(ANYTHING, session))[1] == (UNLIKE_PERSON,)
    assert person(3) not in site.vault.people(now=NOW)
    assert person(3) not in site.releases.active.gallery


def test_no_picture_of_somebody_else_gets_in(site: Site) -> None:
    session, told = again(site, 3, views=(3, 4))
    assert told[-1].pictures == 2
    refused = site.reception.look(ANYTHING, session, picture(5, 3))
    assert (refused.reasons, refused.pictures) == ((UNLIKE_PERSON,), 2)
    assert site.eye.last is not None
    assert not any(feature.any() for feature in site.eye.last.features.values())


@pytest.mark.parametrize("bands", ["nnm", "nnmm", "mmx"])
def test_a_set_of_pictures_is_of_the_person_if_most_match_and_none_is_a_no(
    site: Site, monkeypatch: pytest.MonkeyPatch, bands: str
) -> None:
    of = {"n": Band.NEAR, "m": Band.MATCH, "x": Band.NO}
    session, _ = again(site, 3, views=range(3, 3 + len(bands)))
    told = iter([of[band] for band in bands])
    monkeypatch.setattr(site.releases.active, "verify", lambda *_: next(told))
    assert refusal(lambda: site.reception.commit(ANYTHING, session))[1] == (UNLIKE_PERSON,)


def test_each_picture_is_a_question_that_is_charged(site: Site) -> None:
    poor = caller("poor", Role.ENROL, hourly=2)
    session = site.reception.begin(poor, None, "", person(3))
    for view in (3, 4):
        assert site.reception.look(poor, session, picture(3, view)).accepted
    looked = site.eye.looked
    with pytest.raises(QueryBudgetError):
        site.reception.look(poor, session, picture(3, 5))
    assert site.eye.looked == looked


def test_pictures_that_are_not_taken_count_and_have_their_row(site: Site) -> None:
    session = site.reception.begin(ANYTHING, None, "", person(3))
    for spoilt in (b"blurred", b"empty"):
        assert not site.reception.look(ANYTHING, session, spoilt).accepted
    assert site.told() == [("verify", "QUALITY_TOO_LOW"), ("verify", "NO_SINGLE_FACE")]


def test_what_was_shown_is_zeroed_where_its_row_cannot_be_written(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(event: Event) -> int:
        raise AuditError("the disk is full")

    session = site.reception.begin(ANYTHING, None, "", person(3))
    monkeypatch.setattr(site.log, "append", full)
    with pytest.raises(AuditError):
        site.reception.look(ANYTHING, session, picture(3, 3))
    assert site.eye.last is not None
    assert not any(feature.any() for feature in site.eye.last.features.values())


@pytest.mark.parametrize("given", [(consent(), ""), (None, "third floor")])
def test_who_comes_again_brings_no_other_consent_or_label(
    site: Site, given: tuple[Consent | None, str]
) -> None:
    with pytest.raises(WireError):
        site.reception.begin(ANYTHING, *given, person(3))


@pytest.mark.parametrize("rows", [0, 1])
def test_without_its_row_no_change_is_told_and_without_the_first_none_is_made(
    site: Site, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    session, _ = again(site, 3)
    before, append, left = features(site, 3), site.log.append, [rows]

    def failing(event: Event) -> int:
        if not left[0]:
            raise AuditError("the disk is full")
        left[0] -= 1
        return append(event)

    monkeypatch.setattr(site.log, "append", failing)
    with pytest.raises(AuditError):
        site.reception.commit(ANYTHING, session)
    assert (features(site, 3) == before) == (rows == 0)
    if rows:
        assert site.told()[-1] == ("enrol", "pending"), "a row of what was going to be changed"


def test_nothing_of_it_stays_once_it_is_over(site: Site) -> None:
    session, _ = again(site, 3)
    opened = site.reception._enrolling.sessions._open[session]
    kept = [feature for one in opened.seen for feature in one.features.values()]
    site.reception.commit(ANYTHING, session)
    assert len(kept) == 3 and not any(feature.any() for feature in kept)
    with pytest.raises(MascaronError):
        site.reception.commit(ANYTHING, session)


def test_before_a_calibration_nobody_can_be_told_apart_so_nobody_comes_again(
    quick_path: Path,
) -> None:
    with Site(quick_path) as site:
        with pytest.raises(NotReadyError):
            again(site, 3, views=(3,))
        site.releases.stage(tail_of(1), TRUNK)
        site.releases.promote()
        for number in (3, 99):
            with pytest.raises(NotReadyError):
                again(site, number, views=(3,))


def test_under_a_new_trunk_people_come_over_one_by_one(quick_path: Path) -> None:
    with Site(quick_path, trunks=(OTHER, TRUNK)) as site:
        site.open_for(range(20))
        site.releases.stage(tail_of(2), OTHER)
        assert site.releases.status().progress == 0
        for number in range(20):
            session, told = again(site, number)
            assert told[-1].pictures == 3
            site.reception.commit(ANYTHING, session)
            assert len(features(site, number, OTHER)) == 3
        assert site.releases.status().progress == 1
        site.reception.calibrate(ANYTHING, TARGET)
        site.reception.promote(ANYTHING)
        session, told = again(site, 3, views=(6, 7, 8))
        assert told[-1].pictures == 3, "now they are told apart under the new trunk"
        site.reception.commit(ANYTHING, session)
        assert len(features(site, 3)) == 8 and len(features(site, 3, OTHER)) == 6


def test_a_consent_in_force_is_enough_to_come_again(quick_path: Path) -> None:
    with Site(quick_path) as site:
        site.open_for(range(12), "identify")
        session, told = again(site, 3)
        assert told[-1].pictures == 3
        site.reception.commit(ANYTHING, session)
        assert site.vault.consent(person(3)).expires == LATER


def test_the_role_to_enrol_is_asked_for(site: Site) -> None:
    guard: Caller = caller("guard", Role.VERIFY)
    with pytest.raises(MascaronError) as refused:
        site.reception.begin(guard, None, "", person(3))
    assert refused.value.reason == "ROLE_REFUSED"
