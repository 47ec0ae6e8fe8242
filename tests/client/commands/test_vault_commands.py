"""Backups as an operator types them: what comes back, and whom nothing brings back."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from client.audit.commitments import Seen
from client.audit.events import TAG, Event, Kind
from client.audit.log import AuditLog, AuditPlace
from client.cli import main
from client.commands import vault as commands
from client.door.recording import SUBJECT
from client.home import SiteHome
from client.vault.founding import vault_place
from client.vault.store import Vault
from common.trust.keys import SigningKey
from tests.small_home import STARTER
from tests.small_labels import HAT, told
from tests.small_vault import NOW, consent, person, template


class Site:
    """A site that is alone, whose vault is opened between commands."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, SiteHome(folder / "site")
        options = ["--trunk", str(STARTER), "--public", str(folder)]
        self.told("init", "--alone", "--name", "clinic", *options)
        self.recovery = self.told("vault", "recovery-key", str(folder / "recovery.key"))["recovery"]

    def typed(self, *words: str) -> Any:
        at = [] if "recovery-key" in words else ["--home", str(self.home.folder)]
        return CliRunner().invoke(main, [*words, *at])

    def told(self, *words: str) -> Any:
        done = self.typed(*words)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def backup(self) -> str:
        words = ("vault", "backup", str(self.folder), "--recovery", self.recovery)
        return str(self.told(*words)["file"])

    def restore(self, file: str, *options: str) -> Any:
        key = str(self.folder / "recovery.key")
        return self.typed("vault", "restore", file, "--key", key, *options)

    def vault(self) -> Vault:
        return Vault(vault_place(self.home, self.home.config()))

    def lose(self) -> None:
        shutil.rmtree(self.home.vault)

    def note(
        self, kind: Kind, generation: int, outcome: str = "done", subject: bytes = b""
    ) -> None:
        key = SigningKey.load(self.home.identity_key)
        told = {"reference": f"{generation}:none", "outcome": outcome, "subject": subject}
        with AuditLog(AuditPlace(path=self.home.audit, key=key, site="clinic")) as log:
            log.append(Event(kind=kind, began=NOW, ended=NOW, **told))

    def narrow(self, number: int) -> None:
        """Person ``number`` allows verification alone from now on."""
        with self.vault() as vault:
            vault.renew(person(number), consent("verify"), now=NOW)
            self.note(
                Kind.RENEW, vault.generation, subject=vault.tag(person(number), SUBJECT)[:TAG]
            )


@pytest.fixture
def site(quick_path: Path) -> Iterator[Site]:
    made = Site(quick_path)
    with made.vault() as vault:
        for number in (1, 2):
            vault.enrol(person(number), [template(number)], consent(), now=NOW)
    made.note(Kind.ENROL, 2)
    yield made


def people(site: Site) -> set[bytes]:
    with site.vault() as vault:
        return set(vault.people(now=NOW))


def test_a_lost_vault_comes_back_and_the_log_says_so(site: Site) -> None:
    file = site.backup()
    site.lose()
    done = site.restore(file)
    assert done.exit_code == 0, done.stderr
    assert people(site) == {person(1), person(2)}
    kinds = [row["kind"] for row in site.told("audit", "show")["entries"]]
    assert kinds == ["enrol", "backup", "restore"]


def test_a_vault_that_is_there_is_not_replaced(site: Site) -> None:
    done = site.restore(site.backup())
    assert (done.exit_code, "VAULT_CORRUPT" in done.stderr) == (1, True)
    assert people(site) == {person(1), person(2)}


def test_an_older_backup_is_refused_unless_losing_people_is_meant(site: Site) -> None:
    file = site.backup()
    with site.vault() as vault:
        vault.enrol(person(3), [template(3)], consent(), now=NOW)
        site.note(Kind.ENROL, vault.generation)
    site.lose()
    assert "ROLLBACK_DETECTED" in site.restore(file).stderr
    assert site.restore(file, "--losing").exit_code == 0
    assert people(site) == {person(1), person(2)}


def test_a_consent_that_was_narrowed_never_widens_without_the_operators_word(site: Site) -> None:
    file = site.backup()
    site.narrow(1)
    site.lose()
    done = site.restore(file, "--losing")
    assert (done.exit_code, "--renewed" in done.stderr) == (1, True)
    assert "ROLLBACK_DETECTED" in site.restore(file, "--renewed", "older").stderr  # not --losing
    assert not site.home.vault.exists()
    told = json.loads(site.restore(file, "--losing", "--renewed", "older").stdout)
    assert told["by_an_older_consent"] == [person(1).hex()]
    assert people(site) == {person(1), person(2)}


def test_who_narrowed_a_consent_is_left_out_where_the_operator_says_so(site: Site) -> None:
    file = site.backup()
    site.narrow(1)
    site.lose()
    told = json.loads(site.restore(file, "--losing", "--renewed", "leave-out").stdout)
    assert "by_an_older_consent" not in told
    assert people(site) == {person(2)}


def test_a_consent_that_was_narrowed_before_the_backup_comes_back_as_it_was(site: Site) -> None:
    site.narrow(1)
    file = site.backup()
    site.lose()
    assert site.restore(file).exit_code == 0
    with site.vault() as vault:
        assert vault.consent(person(1)).purposes == {"verify"}


def test_labels_that_were_taken_away_do_not_come_back_without_the_operators_word(
    site: Site,
) -> None:
    with site.vault() as vault:
        vault.renew(person(1), consent("verify", "labels"), now=NOW)
        vault.labels.put(person(1), HAT, now=NOW)
        site.note(Kind.LABELS, vault.generation)
    file = site.backup()
    with site.vault() as vault:
        vault.labels.take_away(person(1))
        tag = vault.tag(person(1), SUBJECT)[:TAG]
        site.note(Kind.LABELS, vault.generation, subject=tag)
    site.lose()
    done = site.restore(file, "--losing")
    assert (done.exit_code, "--renewed" in done.stderr) == (1, True)
    told_of = json.loads(site.restore(file, "--losing", "--renewed", "older").stdout)
    assert told_of["by_an_older_consent"] == [person(1).hex()]
    with site.vault() as vault:
        assert told(vault, person(1)) == [HAT.table()]
    site.lose()
    assert site.restore(file, "--losing", "--renewed", "leave-out").exit_code == 0
    assert people(site) == {person(2)}


def test_labels_that_were_refused_or_changed_before_spoil_no_backup(site: Site) -> None:
    site.note(Kind.LABELS, 2)
    file = site.backup()
    site.note(Kind.LABELS, 2, "CONSENT_MISSING")
    site.lose()
    assert site.restore(file, "--losing").exit_code == 0
    assert people(site) == {person(1), person(2)}


def test_who_was_erased_does_not_come_back_whatever_is_meant(site: Site) -> None:
    file = site.backup()
    with site.vault() as vault:
        vault.erase([person(1)], NOW)
        site.note(Kind.ERASE, vault.generation)
    site.lose()
    for options in ((), ("--losing",)):
        done = site.restore(file, *options)
        assert "ROLLBACK_DETECTED" in done.stderr
    assert not site.home.vault.exists()


def test_an_erasure_that_was_refused_spoils_no_backup_and_one_that_a_crash_ended_does(
    site: Site,
) -> None:
    file = site.backup()
    with site.vault() as vault:
        generation = vault.generation
    site.note(Kind.ERASE, generation, "UNKNOWN_PERSON")
    site.lose()
    assert site.restore(file).exit_code == 0
    later = site.backup()
    with site.vault() as vault:
        generation = vault.generation
    site.note(Kind.ERASE, generation, "pending")
    site.lose()
    assert "ROLLBACK_DETECTED" in site.restore(later).stderr


def test_a_log_that_the_centre_saw_longer_brings_nobody_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = site.backup()
    site.lose()
    monkeypatch.setattr(commands, "countersigned", lambda home, own: Seen(heads=((99, bytes(32)),)))
    done = site.restore(file)
    assert (done.exit_code, "AUDIT_BROKEN" in done.stderr) == (1, True)
    assert not site.home.vault.exists()


def test_without_the_log_nothing_comes_back(site: Site) -> None:
    file = site.backup()
    site.lose()
    for path in site.home.agent.glob("audit.db*"):
        path.unlink()
    assert "audit.db" in site.restore(file, "--losing").stderr


def test_a_backup_that_says_another_generation_opens_to_nobody(site: Site) -> None:
    old = site.backup()
    with site.vault() as vault:
        vault.erase([person(1)], NOW)
        site.note(Kind.ERASE, vault.generation)
        generation = vault.generation
    site.backup()
    site.lose()
    content = Path(old).read_bytes()
    before, after = (value.to_bytes(8, "big") for value in (generation - 1, generation))
    head, rest = content[:200], content[200:]
    forged = head.replace(before, after) + rest
    assert forged != content
    (site.folder / "forged.backup").write_bytes(forged)
    done = site.restore(str(site.folder / "forged.backup"))
    assert done.exit_code == 1
    assert not (site.home.vault.exists() and list(site.home.vault.iterdir()))


def test_a_vault_in_use_is_not_copied(site: Site) -> None:
    with site.vault():
        words = ("vault", "backup", str(site.folder), "--recovery", site.recovery)
        done = site.typed(*words)
    assert (done.exit_code, "BUSY" in done.stderr) == (1, True)
