"""Regulation (EU) 2016/679, article by article, driven through the rooms a site really uses.

A test shows that the means are there and work. Whether a site keeps the law is for its operator.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from client.agent.participants import RunsPlace, VaultPeople
from client.audit import receipts
from client.commands.init import init_alone
from client.commands.report import report_ropa
from client.commands.settings import Asked
from client.door.answers import Identification
from client.door.callers import CallerBook, Role
from client.door.retention import overdue
from client.door.rules import DoorRules
from client.door.thresholds import Band
from client.home import SiteHome
from client.vault.backup import Known, backup, restore
from client.vault.consent import Consent
from client.vault.identity import PersonId
from client.vault.recovery import RecoveryKey
from client.vault.store import Vault
from common.errors import (
    ConsentError,
    ConsentExpiredError,
    RoleError,
    UnknownPersonError,
    VaultError,
    VaultRollbackError,
)
from tests.small_labels import ALL_KINDS, lies_in, sealed_labels
from tests.small_reception import ANYTHING, Site, caller, enrol, picture
from tests.small_releases import DIM, feature
from tests.small_vault import LATER, NOW, TRUNK, consent, files, person, place, windows

DAY = 86_400.0


def trained_on(site: Site, run: str) -> VaultPeople:
    """The people of ``site`` as a run of its federation sees them."""
    where = RunsPlace(
        folder=site.folder / "runs",
        vault=site.vault,
        trunk=TRUNK,
        dim=DIM,
        clock=site.clock,
        allows=ALL_KINDS.allows_label,
    )
    people = VaultPeople(where)
    people.begin(run)
    return people


def views(number: int) -> set[bytes]:
    """Both features that somebody of the fixture was enrolled with."""
    return {feature(number, view).astype(np.float16).tobytes() for view in (0, 1)}


def written(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in files(folder))


def stranger(site: Site, known: PersonId, number: int) -> bool:
    """Whether the site answers to that person as to somebody it never saw."""
    verified = site.reception.verify(ANYTHING, known, picture(number))
    searched = site.reception.identify(ANYTHING, picture(number), 5)
    return verified == Band.NO and known not in {one for one, _ in searched.persons}


# Article 5(1)(e): storage limitation.


def test_article_5_1_e_who_is_past_the_term_answers_to_nothing_and_is_destroyed(
    site: Site,
) -> None:
    long = dataclasses.replace(consent("verify", "identify"), expires=LATER + 5)
    site.reception.renew(ANYTHING, person(0), long)
    site.clock.now = LATER  # the end of everybody else's consent
    assert not stranger(site, person(0), 0)
    assert all(stranger(site, person(n), n) for n in range(1, 12))
    assert set(overdue(site.vault, LATER)) == {person(n) for n in range(1, 12)}
    site.reception.tidy()
    assert site.vault.people(now=LATER) == {person(0)}
    assert not site.vault.expired(LATER)
    left = written(site.folder)
    assert not any(
        part in left for n in range(1, 12) for view in views(n) for part in windows(view)
    )
    assert ("expire", "done") in site.told()


def test_article_5_1_e_no_consent_is_longer_than_the_sites_rule(site: Site) -> None:
    short = site.with_parts(rules=dataclasses.replace(site.parts.rules, retention_days=30))
    with pytest.raises(ConsentError, match="30 days at most"):
        short.begin(ANYTHING, consent(expires=1.0 + 31 * DAY))
    short.begin(ANYTHING, consent(expires=1.0 + 30 * DAY))


# Articles 7(3) and 9(2)(a): explicit consent, for a purpose, that can be withdrawn.


def test_article_9_2_a_nobody_is_enrolled_without_a_consent_in_force(site: Site) -> None:
    begin = site.reception.begin
    with pytest.raises(ConsentError):
        Consent(purposes=frozenset(), text_hash="a" * 64, given=1.0, expires=LATER)
    with pytest.raises(ConsentError):
        Consent(purposes=frozenset({"verify"}), text_hash="", given=1.0, expires=LATER)
    with pytest.raises(ConsentExpiredError):
        begin(ANYTHING, consent(expires=NOW))
    with pytest.raises(ConsentError):
        begin(ANYTHING, dataclasses.replace(consent(), given=NOW + 1))
    session = begin(ANYTHING, consent(expires=NOW + 60))
    for view in (3, 4, 5):
        assert site.reception.look(ANYTHING, session, picture(50, view)).accepted
    site.clock.now = NOW + 60  # it ran out while pictures were taken
    with pytest.raises(ConsentExpiredError):
        site.reception.commit(ANYTHING, session, True)
    assert site.vault.people(now=NOW) == {person(n) for n in range(12)}


@pytest.mark.parametrize("purpose", ["verify", "identify", "training"])
def test_article_9_2_a_a_consent_is_good_for_its_own_purpose_alone(
    site: Site, purpose: str
) -> None:
    site.reception.renew(ANYTHING, person(0), consent(purpose))
    verified = site.reception.verify(ANYTHING, person(0), picture(0))
    found = site.reception.identify(ANYTHING, picture(0), 5).persons
    trained = {bag.astype(np.float16).tobytes() for bag in _rows(trained_on(site, "r"))}
    assert (verified == Band.MATCH) == (purpose == "verify")
    assert (person(0) in {one for one, _ in found}) == (purpose == "identify")
    assert (views(0) <= trained) == (purpose == "training")
    assert views(1) <= trained


def _rows(people: VaultPeople, run: str = "r") -> np.ndarray:
    return np.concatenate([*people.of(run).bags(), np.empty((0, DIM), np.float32)])


def test_article_7_3_a_withdrawal_holds_from_the_next_question_and_the_next_round(
    site: Site,
) -> None:
    people = trained_on(site, "r")
    before = len(people.of("r"))
    assert not stranger(site, person(3), 3)
    site.reception.renew(ANYTHING, person(3), consent("text"))
    assert stranger(site, person(3), 3)
    assert len(people.of("r")) == before - 1


def test_article_7_3_what_was_said_of_somebody_goes_with_their_consent_to_it(site: Site) -> None:
    site.reception.renew(ANYTHING, person(3), consent("training", "labels"))
    site.reception.set_labels(ANYTHING, person(3), {"hat": True, "age": 41})
    people = trained_on(site, "r")
    assert sum(people.of("r").labels(n) is not None for n in range(len(people.of("r")))) == 12
    kept = sealed_labels(site.vault, person(3))
    assert kept and lies_in(site.folder, kept)
    site.reception.renew(ANYTHING, person(3), consent("training"))
    assert people.of("r").labels(0) is None
    assert not lies_in(site.folder, kept)


def test_article_9_2_a_nothing_is_said_of_who_did_not_agree_to_that(site: Site) -> None:
    for who in (person(3), person(700)):
        with pytest.raises(ConsentError):
            site.reception.set_labels(ANYTHING, who, {"hat": True})
    assert not site.vault._core.tables.select("labels")


# Articles 15 and 20: access, and a copy that a machine reads.


def test_article_15_a_person_is_told_all_that_is_held_and_no_feature(site: Site) -> None:
    known = enrol(site, 60)
    told = site.reception.export(caller("desk", Role.ERASE), known)
    agreed = consent()
    assert set(told["purposes"]) == agreed.purposes
    assert (told["text_hash"], told["given"], told["expires"]) == ("cd" * 32, 1.0, LATER)
    assert (told["enrolled"], told["templates"], told["trunks"]) == (NOW, 3, [TRUNK])
    assert told["labels"] == []
    site.reception.renew(ANYTHING, known, consent("labels"))
    site.reception.set_labels(ANYTHING, known, {"hat": True, "age": 41})
    told = site.reception.export(ANYTHING, known)
    assert told["labels"] == [{"hat": True, "age": 41}] * 3
    assert ("export", "done") in site.told()
    with pytest.raises(RoleError):
        site.reception.export(caller("camera", Role.VERIFY, Role.IDENTIFY), known)


def test_article_20_the_copy_is_plain_json_that_says_the_same_when_read_again(
    site: Site,
) -> None:
    told = site.reception.export(ANYTHING, person(0))
    assert json.loads(json.dumps(told)) == told
    again = {key: told[key] for key in ("text_hash", "given", "expires")}
    agreed = Consent(purposes=frozenset(told["purposes"]), **again)
    assert agreed == site.vault.consent(person(0))


# Article 17: erasure.


def test_article_17_who_is_erased_is_gone_to_the_last_window_with_a_receipt(site: Site) -> None:
    secret = _sealed(site.vault, person(4)) | views(4)
    before = written(site.folder)
    assert any(part in before for one in secret for part in windows(one))
    signed = site.reception.erase(caller("desk", Role.ERASE), [person(4)])
    left = written(site.folder)
    assert not any(part in left for one in secret for part in windows(one))
    receipt = receipts.check(signed.to_json(), site.key.public)
    [row] = [row for row in site.rows() if row.index == receipt.index]
    assert (row.event.kind, row.event.outcome) == ("erase", "done")
    assert receipt.subjects == (row.event.subject.hex(),)
    assert (receipt.epoch_after, receipt.site) == (receipt.epoch_before + 1, "north")
    assert person(4) not in site.vault.people(now=NOW)


def _sealed(vault: Vault, known: PersonId) -> set[bytes]:
    """What is on the disk of a person: the wrapped key, and sealed rows."""
    core = vault._core
    rows = [*core.tables.select("template", known), *core.tables.select("person", known)]
    return {core.keyring._ring.entries[known], *(row[-1] for row in rows)}


def test_article_17_the_erased_and_those_who_never_were_are_told_apart_by_nobody(
    site: Site,
) -> None:
    never = person(700)
    site.reception.erase(ANYTHING, [person(4)])
    assert stranger(site, person(4), 4) and stranger(site, never, 4)
    words = []
    for gone in (person(4), never):
        for ask in (site.reception.export, lambda who, one: site.reception.erase(who, [one])):
            with pytest.raises(UnknownPersonError) as refused:
                ask(ANYTHING, gone)
            words.append((refused.value.reason, str(refused.value)))
    assert len(set(words)) == 1
    with pytest.raises(UnknownPersonError):
        site.vault.tag(person(4), b"audit")  # rows of the past are nobody's from now on


def test_article_17_neither_a_backup_nor_an_old_copy_brings_anybody_back(
    site: Site, folder: Path
) -> None:
    recovery = RecoveryKey.create(folder / "recovery.key")
    (folder / "backups").mkdir()
    saved = backup(site.vault, folder / "backups", recovery)
    database = (folder / "site" / "v" / "vault.db").read_bytes()
    site.reception.erase(ANYTHING, [person(4)])
    known = Known(
        generation=site.vault.generation,
        epoch=site.vault.epoch,
        tombstones=site.vault.tombstones(),
        losing=True,
    )
    with restore(saved, recovery, place(folder / "again"), known) as vault:
        assert vault.people(now=NOW) == {person(n) for n in range(12) if n != 4}
    site.close()
    (folder / "site" / "v" / "vault.db").write_bytes(database)
    with pytest.raises(VaultRollbackError):
        Vault(place(folder / "site" / "v"))


def test_article_17_the_next_round_of_a_run_is_made_without_the_erased(site: Site) -> None:
    people = trained_on(site, "r")
    assert views(4) <= {row.astype(np.float16).tobytes() for row in _rows(people)}
    site.reception.erase(ANYTHING, [person(4)])
    assert not views(4) & {row.astype(np.float16).tobytes() for row in _rows(people)}
    assert len(people.of("r")) == 11


# Article 25: by design and by default.


def test_article_25_a_door_verifies_and_searches_for_nobody_until_somebody_says_so(
    site: Site,
) -> None:
    rules = DoorRules(aligned=True)
    assert (rules.verify, rules.identify, rules.four_eyes) == (True, False, True)
    reception = site.with_parts(rules=rules)
    assert reception.verify(ANYTHING, person(0), picture(0)) == Band.MATCH
    with pytest.raises(RoleError, match="switched off"):
        reception.identify(ANYTHING, picture(0))


def test_article_25_what_is_answered_is_a_band_and_never_a_likeness(site: Site) -> None:
    verified = site.reception.verify(ANYTHING, person(0), picture(0))
    found = site.reception.identify(ANYTHING, picture(0), 5)
    assert isinstance(verified, Band) and len(Band) == 3
    assert {field.name for field in dataclasses.fields(Identification)} == {
        *("ticket", "state", "persons", "labels")
    }
    assert all(isinstance(band, Band) for _, band in found.persons)


# Article 30: records of processing.


def test_article_30_the_record_has_every_item_and_counts_nobody(tmp_path: Path) -> None:
    home = SiteHome(tmp_path / "site")
    init_alone(home, Asked(name="north"))
    words = tmp_path / "words.txt"
    words.write_text("I agree.", "utf-8")
    lines = f'\n[controller]\nname = "House"\ncontact = "a@b"\nconsent_texts = ["{words}"]\n'
    home.settings.write_text(home.settings.read_text("utf-8") + lines, "utf-8")
    told = report_ropa(home)
    items = {
        "a": ("controller",),
        "b": ("purposes",),
        "c": ("people", "data"),
        "d": ("recipients",),
        "e": ("transfers",),
        "f": ("erasure",),
        "g": ("security",),
    }
    assert all(key in told for keys in items.values() for key in keys)
    assert told["controller"]["name"] == "House"
    assert [purpose.partition(":")[0] for purpose in told["purposes"]] == ["verify"]
    assert told["missing"] == ["[controller] protection_officer"]
    assert len(told["consent_texts"][0]["sha256"]) == 64
    assert told["declared_people"] == 0  # of a site alone: nobody had to be told
    json.dumps(told)


# Article 32: security of processing.


def test_article_32_nothing_but_ciphertext_and_digests_is_on_the_disk(site: Site) -> None:
    site.vault.relabel(person(0), "third floor, the tall one")
    book = CallerBook(site.folder / "callers.json")
    token = book.add(caller("gate", Role.VERIFY), lambda size: bytes(range(size)))
    stored = written(site.folder)
    assert not any(part in stored for n in range(12) for one in views(n) for part in windows(one))
    assert b"third floor" not in stored
    assert token.encode() not in stored


def test_article_32_an_altered_vault_serves_nobody_and_a_backup_brings_it_back(
    site: Site, folder: Path
) -> None:
    recovery = RecoveryKey.create(folder / "recovery.key")
    (folder / "backups").mkdir()
    saved = backup(site.vault, folder / "backups", recovery)
    known = Known(generation=site.vault.generation, epoch=site.vault.epoch)
    row = site.vault._core.tables.select("template", person(4))[0][-1]
    site.close()
    path = folder / "site" / "v" / "vault.db"
    content = bytearray(path.read_bytes())
    content[content.index(row) + len(row) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(VaultError):
        Vault(place(folder / "site" / "v"))
    with restore(saved, recovery, place(folder / "again"), known) as vault:
        assert vault.people(now=NOW) == {person(n) for n in range(12)}
