"""What people may ask for is done, with a receipt or a row, and what has run out is destroyed."""

from collections.abc import Callable

import pytest

from client.audit import receipts
from client.audit.events import Event
from client.door.callers import Role
from client.door.thresholds import Band
from client.vault.consent import Consent
from common.errors import (
    AuditError,
    ConsentError,
    ConsentExpiredError,
    RoleError,
    UnknownPersonError,
    VaultError,
    WireError,
)
from tests.small_reception import ANYTHING, Site, caller, picture
from tests.small_vault import LATER, NOW, consent, files, person, windows

PEOPLE = range(12)


def failing_after(site: Site, rows: int) -> Callable[[Event], int]:
    append, left = site.log.append, [rows]

    def failing(event: Event) -> int:
        if not left[0]:
            raise AuditError("the disk is full")
        left[0] -= 1
        return append(event)

    return failing


def test_an_erasure_has_a_receipt_that_names_its_row(site: Site) -> None:
    tags = [site.vault.tag(person(n), b"audit")[:16] for n in (4, 5)]
    signed = site.reception.erase(ANYTHING, [person(5), person(4), person(5)])
    receipt = receipts.check(signed.to_json(), site.key.public)
    assert receipt.subjects == tuple(sorted(tag.hex() for tag in tags))
    row = site.rows()[receipt.index - 1]
    assert (row.index, row.event.kind, row.event.outcome) == (receipt.index, "erase", "done")
    assert site.told() == [("erase", "pending")] * 2 + [("erase", "done")]
    assert [one.event.subject for one in site.rows()[:2]] == tags
    assert receipt.epoch_after == site.vault.epoch


def test_who_is_erased_is_nowhere_any_more(site: Site) -> None:
    gone = person(4)
    feature = next(iter(site.vault.held(gone, "1a" * 32))).feature.tobytes()
    site.reception.erase(ANYTHING, [gone])
    assert all(gone not in serving.gallery for serving in site.releases.galleries.all)
    assert site.reception.verify(ANYTHING, gone, picture(4)) == Band.NO
    assert site.reception.identify(ANYTHING, picture(4)).state == "unknown"
    site.close()
    content = b"".join(path.read_bytes() for path in files(site.folder))
    assert not any(window in content for window in windows(feature))


def test_unknown_and_erased_are_refused_in_the_same_words(site: Site) -> None:
    site.reception.erase(ANYTHING, [person(4)])
    told = set()
    for who in (person(4), person(777), b"", b"x"):
        for ask in (
            lambda who=who: site.reception.erase(ANYTHING, [who]),
            lambda who=who: site.reception.export(ANYTHING, who),
            lambda who=who: site.reception.renew(ANYTHING, who, consent()),
            lambda who=who: site.reception.relabel(ANYTHING, who, "L"),
        ):
            with pytest.raises(UnknownPersonError) as refused:
                ask()
            told.add((str(refused.value), site.told()[-1][1]))
    assert len(told) == 1


def test_of_several_people_all_are_erased_or_nobody(site: Site) -> None:
    before = site.vault.generation
    with pytest.raises(UnknownPersonError):
        site.reception.erase(ANYTHING, [person(4), person(777)])
    assert site.vault.generation == before
    assert site.reception.verify(ANYTHING, person(4), picture(4)) == Band.MATCH
    with pytest.raises(WireError):
        site.reception.erase(ANYTHING, [])


def test_nobody_is_erased_without_a_row_before_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = site.vault.generation
    with monkeypatch.context() as broken:
        broken.setattr(site.log, "append", failing_after(site, 0))
        with pytest.raises(AuditError):
            site.reception.erase(ANYTHING, [person(4)])
    assert site.vault.generation == before
    with monkeypatch.context() as broken:
        broken.setattr(site.log, "append", failing_after(site, 1))
        with pytest.raises(AuditError):
            site.reception.erase(ANYTHING, [person(4)])
    assert site.told() == [("erase", "pending")]  # it was done, and a row tells that it was begun
    assert site.reception.verify(ANYTHING, person(4), picture(4)) == Band.NO
    assert person(4) not in site.releases.galleries.lead().gallery


def test_an_erasure_that_breaks_half_way_answers_nothing_any_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(*_: object) -> None:
        raise VaultError("half way")

    monkeypatch.setattr("client.vault.opening.drop", torn)
    with pytest.raises(VaultError):
        site.reception.erase(ANYTHING, [person(4)])
    assert site.told()[-1] == ("erase", "VAULT_CORRUPT")
    monkeypatch.undo()
    with pytest.raises(VaultError, match="closed"):
        site.reception.verify(ANYTHING, person(4), picture(4))


def test_what_has_run_out_is_erased_by_the_clock_and_told_in_rows(site: Site) -> None:
    site.vault.renew(person(4), consent(expires=NOW + 10), now=NOW)
    site.vault.renew(person(5), consent(expires=NOW + 20), now=NOW)
    site.reception.tidy()
    assert not site.told()
    site.clock.now = NOW + 10
    tag = site.vault.tag(person(4), b"audit")[:16]
    site.reception.tidy()
    assert site.told() == [("expire", "pending"), ("expire", "done")]
    assert site.rows()[0].event.subject == tag and site.rows()[0].event.actors == ()
    assert person(4) not in site.vault.people(now=NOW)
    assert person(4) not in site.releases.galleries.lead().gallery
    assert person(5) in site.vault.people(now=NOW)
    site.reception.tidy()
    assert len(site.told()) == 2


def test_what_has_run_out_stays_only_while_no_row_can_tell(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.vault.renew(person(4), consent(expires=NOW + 10), now=NOW)
    site.clock.now = NOW + 10
    with monkeypatch.context() as broken:
        broken.setattr(site.log, "append", failing_after(site, 0))
        with pytest.raises(AuditError):
            site.reception.tidy()
    site.reception.tidy()
    assert not site.vault.expired(site.clock.now)


def test_a_person_reads_what_is_held_of_them(site: Site) -> None:
    held = site.reception.export(ANYTHING, person(4))
    assert held == site.vault.export(person(4)) and "feature" not in repr(held)
    assert site.told() == [("export", "done")]
    desk = caller("desk", Role.OPERATE)
    assert site.reception.export(desk, person(4)) == held
    with pytest.raises(RoleError):
        site.reception.export(caller("gate", Role.VERIFY, Role.IDENTIFY), person(4))


def test_what_ran_out_and_is_not_erased_yet_can_be_read_and_renewed(site: Site) -> None:
    site.vault.renew(person(4), consent(expires=NOW + 10), now=NOW)
    site.clock.now = NOW + 10
    assert site.reception.export(ANYTHING, person(4))["expires"] == NOW + 10
    assert [one.person for one in site.reception.people(ANYTHING)].count(person(4)) == 1
    site.reception.renew(ANYTHING, person(4), consent())
    assert site.reception.verify(ANYTHING, person(4), picture(4)) == Band.MATCH
    assert site.told()[1:4] == [("list", "done"), ("renew", "pending"), ("renew", "done")]


def test_another_word_for_a_person_changes_nothing_else_and_is_in_no_row(site: Site) -> None:
    before = site.vault.export(person(4))
    site.reception.relabel(ANYTHING, person(4), "Dr. Nobody")
    assert site.vault.export(person(4)) == before | {"label": "Dr. Nobody"}
    assert site.told() == [("relabel", "pending"), ("relabel", "done")]
    assert "Nobody" not in repr([entry.event for entry in site.rows()])
    site.reception.relabel(ANYTHING, person(4), "")
    assert site.vault.label(person(4)) == ""


@pytest.mark.parametrize(
    ("times", "error"),
    [
        ((1.0, 4 * 365 * 86_400.0), ConsentError),
        ((NOW + 1, LATER), ConsentError),
        ((1.0, NOW), ConsentExpiredError),
    ],
)
def test_no_consent_is_renewed_for_longer_than_allowed(
    site: Site, times: tuple[float, float], error: type[ConsentError]
) -> None:
    given, expires = times
    other = Consent(
        purposes=frozenset({"verify"}), text_hash="cd" * 32, given=given, expires=expires
    )
    with pytest.raises(error):
        site.reception.renew(ANYTHING, person(4), other)
    assert site.vault.consent(person(4)) == consent()


def test_people_are_listed_in_pages_by_their_ids(site: Site) -> None:
    pages, after = [], b""
    while page := site.reception.people(ANYTHING, after, 5):
        pages.append(len(page))
        after = bytes(page[-1].person)
    assert pages == [5, 5, 2]
    first = site.reception.people(ANYTHING)[0]
    assert (first.label, first.expires, first.templates) == ("L0", LATER, 2)
    assert site.reception.people(ANYTHING, b"", -1) == []


def test_a_rotation_puts_everybody_under_a_new_key(site: Site) -> None:
    epoch = site.vault.epoch
    site.reception.rotate(ANYTHING)
    assert site.vault.epoch == epoch + 1
    assert site.told() == [("rotate", "pending"), ("rotate", "done")]
    assert site.reception.verify(ANYTHING, person(4), picture(4)) == Band.MATCH
