"""What is said of pictures at the door: of who agreed, as the policy allows, and told to nobody."""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.door.callers import Role
from client.door.labelling import LabelRules
from client.policy import SitePolicy
from client.recognition import Recognition
from client.vault.labels import Labels, Told
from common.errors import ConsentError, ForbiddenError, LabelError, MascaronError, QualityError
from common.text.vocabulary import FEMALE, names
from tests.small_doorway import Doorway, doorway
from tests.small_labels import AGREED, ALL_KINDS, plain_forms, sealed_labels, told
from tests.small_reception import ANYTHING, Site, caller, picture
from tests.small_vault import NOW, consent, files, person

SAID: Told = {"bushy_eyebrows": True, "receding_hairline": False, "age": 77}
KEPT = Labels(shown={"bushy_eyebrows": True, "receding_hairline": False}, age=77)
VIEWS = (3, 4, 5)


def policy(**changes: object) -> SitePolicy:
    return dataclasses.replace(ALL_KINDS, **changes)  # type: ignore[arg-type]


# What may be said at all.


@given(
    st.dictionaries(st.sampled_from([*names(), FEMALE]), st.booleans(), max_size=6),
    st.one_of(st.none(), st.integers(0, 120)),
)
def test_what_the_vocabulary_names_is_kept_as_it_was_said(
    shown: dict[str, bool], age: int | None
) -> None:
    said = {**shown, **({} if age is None else {"age": age})}
    kept = LabelRules(ALL_KINDS).kept(said)
    assert (None if kept is None else kept.table()) == (said or None)


def test_columns_of_other_data_are_kept_by_the_names_here() -> None:
    said = {"No_Beard": True, "Eyeglasses": True, "Male": True, "under_35": False}
    kept = LabelRules(ALL_KINDS).kept(said)
    assert kept == Labels(shown={"beard": False, "glasses": True, "female": False, "young": False})


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("skin_tone", "race"),
        ("sk\u200bin t\u2060one", "race"),
        ("\uff33KIN-TONE", "race"),
        ("headscarf", "religion"),
        ("h\u0435adscarf", "religion"),
        ("\u75be\u75c5", "health"),
        ("h\u00adappy", "emotion"),
        ("gay", "sexuality"),
    ],
)
def test_nothing_forbidden_is_taken_however_it_is_written_and_the_topic_alone_is_named(
    name: str, category: str
) -> None:
    for said in ({name: True}, {"hat": True, "age": 40, name: False}):
        for rules in (LabelRules(ALL_KINDS), LabelRules(policy(heads=())), LabelRules()):
            with pytest.raises(ForbiddenError) as refused:
                rules.kept(said)
            assert refused.value.category == category
            assert name not in str(refused.value)


@pytest.mark.parametrize(
    ("allowed", "said", "error"),
    [
        (None, {"hat": True}, LabelError),
        (policy(heads=()), {"hat": True}, LabelError),
        (policy(heads=("age",)), {"hat": True}, LabelError),
        (policy(heads=("attributes",)), {"hat": True, "age": 40}, LabelError),
        (policy(heads=("attributes", "age")), {"female": True}, LabelError),
        (policy(denied_attributes=("hat",)), {"hat": False}, ForbiddenError),
        (policy(denied_attributes=("Eyeglasses",)), {"glasses": True}, ForbiddenError),
        (policy(denied_attributes=("age",)), {"age": 40}, ForbiddenError),
        (policy(denied_attributes=("age",)), {"young": True}, ForbiddenError),
        (policy(denied_attributes=("gender",)), {"Male": True}, ForbiddenError),
        (ALL_KINDS, {"Attractive": True}, LabelError),
        (ALL_KINDS, {"nonsense": True}, LabelError),
        (ALL_KINDS, {"": True}, LabelError),
        (ALL_KINDS, {"beard": True, "No_Beard": True}, LabelError),
        (ALL_KINDS, {"hat": 1}, LabelError),
        (ALL_KINDS, {"age": True}, LabelError),
        (ALL_KINDS, {"age": 121}, LabelError),
        (ALL_KINDS, {"age": -1}, LabelError),
    ],
)
def test_what_the_policy_or_the_vocabulary_does_not_allow_is_refused(
    allowed: SitePolicy | None, said: Told, error: type[MascaronError]
) -> None:
    with pytest.raises(error):
        LabelRules(allowed).kept(said)


def test_one_thing_that_is_refused_refuses_all() -> None:
    assert LabelRules(ALL_KINDS).kept({}) is None
    with pytest.raises(LabelError):
        LabelRules(policy(heads=("age",))).kept(SAID)
    assert LabelRules(policy(heads=("age",))).kept({"age": 77}) == Labels(age=77)


# Enrolment.


def begun(site: Site, *purposes: str) -> bytes:
    return site.reception.begin(ANYTHING, consent(*purposes))


def enrolled(site: Site, number: int, *said: Told) -> bytes:
    session = begun(site, *AGREED)
    for view, one in zip(range(3, 3 + len(said)), said, strict=True):
        assert site.reception.look(ANYTHING, session, picture(number, view), one).accepted
    return site.reception.commit(ANYTHING, session, True).person


def test_each_picture_has_its_own_labels(site: Site) -> None:
    who = enrolled(site, 50, SAID, {}, {"hat": True})
    assert told(site.vault, who) == [KEPT.table(), {"hat": True}]
    assert site.told()[-2:] == [("enrol", "pending"), ("enrol", "done")]


def test_labels_of_a_picture_that_was_not_taken_are_not_kept(site: Site) -> None:
    session = begun(site, *AGREED)
    assert not site.reception.look(ANYTHING, session, b"blurred", SAID).accepted
    for view in VIEWS:
        site.reception.look(ANYTHING, session, picture(50, view), {"hat": False})
    who = site.reception.commit(ANYTHING, session, True).person
    assert told(site.vault, who) == [{"hat": False}] * 3


@pytest.mark.parametrize("purposes", [("verify",), ("training", "text", "identify")])
def test_nobodys_labels_are_taken_who_did_not_agree(site: Site, purposes: tuple[str, ...]) -> None:
    session = begun(site, *purposes)
    with pytest.raises(ConsentError, match="agreed to `labels`"):
        site.reception.look(ANYTHING, session, picture(50, 3), SAID)
    assert not site.eye.looked
    for view in VIEWS:
        assert site.reception.look(ANYTHING, session, picture(50, view)).accepted
    who = site.reception.commit(ANYTHING, session, True).person
    assert told(site.vault, who) == []


def test_labels_that_are_refused_change_nothing_of_a_session(site: Site) -> None:
    session = begun(site, *AGREED)
    for wrong in ({"headscarf": True}, {"nonsense": True}, {"age": 999}):
        with pytest.raises(MascaronError):
            site.reception.look(ANYTHING, session, picture(50, 3), wrong)
    assert not site.eye.looked
    assert site.reception.look(ANYTHING, session, picture(50, 3), SAID).pictures == 1


@pytest.mark.parametrize("end", ["abort", "erase", "life"])
def test_what_was_said_in_a_session_ends_with_it(site: Site, end: str) -> None:
    site.reception.renew(ANYTHING, person(3), consent(*AGREED))
    session = site.reception.begin(ANYTHING, None, "", person(3))
    site.reception.look(ANYTHING, session, picture(3, 5), SAID)
    going = site.reception._enrolling.sessions._open[session]
    assert going.said == [KEPT]
    if end == "abort":
        site.reception.abort(ANYTHING, session)
    elif end == "erase":
        site.reception.erase(ANYTHING, [person(3)])
    else:
        site.clock.now += 601
        site.reception.tidy()
    assert not any(going.said)


# Somebody comes again.


def again(site: Site, number: int, said: Told, of: int | None = None) -> bytes:
    session = site.reception.begin(ANYTHING, None, "", person(number))
    for view in VIEWS:
        site.reception.look(ANYTHING, session, picture(of or number, view), said)
    return session


def test_who_comes_again_brings_labels_of_the_new_pictures(site: Site) -> None:
    site.reception.renew(ANYTHING, person(3), consent(*AGREED))
    site.reception.commit(ANYTHING, again(site, 3, SAID))
    assert told(site.vault, person(3)) == [KEPT.table()] * 3
    site.reception.commit(ANYTHING, again(site, 3, {}))
    assert len(told(site.vault, person(3))) == 3


def test_who_comes_again_and_did_not_agree_is_told_so_and_nothing_is_changed(site: Site) -> None:
    before = site.vault.generation
    session = again(site, 3, SAID)
    with pytest.raises(ConsentError, match="did not agree to labels"):
        site.reception.commit(ANYTHING, session)
    assert site.vault.generation == before
    assert site.told()[-1] == ("enrol", "CONSENT_MISSING")
    with pytest.raises(ConsentError):
        site.reception.commit(ANYTHING, session)


@pytest.mark.parametrize("away", ["never", "erased", "expired", "another"])
def test_labels_tell_nothing_of_who_is_not_there(site: Site, away: str) -> None:
    number, of = (99, 3) if away == "never" else (3, 3) if away != "another" else (3, 50)
    if away == "erased":
        site.reception.erase(ANYTHING, [person(3)])
    if away == "expired":
        site.reception.renew(ANYTHING, person(3), consent("verify", expires=NOW + 10))
        site.clock.now = NOW + 10
    told_of = []
    for said in (SAID, {}):
        with pytest.raises(QualityError) as refused:
            site.reception.commit(ANYTHING, again(site, number, said, of))
        told_of.append((refused.value.reason, refused.value.reasons, str(refused.value)))
    assert told_of[0] == told_of[1]


# Of somebody enrolled.


def test_labels_are_put_and_taken_away_with_rows_that_say_nothing(site: Site) -> None:
    site.reception.renew(ANYTHING, person(3), consent(*AGREED))
    rows = len(site.rows())
    desk = caller("desk", Role.ENROL)
    site.reception.set_labels(desk, person(3), SAID)
    assert told(site.vault, person(3)) == [KEPT.table()] * 2
    site.reception.set_labels(desk, person(3), {"hat": True})
    assert told(site.vault, person(3)) == [{"hat": True}] * 2
    site.reception.set_labels(desk, person(3), {})
    assert told(site.vault, person(3)) == []
    assert site.told()[rows:] == [("labels", "pending"), ("labels", "done")] * 3
    tag = site.vault.tag(person(3), b"audit")[:16]
    assert {row.event.subject for row in site.rows()[rows:]} == {tag}


def test_unknown_erased_expired_and_unwilling_are_refused_in_the_same_words(site: Site) -> None:
    site.reception.erase(ANYTHING, [person(4)])
    site.reception.renew(ANYTHING, person(5), consent("labels", expires=NOW + 10))
    site.clock.now = NOW + 10
    before, words = site.vault.generation, set()
    for who in (person(3), person(4), person(5), person(777), b"", b"x"):
        for said in (SAID, {}):
            with pytest.raises(ConsentError) as refused:
                site.reception.set_labels(ANYTHING, who, said)
            row = site.rows()[-1].event
            words.add((refused.value.reason, str(refused.value), row.outcome, row.subject))
    assert words == {
        ("CONSENT_MISSING", "nobody of this id agreed to labels", "CONSENT_MISSING", b"")
    }
    assert site.vault.generation == before


def test_a_withdrawal_ends_labels_and_a_new_consent_does_not_bring_them_back(site: Site) -> None:
    site.reception.renew(ANYTHING, person(3), consent(*AGREED))
    site.reception.set_labels(ANYTHING, person(3), SAID)
    assert len(sealed_labels(site.vault, person(3))) == 2
    site.reception.renew(ANYTHING, person(3), consent("verify", "training"))
    assert sealed_labels(site.vault, person(3)) == []
    site.reception.renew(ANYTHING, person(3), consent(*AGREED))
    assert site.reception.export(ANYTHING, person(3))["labels"] == []


def test_no_label_is_in_a_row_a_log_an_error_or_in_plain_in_a_file(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    who = enrolled(site, 50, *[SAID] * 3)
    site.reception.set_labels(ANYTHING, who, SAID)
    errors = []
    for wrong in ({**SAID, "headscarf": True}, {**SAID, "nonsense": True}, {**SAID, "age": 999}):
        with pytest.raises(MascaronError) as refused:
            site.reception.set_labels(ANYTHING, who, wrong)
        errors.append(str(refused.value))
    spoken = " ".join([*errors, caplog.text, repr([row.event for row in site.rows()])])
    assert not any(word in spoken for word in ("bushy", "receding", "77", "nonsense"))
    site.close()
    content = b"\0".join(path.read_bytes() for path in files(site.folder))
    assert not any(form in content for form in [*plain_forms(KEPT), b"bushy_eyebrows"])


# From the other side.


@pytest.fixture
def way(quick_path: Path) -> Iterator[Doorway]:
    with doorway(quick_path) as made:
        yield made


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(MascaronError) as caught:
        call()
    return caught.value.reason


def shown(door: Recognition, number: int, said: Told, *purposes: str) -> bytes:
    session = door.begin(consent(*purposes))
    for view in VIEWS:
        assert door.add(session, picture(number, view), said).accepted
    return door.commit(session, despite_duplicate=True).person


def test_a_program_says_what_is_to_be_seen_and_reads_it_in_the_record(way: Doorway) -> None:
    with way.at() as door:
        who = shown(door, 40, SAID, *AGREED)
        assert door.export(who)["labels"] == [KEPT.table()] * 3
        door.set_labels(who, {"No_Beard": True})
        assert door.export(who)["labels"] == [{"beard": False}] * 3
        door.set_labels(who, {})
        assert door.export(who)["labels"] == []
        kinds = [(row.kind, row.outcome) for row in door.audit_rows()]
        assert kinds.count(("labels", "done")) == 2


def test_a_hostile_program_gets_a_typed_refusal(way: Doorway) -> None:
    with way.at() as door:
        who = shown(door, 40, {}, *AGREED)
        told_of = {
            "INVALID_REQUEST": [
                {"x" * 65: True},
                {"x" * 60_000: True},
                {f"hat{n}": True for n in range(65)},
            ],
            "TOPIC_FORBIDDEN": [{"headsc\u200barf": True}, {"\u75be\u75c5": True}],
            "LABEL_REFUSED": [
                {"hat": "no"},
                {"age": "40"},
                {"age": -1},
                {"age": 2**40},
                {"age": 121},
                {"\x1b[2J": True},
                {"hat\u202e": True},
            ],
        }
        for expected, tries in told_of.items():
            for said in tries:
                assert reason(lambda said=said: door.set_labels(who, said)) == expected, said
        assert door.export(who)["labels"] == []
    for role in set(Role) - {Role.ENROL}:
        with way.at(way.token(f"only-{role}", role)) as other:
            assert reason(lambda other=other: other.set_labels(who, SAID)) == "ROLE_REFUSED"
