"""An enrolment is several good pictures of one person, by their consent, or it is nothing."""

import gc
from pathlib import Path

import numpy as np
import pytest

from client.audit.events import Event
from client.door.callers import Role
from client.door.eye import Seen
from client.door.sessions import LIFE, MOST, OWN
from client.door.thresholds import Band
from client.vault.consent import Consent
from common.errors import (
    AuditError,
    BusyError,
    ConsentError,
    ConsentExpiredError,
    DuplicatePersonError,
    ModelError,
    OpenLimitError,
    QualityError,
    SessionError,
)
from tests.small_reception import ANYTHING, Site, caller, picture, shown
from tests.small_releases import TRUNK
from tests.small_vault import LATER, NOW, OTHER, consent, person

PEOPLE = range(12)


def test_who_was_enrolled_is_found_and_the_row_says_so(site: Site) -> None:
    session = shown(site, 50, label="third floor")
    done = site.reception.commit(ANYTHING, session)
    assert done.checked
    assert site.reception.verify(ANYTHING, done.person, picture(50)) == Band.MATCH
    assert site.vault.label(done.person) == "third floor"
    assert site.vault.export(done.person)["templates"] == 3
    assert site.told()[:2] == [("enrol", "pending"), ("enrol", "done")]
    assert site.rows()[1].event.subject == site.vault.tag(done.person, b"audit")[:16]


@pytest.mark.parametrize(
    ("shown_picture", "reasons"),
    [
        (b"blurred", ("blurred",)),
        (b"empty", ("no_single_face",)),
        (b"paper", ("pad_rejected",)),
        (b"broken", ("picture_refused",)),
        (picture(52, 3), ("unlike_the_others",)),
    ],
)
def test_a_picture_is_refused_with_its_reasons_and_changes_nothing(
    site: Site, shown_picture: bytes, reasons: tuple[str, ...]
) -> None:
    session = shown(site, 50, (3, 4))
    told = site.reception.look(ANYTHING, session, shown_picture)
    assert (told.accepted, told.reasons, told.pictures) == (False, reasons, 2)
    assert site.reception.look(ANYTHING, session, picture(50, 5)).pictures == 3
    person_ = site.reception.commit(ANYTHING, session).person
    assert site.vault.export(person_)["templates"] == 3


def test_what_an_unlike_picture_showed_is_zeroed(site: Site) -> None:
    session = shown(site, 50, (3,))
    site.reception.look(ANYTHING, session, picture(52, 3))
    assert site.eye.last is not None
    assert not any(feature.any() for feature in site.eye.last.features.values())


def test_there_are_neither_too_few_nor_too_many_pictures(site: Site) -> None:
    session = shown(site, 50, (3, 4))
    with pytest.raises(QualityError) as refused:
        site.reception.commit(ANYTHING, session)
    assert refused.value.reasons == ("too_few_pictures",)
    for view in range(5, 11):
        assert site.reception.look(ANYTHING, session, picture(50, view)).accepted
    looked = site.eye.looked
    told = site.reception.look(ANYTHING, session, picture(50, 11))
    assert (told.accepted, told.reasons, told.pictures) == (False, ("too_many_pictures",), 8)
    assert site.eye.looked == looked
    assert site.reception.commit(ANYTHING, session).checked


def test_somebody_who_looks_enrolled_is_refused_until_a_human_insists(site: Site) -> None:
    session = shown(site, 3)
    before = site.vault.people(now=NOW)
    with pytest.raises(DuplicatePersonError) as refused:
        site.reception.commit(ANYTHING, session)
    assert person(3).hex() not in str(refused.value) and site.vault.people(now=NOW) == before
    assert site.told()[-1] == ("enrol", "DUPLICATE_PERSON")
    assert not site.rows()[-1].event.subject
    insisted = site.reception.commit(ANYTHING, session, despite_duplicate=True)
    assert insisted.person != person(3) and insisted.checked
    assert site.told()[-1] == ("enrol", "done_despite_duplicate")


def test_somebody_who_is_not_to_be_searched_for_is_still_a_duplicate(quick_path: Path) -> None:
    with Site(quick_path) as site:
        site.open_for(PEOPLE, "verify")
        with pytest.raises(DuplicatePersonError):
            site.reception.commit(ANYTHING, shown(site, 3))


def test_before_a_calibration_nothing_is_checked_and_the_answer_says_so(quick_path: Path) -> None:
    with Site(quick_path) as site:
        for number in (3, 3):
            session = site.reception.begin(ANYTHING, consent())
            for view in (3, 4, 5):
                assert site.reception.look(ANYTHING, session, picture(number, view)).accepted
            assert not site.reception.commit(ANYTHING, session).checked


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"given": NOW + 1}, ConsentError),
        ({"given": 1.0, "expires": NOW}, ConsentExpiredError),
        ({"given": 1.0, "expires": 4 * 365 * 86_400.0}, ConsentError),
    ],
)
def test_nobody_begins_without_a_consent_in_force_and_for_no_longer_than_allowed(
    site: Site, wrong: dict[str, float], error: type[ConsentError]
) -> None:
    given = {"given": 1.0, "expires": LATER} | wrong
    some = Consent(purposes=frozenset({"verify"}), text_hash="cd" * 32, **given)
    with pytest.raises(error):
        site.reception.begin(ANYTHING, some)


def test_a_label_that_cannot_be_kept_is_refused_at_once(site: Site) -> None:
    with pytest.raises(ModelError):
        site.reception.begin(ANYTHING, consent(), "a\nb")


def test_a_consent_that_runs_out_while_pictures_are_shown_enrols_nobody(site: Site) -> None:
    session = site.reception.begin(ANYTHING, consent(expires=NOW + 10))
    for view in (3, 4, 5):
        site.reception.look(ANYTHING, session, picture(50, view))
    site.clock.now = NOW + 10
    before = site.vault.generation
    with pytest.raises(ConsentExpiredError):
        site.reception.commit(ANYTHING, session)
    assert site.vault.generation == before
    assert site.told()[-1] == ("enrol", "CONSENT_EXPIRED")


def test_a_session_is_its_owners_and_any_other_is_none(site: Site) -> None:
    mine, other = caller("mine", Role.ENROL), caller("other", Role.ENROL)
    session = site.reception.begin(mine, consent())
    asked = (
        lambda: site.reception.look(other, session, picture(50)),
        lambda: site.reception.commit(other, session),
        lambda: site.reception.abort(other, session),
        lambda: site.reception.abort(mine, b"no session"),
        lambda: site.reception.abort(mine, b""),
    )
    told = set()
    for ask in asked:
        with pytest.raises(SessionError) as refused:
            ask()
        told.add(str(refused.value))
    assert len(told) == 1
    assert site.reception.look(mine, session, picture(50)).accepted


@pytest.mark.parametrize("end", ["commit", "abort", "expiry", "clock set back", "closing"])
def test_nothing_of_a_session_stays_once_it_is_over(site: Site, end: str) -> None:
    before = held()
    session, kept = site.reception.begin(ANYTHING, consent(), "third floor"), []
    for view in (3, 4, 5):
        site.reception.look(ANYTHING, session, picture(50, view))
        assert site.eye.last is not None
        kept += site.eye.last.features.values()
    site.eye.last = None
    if end == "commit":
        site.reception.commit(ANYTHING, session)
    elif end == "abort":
        site.reception.abort(ANYTHING, session)
    elif end == "closing":
        site.reception.close()
    else:
        site.clock.now = NOW + LIFE if end == "expiry" else NOW - 1
        site.reception.tidy()
    assert len(kept) == 3 and not any(feature.any() for feature in kept)
    assert held() == before
    with pytest.raises(SessionError):
        site.reception.look(ANYTHING, session, picture(50))


def test_a_session_that_is_over_is_wiped_by_whoever_comes_next(site: Site) -> None:
    session = shown(site, 50)
    site.clock.now = NOW + LIFE
    with pytest.raises(SessionError):
        site.reception.commit(ANYTHING, session)
    assert not site.told() and len(site.reception._enrolling.sessions) == 0


def test_so_many_enrolments_are_under_way_and_no_more(site: Site) -> None:
    desks = [caller(f"desk-{n}", Role.ENROL) for n in range(MOST // OWN)]
    sessions = [site.reception.begin(desk, consent()) for desk in desks for _ in range(OWN)]
    with pytest.raises(BusyError):
        site.reception.begin(ANYTHING, consent())
    site.reception.abort(desks[0], sessions[0])
    site.reception.begin(ANYTHING, consent())


@pytest.mark.parametrize("known", [b"", person(3)])
def test_no_caller_keeps_the_others_from_enrolling(site: Site, known: bytes) -> None:
    greedy, other = caller("greedy", Role.ENROL), caller("other", Role.ENROL)
    given = None if known else consent()
    sessions = [site.reception.begin(greedy, given, "", known) for _ in range(OWN)]
    with pytest.raises(OpenLimitError):
        site.reception.begin(greedy, consent())
    site.reception.begin(other, consent())
    site.reception.abort(greedy, sessions[0])
    site.reception.begin(greedy, consent())
    site.clock.now = NOW + LIFE
    site.reception.begin(greedy, consent())


@pytest.mark.parametrize("rows", [0, 1])
def test_without_its_row_nobody_is_enrolled(
    site: Site, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    session = shown(site, 50)
    before, galleries = site.vault.people(now=NOW), site.releases.galleries.lead().gallery.people
    append, left = site.log.append, [rows]

    def failing(event: Event) -> int:
        if not left[0]:
            raise AuditError("the disk is full")
        left[0] -= 1
        return append(event)

    monkeypatch.setattr(site.log, "append", failing)
    with pytest.raises(AuditError):
        site.reception.commit(ANYTHING, session)
    assert site.vault.people(now=NOW) == before
    assert site.releases.galleries.lead().gallery.people == galleries
    monkeypatch.undo()
    assert site.reception.commit(ANYTHING, session).person not in before  # the session is open yet


def test_a_gallery_that_takes_nobody_leaves_nobody_in_the_vault(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, before = shown(site, 50), site.vault.people(now=NOW)

    def full(person: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr(site.releases, "enrolled", full)
    with pytest.raises(MemoryError):
        site.reception.commit(ANYTHING, session)
    assert site.vault.people(now=NOW) == before
    assert site.told()[-1] == ("enrol", "INTERNAL")


def test_two_trunks_are_fed_by_one_picture(quick_path: Path) -> None:
    with Site(quick_path, trunks=(OTHER, TRUNK)) as site:
        site.open_for(PEOPLE)
        done = site.reception.commit(ANYTHING, shown(site, 50))
        held_ = site.vault.export(done.person)
        assert held_["templates"] == 6 and held_["trunks"] == sorted((TRUNK, OTHER))


def test_nothing_is_kept_of_an_older_trunk_that_does_not_serve(quick_path: Path) -> None:
    with Site(quick_path, trunks=(TRUNK, OTHER)) as site:
        site.open_for(PEOPLE)
        done = site.reception.commit(ANYTHING, shown(site, 50))
        assert site.vault.export(done.person)["trunks"] == [TRUNK]


def held() -> int:
    """How many faces somebody refers to."""
    gc.collect()
    return sum(type(one) is Seen for one in gc.get_objects())


def test_numbers_of_a_session_do_not_show_in_its_repr(site: Site) -> None:
    session = shown(site, 50, label="third floor")
    opened = site.reception._enrolling.sessions._open[session]
    assert "third floor" not in repr(opened) and "array" not in repr(opened)
    assert np.isfinite(opened.seen[0].feature).all()
