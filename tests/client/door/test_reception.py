"""Who may do what, what is switched off, and that nothing of it goes without a row."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest

from client.audit.events import Event
from client.door.calibrating import Target
from client.door.callers import Role
from client.door.reception import Reception
from client.door.thresholds import Band
from common.errors import (
    AuditError,
    InsufficientCalibrationError,
    MascaronError,
    ReleaseError,
    RoleError,
)
from tests.small_reception import ANYTHING, RULES, Site, caller, enrol, picture
from tests.small_releases import TARGET, TRUNK, tail_of
from tests.small_vault import consent, person

Call = Callable[[Reception, Any], object]

# Every method, by the role it takes.
CALLS: dict[str, tuple[set[Role], Call]] = {
    "begin": ({Role.ENROL}, lambda r, who: r.begin(who, consent())),
    "look": ({Role.ENROL}, lambda r, who: r.look(who, b"", picture(1))),
    "commit": ({Role.ENROL}, lambda r, who: r.commit(who, b"")),
    "abort": ({Role.ENROL}, lambda r, who: r.abort(who, b"")),
    "verify": ({Role.VERIFY}, lambda r, who: r.verify(who, person(1), picture(1))),
    "identify": ({Role.IDENTIFY}, lambda r, who: r.identify(who, picture(1))),
    "describe": ({Role.DESCRIBE}, lambda r, who: r.describe(who, picture(1))),
    "search": ({Role.SEARCH}, lambda r, who: r.search(who, "glasses")),
    "review": ({Role.CONFIRM}, lambda r, who: r.review(who, b"")),
    "confirm": ({Role.CONFIRM}, lambda r, who: r.confirm(who, b"", None)),
    "outcome": ({Role.IDENTIFY}, lambda r, who: r.outcome(who, b"")),
    "erase": ({Role.ERASE}, lambda r, who: r.erase(who, [person(1)])),
    "export": ({Role.ERASE, Role.OPERATE}, lambda r, who: r.export(who, person(2))),
    "renew": ({Role.OPERATE}, lambda r, who: r.renew(who, person(2), consent())),
    "relabel": ({Role.OPERATE}, lambda r, who: r.relabel(who, person(2), "L")),
    "set_labels": ({Role.ENROL}, lambda r, who: r.set_labels(who, person(2), {"hat": True})),
    "people": ({Role.OPERATE}, lambda r, who: r.people(who)),
    "rotate": ({Role.OPERATE}, lambda r, who: r.rotate(who)),
    "calibrate": ({Role.OPERATE}, lambda r, who: r.calibrate(who, TARGET)),
    "stage": ({Role.OPERATE}, lambda r, who: r.stage(who, tail_of(2), TRUNK)),
    "stage_signed": ({Role.OPERATE}, lambda r, who: r.stage_signed(who, b"")),
    "promote": ({Role.OPERATE}, lambda r, who: r.promote(who)),
    "rollback": ({Role.OPERATE}, lambda r, who: r.rollback(who)),
    "unstage": ({Role.OPERATE}, lambda r, who: r.unstage(who)),
    "retire": ({Role.OPERATE}, lambda r, who: r.retire(who)),
    "status": ({Role.OPERATE}, lambda r, who: r.status(who)),
    "audit_head": ({Role.AUDIT}, lambda r, who: r.audit_head(who)),
    "audit_rows": ({Role.AUDIT}, lambda r, who: r.audit_rows(who)),
}
LABEL = "the one in room 41"  # long enough not to stand anywhere by chance
# What tells nothing of anybody and changes nothing that is kept.
SILENT = {"begin", "look", "abort", "status", "audit_head"}


def test_every_method_is_tried_here() -> None:
    public = {name for name in vars(Reception) if not name.startswith("_")}
    assert public - {"tidy", "close"} == CALLS.keys()


@pytest.mark.parametrize("name", sorted(CALLS))
def test_no_other_role_will_do(site: Site, name: str) -> None:
    roles, call = CALLS[name]
    before, rows = site.vault.generation, len(site.rows())
    for who in (caller("nothing"), caller("rest", *(set(Role) - roles))):
        with pytest.raises(RoleError) as refused:
            call(site.reception, who)
        assert refused.value.reason == "ROLE_REFUSED"
    assert (site.vault.generation, len(site.rows()), site.eye.looked) == (before, rows, 0)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_each_of_its_roles_is_enough(site: Site, name: str) -> None:
    roles, call = CALLS[name]
    for role in roles:
        try:
            call(site.reception, caller("single", role))
        except MascaronError as error:
            assert not isinstance(error, RoleError)


@pytest.mark.parametrize("name", sorted(CALLS.keys() - SILENT))
def test_without_a_log_nothing_is_told_and_nothing_changes(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    site.reception.stage(ANYTHING, tail_of(3), TRUNK)
    if name == "rollback":
        site.reception.promote(ANYTHING)
    ticket = site.reception._recognising.tickets.open("x", ((person(1), Band.MATCH),))
    session = site.reception.begin(ANYTHING, consent())
    for view in (3, 4, 5):
        site.reception.look(ANYTHING, session, picture(50, view))
    site.reception._recognising.tickets.review(ANYTHING.name, ticket)
    special: dict[str, Call] = {
        "commit": lambda r, who: r.commit(who, session),
        "review": lambda r, who: r.review(who, ticket),
        "confirm": lambda r, who: r.confirm(who, ticket, person(1)),
        "outcome": lambda r, who: r.outcome(who, _voted(site)),
    }
    call = special.get(name, CALLS[name][1])
    before = site.vault.generation, _releases(site)

    def full(event: Event) -> int:
        raise AuditError("the disk is full")

    monkeypatch.setattr(site.log, "append", full)
    with pytest.raises(AuditError):
        call(site.reception, ANYTHING)
    assert (site.vault.generation, _releases(site)) == before


def _releases(site: Site) -> tuple[str | None, ...]:
    status = site.releases.status()
    return status.active, status.staged, status.previous


def _voted(site: Site) -> bytes:
    """A ticket of the caller's own on which two agreed."""
    tickets = site.reception._recognising.tickets
    ticket = tickets.open(ANYTHING.name, ((person(1), Band.MATCH),))
    tickets._open[ticket].votes = {"one": person(1), "two": person(1)}
    return ticket


@pytest.mark.parametrize("switch", ["verify", "identify"])
def test_what_is_switched_off_nobody_may_do(site: Site, switch: str) -> None:
    off = site.with_parts(rules=dataclasses.replace(RULES, **{switch: False}))
    with pytest.raises(RoleError, match="switched off"):
        CALLS[switch][1](off, ANYTHING)
    assert not site.rows() and not site.eye.looked
    other = {"verify": "identify", "identify": "verify"}[switch]
    CALLS[other][1](off, ANYTHING)


def test_a_release_is_staged_promoted_and_sent_back_each_with_rows(site: Site) -> None:
    reception = site.reception
    reception.stage(ANYTHING, tail_of(2), TRUNK)
    reception.promote(ANYTHING)
    assert reception.status(ANYTHING).active == tail_of(2).hash
    reception.rollback(ANYTHING)
    assert reception.status(ANYTHING).active == tail_of(1).hash
    reception.stage(ANYTHING, tail_of(4), TRUNK)
    reception.unstage(ANYTHING)
    with pytest.raises(ReleaseError):
        reception.unstage(ANYTHING)
    kinds = ["stage", "promote", "rollback", "stage", "stage", "stage"]
    ends = ["done", "done", "done", "done", "undone", "RELEASE_REFUSED"]
    pairs = [row for kind, end in zip(kinds, ends, strict=True) for row in _pair(kind, end)]
    assert site.told() == pairs


def _pair(kind: str, end: str) -> list[tuple[str, str]]:
    return [(kind, "pending"), (kind, end)]


def test_a_calibration_tells_what_was_asked_for_and_nothing_found(site: Site) -> None:
    told = site.reception.calibrate(ANYTHING, TARGET)
    assert (told.release, told.fmr, told.fpir) == (tail_of(1).hash, TARGET.fmr, TARGET.fpir)
    assert {field.name for field in dataclasses.fields(told)} == {"release", "fmr", "fpir", "made"}
    with pytest.raises(InsufficientCalibrationError) as refused:
        site.reception.calibrate(ANYTHING)  # the rates of site.toml: 1e-4
    assert refused.value.comparisons > 0
    assert site.told()[-1] == ("calibrate", "INSUFFICIENT_CALIBRATION")
    easy = dataclasses.replace(RULES, fmr=0.05, fpir=0.2, identify=False)
    assert site.with_parts(rules=easy).calibrate(ANYTHING).fpir is None
    assert site.reception.calibrate(ANYTHING, Target(fmr=0.1, fpir=None)).fpir is None


def test_reading_the_log_is_a_row_and_its_head_is_the_last(site: Site) -> None:
    site.reception.verify(ANYTHING, person(1), picture(1))
    rows = site.reception.audit_rows(ANYTHING)
    assert [row.event.kind for row in rows] == ["verify"]
    assert [row.event.kind for row in site.reception.audit_rows(ANYTHING, 1, 5)] == ["audit"]
    assert site.reception.audit_head(ANYTHING).index == 3
    assert site.log.verify().broken is None


def test_nothing_in_a_row_is_an_id_a_label_or_a_callers_name(site: Site) -> None:
    enrol(site, 50)
    site.vault.relabel(person(1), LABEL)
    for _, call in CALLS.values():
        try:
            call(site.reception, ANYTHING)
        except MascaronError:
            continue
    content = b"".join(path.read_bytes() for path in site.folder.glob("audit*"))
    for secret in (
        person(1),
        person(2),
        LABEL.encode(),
        ANYTHING.name.encode() + b"\0",
        picture(1, 99),
    ):
        assert bytes(secret) not in content
    assert site.log.verify().broken is None


def test_people_come_and_go_while_others_are_asked_about(site: Site) -> None:
    """Whoever is enrolled throughout is found throughout; nobody else's coming is seen."""
    patient = dataclasses.replace(RULES, claims=10**6, misses=10**6)
    site.reception = site.with_parts(rules=patient)
    wrong: list[object] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                if site.reception.verify(ANYTHING, person(3), picture(3)) != Band.MATCH:
                    wrong.append("not verified")
                if site.reception.identify(ANYTHING, picture(3)).persons[0][0] != person(3):
                    wrong.append("not found")
                if site.reception.verify(ANYTHING, person(777), picture(3)) != Band.NO:
                    wrong.append("a stranger")
            except Exception as error:
                wrong.append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(50, 56):
        site.reception.erase(ANYTHING, [enrol(site, number)])
        site.reception.tidy()
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert site.log.verify().broken is None
