"""Who may not be compared is a stranger, in the answer and in the work it takes."""

import dataclasses
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from client.audit.events import Event
from client.door.answers import Identification
from client.door.callers import Role
from client.door.serving import Serving
from client.door.thresholds import Band
from client.vault.consent import Consent
from client.vault.gallery import Gallery
from client.vault.handles import DataKey
from client.vault.identity import PersonId
from client.vault.store import Vault
from common.errors import AuditError, MascaronError, NotReadyError, WireError
from tests.small_reception import ANYTHING, RULES, SPOILT, Site, caller, enrol, picture
from tests.small_releases import TRUNK, seen, tail_of
from tests.small_vault import LATER, NOW, OTHER, consent, person

PEOPLE = range(20)
ERASED, EXPIRED, SEARCHED_ONLY, VERIFIED_ONLY, UNSEEN = 14, 15, 16, 17, 18
SOON = NOW + 50
UNKNOWN = Identification(ticket=b"", state="unknown")

# How a person is claimed who may not be compared, or who is not the one in the picture.
CLAIMS: dict[str, bytes] = {
    "another's": person(2),
    "never enrolled": person(777),
    "erased": person(ERASED),
    "expired": person(EXPIRED),
    "no consent to be verified": person(SEARCHED_ONLY),
    "in no gallery": person(UNSEEN),
    "too short an id": b"\x01",
    "no id": b"",
    "too long an id": b"\x07" * 500,
}


@pytest.fixture(scope="module")
def prepared(quick_module_path: Path) -> dict[str, Path]:
    """Sites to be copied: with a release that decides alone, and with one that is staged."""
    found = {}
    for name in ("alone", "shadowed"):
        found[name] = quick_module_path / name
        with Site(found[name]) as made:
            made.open_for(set(PEOPLE) - {SEARCHED_ONLY, VERIFIED_ONLY})
            made.open_for([SEARCHED_ONLY], "identify", "training")
            made.open_for([VERIFIED_ONLY], "verify")
            if name == "shadowed":
                made.releases.stage(tail_of(2), TRUNK)
            made.vault.renew(person(EXPIRED), consent(expires=SOON), now=NOW)
            made.reception.erase(ANYTHING, [person(ERASED)])
    return found


@pytest.fixture(params=["alone", "shadowed"])
def site(
    prepared: dict[str, Path], quick_path: Path, request: pytest.FixtureRequest
) -> Iterator[Site]:
    with Site(shutil.copytree(prepared[request.param], quick_path / "site")) as made:
        for serving in made.releases.galleries.all:
            serving.drop(person(UNSEEN))
        made.clock.now = SOON
        yield made


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], Counter[Any]]:
    """Counts what a call does, with the sizes of what it does it to."""
    done: Counter[Any] = Counter()

    def counted(room: type, name: str, size: Callable[..., object]) -> None:
        real = getattr(room, name)

        def counting(self: Any, *args: Any, **options: Any) -> Any:
            done[f"{room.__name__}.{name}", size(self, *args)] += 1
            return real(self, *args, **options)

        monkeypatch.setattr(room, name, counting)

    counted(Serving, "embed", lambda self, rows: len(rows))
    counted(Gallery, "best", lambda self, *_: 1)
    counted(Gallery, "search", lambda self, *_: len(self))
    counted(Vault, "people", lambda self: 1)
    counted(DataKey, "open", lambda self, sealed, about: len(sealed))
    counted(DataKey, "derive", lambda self, use: 1)
    counted(DataKey, "tag", lambda self, message: 1)

    def of(call: Callable[[], object]) -> Counter[Any]:
        call()  # what is made once only
        done.clear()
        call()
        return Counter(done)

    return of


@pytest.mark.parametrize("claim", sorted(CLAIMS))
def test_who_may_not_be_compared_is_answered_as_a_stranger_after_the_same_work(
    site: Site, work: Callable[..., Counter[Any]], claim: str
) -> None:
    asked = [
        lambda who=who: site.reception.verify(ANYTHING, who, picture(600))
        for who in (person(1), CLAIMS[claim])
    ]
    assert asked[0]() == asked[1]() == Band.NO
    stranger, other = (work(ask) for ask in asked)
    assert stranger == other
    assert stranger["Gallery.best", 1] and sum(stranger.values()) > 5


@pytest.mark.parametrize("claim", sorted(set(CLAIMS) - {"another's"}))
def test_their_own_picture_does_not_help_whoever_may_not_be_compared(
    site: Site, claim: str
) -> None:
    for number in (ERASED, EXPIRED, SEARCHED_ONLY, UNSEEN, 777):
        assert site.reception.verify(ANYTHING, CLAIMS[claim], picture(number)) == Band.NO
    row = site.rows()[-1].event
    assert (row.outcome, row.subject) == ("no", b"")


@pytest.mark.parametrize("number", [ERASED, EXPIRED, VERIFIED_ONLY, UNSEEN, 600])
def test_a_search_finds_nobody_who_did_not_agree_to_it(
    site: Site, work: Callable[..., Counter[Any]], number: int
) -> None:
    assert site.reception.identify(ANYTHING, picture(number), 5) == UNKNOWN
    assert site.told()[-1] == ("identify", "unknown")
    assert site.rows()[-1].event.subject == b""
    stranger, other = (
        work(lambda shown=shown: site.reception.identify(ANYTHING, picture(shown), 5))
        for shown in (600, number)
    )
    assert stranger == other


def test_who_agreed_is_verified_and_found(site: Site) -> None:
    assert site.reception.verify(ANYTHING, person(3), picture(3)) == Band.MATCH
    row = site.rows()[-1].event
    assert (row.outcome, row.subject) == ("match", site.vault.tag(person(3), b"audit")[:16])
    assert row.reference == f"{site.vault.generation}:{tail_of(1).hash[:12]}"
    assert len(row.input) == 16 and len(row.actors) == 1
    found = site.reception.identify(ANYTHING, picture(SEARCHED_ONLY), 5)
    assert found.state == "confirmed" and found.persons[0] == (person(SEARCHED_ONLY), Band.MATCH)
    assert not found.labels
    assert site.rows()[-1].event.subject == site.vault.tag(person(SEARCHED_ONLY), b"audit")[:16]


def test_consent_counts_at_the_second_it_ends_and_as_soon_as_it_is_given(site: Site) -> None:
    who, shown = person(EXPIRED), picture(EXPIRED)
    site.clock.now = SOON - 1
    assert site.reception.verify(ANYTHING, who, shown) == Band.MATCH
    site.clock.now = SOON
    assert site.reception.verify(ANYTHING, who, shown) == Band.NO
    site.reception.renew(ANYTHING, who, consent("identify"))
    assert site.reception.verify(ANYTHING, who, shown) == Band.NO
    assert site.reception.identify(ANYTHING, shown).persons == ((who, Band.MATCH),)
    later = Consent(purposes=frozenset({"verify"}), text_hash="cd" * 32, given=SOON, expires=LATER)
    site.reception.renew(ANYTHING, who, later)
    assert site.reception.verify(ANYTHING, who, shown) == Band.MATCH
    assert site.reception.identify(ANYTHING, shown).state == "unknown"


@pytest.mark.parametrize("four_eyes", [False, True])
def test_who_is_only_near_is_not_named(site: Site, four_eyes: bool) -> None:
    reception = site.with_parts(rules=dataclasses.replace(RULES, four_eyes=four_eyes))
    galleries, allowed = site.releases.galleries, site.vault.people(purpose="identify", now=SOON)
    near = next(
        number
        for number in range(600, 900)
        if [band for _, band in galleries.search(seen(number, 7), 1, allowed)] == [Band.NEAR]
    )
    assert reception.identify(ANYTHING, picture(near), 5) == UNKNOWN
    assert (site.told()[-1], site.rows()[-1].event.subject) == (("identify", "unknown"), b"")


@pytest.mark.parametrize("spoilt", sorted(SPOILT))
def test_a_picture_that_cannot_be_seen_is_refused_before_anybody_is_looked_for(
    site: Site, spoilt: bytes
) -> None:
    told = set()
    for who in CLAIMS.values():
        with pytest.raises(MascaronError) as refused:
            site.reception.verify(ANYTHING, who, spoilt)
        told.add((refused.value.reason, str(refused.value), site.told()[-1][1]))
    assert told == {(SPOILT[spoilt].reason, str(SPOILT[spoilt]), SPOILT[spoilt].reason)}


def test_nothing_of_a_probe_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for ask in (
        lambda: site.reception.verify(ANYTHING, person(3), picture(3)),
        lambda: site.reception.verify(ANYTHING, person(777), picture(3)),
        lambda: site.reception.identify(ANYTHING, picture(3)),
    ):
        ask()
        assert site.eye.last is not None
        assert not any(feature.any() for feature in site.eye.last.features.values())
    monkeypatch.setattr(Serving, "embed", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        site.reception.verify(ANYTHING, person(3), picture(3))
    assert not any(feature.any() for feature in site.eye.last.features.values())
    assert site.told()[-1] == ("verify", "INTERNAL")


@pytest.mark.parametrize("top", [0, 6, -1])
def test_one_to_five_people_are_named(site: Site, top: int) -> None:
    rows = len(site.rows())
    with pytest.raises(WireError):
        site.reception.identify(ANYTHING, picture(3), top)
    assert len(site.rows()) == rows


def test_without_its_row_nothing_is_answered(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(event: Event) -> int:
        raise AuditError("the disk is full")

    monkeypatch.setattr(site.log, "append", full)
    for ask in (
        lambda: site.reception.verify(ANYTHING, person(3), picture(3)),
        lambda: site.reception.verify(ANYTHING, person(3), b"broken"),
        lambda: site.reception.identify(ANYTHING, picture(3)),
        lambda: site.reception.identify(ANYTHING, b"broken"),
    ):
        with pytest.raises(AuditError):
            ask()


def test_the_row_is_on_the_disk_before_the_answer_leaves(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, order = len(site.rows()), []
    append = site.log.append

    def noting(event: Event) -> int:
        order.append(event.outcome)
        return append(event)

    monkeypatch.setattr(site.log, "append", noting)
    band = site.reception.verify(ANYTHING, person(3), picture(3))
    assert order == [band.value] and len(site.rows()) == before + 1


def test_nothing_is_decided_before_a_calibration_whoever_is_claimed(quick_path: Path) -> None:
    with Site(quick_path) as site:
        told = set()
        for staged in (False, True):
            if staged:
                site.releases.stage(tail_of(1), TRUNK)
                site.releases.promote()
            for who in (person(1), person(777)):
                with pytest.raises(NotReadyError) as refused:
                    site.reception.verify(ANYTHING, who, picture(1))
                told.add((staged, str(refused.value)))
        assert len(told) == 2


def test_who_is_erased_while_they_are_compared_gets_a_strangers_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Serving.verify

    def slow(self: Serving, feature: object, who: PersonId) -> Band:
        band = real(self, feature, who)  # type: ignore[arg-type]
        if who == person(3) and who in site.vault.people(now=NOW):
            site.vault.erase([who], NOW)
        return band

    monkeypatch.setattr(Serving, "verify", slow)
    assert site.reception.verify(ANYTHING, person(3), picture(3)) == Band.NO
    assert site.rows()[-1].event.subject == b""


def test_a_staged_release_is_tried_on_probes_unless_that_is_switched_off(
    quick_path: Path,
) -> None:
    with Site(quick_path) as site:
        site.open_for(PEOPLE)
        site.releases.stage(tail_of(2), TRUNK)
        quiet = site.with_parts(rules=dataclasses.replace(site.parts.rules, shadow=False))
        for reception, probes in ((quiet, 0), (site.reception, 3)):
            reception.verify(ANYTHING, person(3), picture(3))
            reception.verify(ANYTHING, person(777), picture(3))
            reception.identify(ANYTHING, picture(3))
            reception.identify(ANYTHING, picture(600))
            assert site.reception.status(ANYTHING).probes == probes


def test_people_of_two_trunks_are_judged_each_by_their_own(quick_path: Path) -> None:
    with Site(quick_path, trunks=(OTHER, TRUNK)) as site:
        site.open_for(PEOPLE)
        both, *_ = [enrol(site, number) for number in range(50, 56)]
        site.releases.stage(tail_of(3), OTHER)
        site.releases.promote()
        assert site.releases.beside is not None
        for who, number in ((both, 50), (person(3), 3)):
            assert site.reception.verify(ANYTHING, who, picture(number)) == Band.MATCH
            found = site.reception.identify(ANYTHING, picture(number))
            assert found.persons == ((who, Band.MATCH),)
        assert site.reception.verify(ANYTHING, person(777), picture(3)) == Band.NO


def test_decoys_are_nobody_and_stand_in_for_the_same_claim_each_time(site: Site) -> None:
    decoys = site.reception._recognising._claims._decoys
    chosen = {bytes(decoys.person(bytes([n]) * 16)) for n in range(256)}
    assert len(chosen) > 16 and not chosen & site.vault.people(now=NOW)
    assert decoys.person(b"one") == decoys.person(b"one")
    for number in range(8):
        stand_in = decoys.person(person(number))
        assert site.reception.verify(ANYTHING, stand_in, picture(number)) == Band.NO


def test_what_is_answered_shows_no_label_in_its_repr(site: Site) -> None:
    listed = site.reception.people(ANYTHING)
    assert listed[0].label and listed[0].label not in repr(listed)


def test_a_caller_is_in_a_row_by_its_tag_alone(site: Site) -> None:
    gate, other = (caller(name, Role.VERIFY) for name in ("gate-1", "gate-2"))
    for who in (gate, other, gate):
        site.reception.verify(who, person(3), picture(3))
    first, second, third = (row.event.actors for row in site.rows()[-3:])
    assert first == third != second
    assert b"gate" not in b"".join((*first, *second))
