"""A vault that was put back whole, with the log of today beside it."""

import shutil
from pathlib import Path

import pytest

from client.audit.events import Event, Kind
from client.audit.log import AuditLog
from client.door.recording import check_of_one_day
from client.vault.store import Vault
from common.errors import AuditError, VaultRollbackError
from tests import small_audit, small_vault
from tests.small_reception import ANYTHING, Site, enrol
from tests.small_vault import NOW


def test_a_whole_vault_from_before_an_erasure_does_not_pass_beside_the_log_of_today(
    quick_path: Path,
) -> None:
    with Site(quick_path / "s") as site:
        site.open_for(range(1, 4))
        person = enrol(site, 40)
    shutil.copytree(quick_path / "s" / "v", quick_path / "old")
    with Site(quick_path / "s") as site:
        check_of_one_day(site.vault, site.log)
        site.reception.erase(ANYTHING, [person])
        check_of_one_day(site.vault, site.log)
    shutil.rmtree(quick_path / "s" / "v")
    shutil.move(quick_path / "old", quick_path / "s" / "v")
    with Site(quick_path / "s") as site, pytest.raises(VaultRollbackError, match="older than"):
        check_of_one_day(site.vault, site.log)


def test_every_row_tells_which_state_of_the_vault_it_is_of(quick_path: Path) -> None:
    with Site(quick_path / "s") as site:
        site.open_for(range(1, 4))
        site.reception.rotate(ANYTHING)
        site.reception.people(ANYTHING)
        assert {row.event.reference.partition(":")[0] for row in site.rows()[-2:]} == {
            str(site.vault.generation)
        }
        assert site.log.reference() == f"{site.vault.generation}:none"


def test_a_vault_that_was_changed_does_not_pass_beside_an_empty_log(quick_path: Path) -> None:
    with Site(quick_path / "s") as site:
        small_vault.enrol(site.vault, range(2))
        assert site.log.reference() == ""
        with pytest.raises(AuditError, match="acknowledge"):
            check_of_one_day(site.vault, site.log)
        site.log.append(Event(kind=Kind.AUDIT, began=NOW, ended=NOW, outcome="acknowledged"))
        check_of_one_day(site.vault, site.log)


def test_a_vault_of_which_nothing_was_asked_yet_needs_no_row(quick_path: Path) -> None:
    vault = Vault.create(small_vault.place(quick_path / "v"))
    with vault, AuditLog(small_audit.place(quick_path / "log")) as log:
        check_of_one_day(vault, log)
