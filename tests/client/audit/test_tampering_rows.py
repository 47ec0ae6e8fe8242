"""Whoever may write the log's rows, and lacks the site's key, changes nothing in it unseen."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from client.audit import chain
from client.audit.chain import HEAD
from client.audit.log import AuditLog
from client.audit.reading import read_entries, verify_file
from client.vault.handles import framed
from common.errors import AuditError
from tests.small_audit import SITE, key, place
from tests.small_tampering import ROWS, cut, edited, flips, forged, heads, judged

pytestmark = pytest.mark.usefixtures("impatient")
COLUMNS = (
    "kind",
    "began",
    "ended",
    "reference",
    "subject",
    "input",
    "outcome",
    "caller",
    "others",
    "signature",
)


@pytest.mark.parametrize("column", COLUMNS)
def test_every_byte_of_every_row_names_its_row(log: Path, column: str) -> None:
    with edited(log) as database:
        for index in range(1, ROWS + 1):
            where = f"FROM entry WHERE sequence = {index}"
            (value,) = database.execute(f"SELECT {column} {where}").fetchone()
            change = f"UPDATE entry SET {column} = ? WHERE sequence = ?"  # noqa: S608
            for changed in flips(value):
                database.execute(change, (changed, index))
                assert verify_file(log, key().public, SITE).broken == index
            database.execute(change, (value, index))
    assert judged(log).broken is None


@pytest.mark.parametrize("index", range(1, ROWS + 1))
def test_a_row_that_is_taken_away_is_named(log: Path, index: int) -> None:
    with edited(log) as database:
        database.execute("DELETE FROM entry WHERE sequence = ?", (index,))
    assert judged(log).broken == index


def test_a_row_that_is_taken_away_and_the_gap_closed_is_named(log: Path) -> None:
    with edited(log) as database:
        database.execute("DELETE FROM entry WHERE sequence = 3")
        for index in range(4, ROWS + 1):
            database.execute("UPDATE entry SET sequence = ? WHERE sequence = ?", (index - 1, index))
    assert judged(log).broken == 3


def test_rows_that_change_places_are_named(log: Path) -> None:
    for one in range(1, ROWS):
        for other in range(one + 1, ROWS + 1):
            with edited(log) as database:
                for before, after in ((one, 99), (other, one), (99, other)):
                    change = "UPDATE entry SET sequence = ? WHERE sequence = ?"
                    database.execute(change, (after, before))
            assert verify_file(log, key().public, SITE).broken == one
            with edited(log) as database:
                for before, after in ((one, 99), (other, one), (99, other)):
                    database.execute(change, (after, before))
    assert judged(log).broken is None


def test_a_row_that_is_put_in_is_named(log: Path) -> None:
    copy = "INSERT INTO entry SELECT ?, kind, began, ended, reference, subject, input, outcome, "
    copy += "caller, others, signature FROM entry WHERE sequence = 2"
    for index in (0, -1, ROWS + 1, 2**40):
        with edited(log) as database:
            database.execute(copy, (index,))
        broken = verify_file(log, key().public, SITE).broken
        assert broken == (ROWS + 1 if index > 0 else 0)
        with edited(log) as database:
            database.execute("DELETE FROM entry WHERE sequence = ?", (index,))


def test_a_tail_that_is_cut_is_missed_with_the_head_and_with_an_older_one(
    whole: Path, log: Path, quick_path: Path
) -> None:
    old = heads(quick_path)
    for left in range(ROWS):
        cut(log, left)
        assert verify_file(log, key().public, SITE).broken == left + 1
        cut(log, left, old[left])
        assert judged(log).broken == left + 1, "the file beside it knows better"
        shutil.copyfile(whole / "audit.db", log)


def test_an_older_head_over_all_rows_is_noticed(log: Path, quick_path: Path) -> None:
    for left, head in enumerate(heads(quick_path)[:-1]):
        with edited(log) as database:
            chain.write_head(database, HEAD, head)
        assert judged(log).broken == left + 1


@pytest.mark.parametrize("at", range(1, ROWS + 1))
def test_a_chain_that_is_made_anew_behind_a_changed_row_names_that_row(log: Path, at: int) -> None:
    rows = read_entries(log)
    lie = replace(rows[at - 1], event=replace(rows[at - 1].event, outcome="no"))
    changed = [*rows[: at - 1], lie, *rows[at:]]
    for entry in forged(changed, signer=2)[at - 1 :]:
        with edited(log) as database:
            database.execute("DELETE FROM entry WHERE sequence = ?", (entry.index,))
            chain.insert(database, entry)
    assert judged(log).broken == at


def test_rows_of_another_site_or_another_key_name_the_first_of_them(log: Path) -> None:
    rows = read_entries(log)
    for others in (forged(rows, 2), forged(rows, 1, "south")):
        with edited(log) as database:
            for entry in others[3:]:
                database.execute("DELETE FROM entry WHERE sequence = ?", (entry.index,))
                chain.insert(database, entry)
        assert judged(log).broken == 4


def test_a_whole_log_of_another_site_or_key_is_not_this_sites(log: Path) -> None:
    for site, number in (("south", 1), (SITE, 2)):
        assert verify_file(log, key(number).public, site).broken is not None
        with pytest.raises(AuditError):
            AuditLog(place(log, site=site, number=number))


def test_a_signature_is_good_in_its_own_place_only(log: Path) -> None:
    """Signed by this site's own key, for something else."""
    row = read_entries(log)[2]
    content = framed(SITE, 3, bytes(32))
    for purpose in ("audit head", "audit anchor", "ledger head", "audit row"):
        with edited(log) as database:
            signature = key().sign(purpose, content)
            change = "UPDATE entry SET signature = ? WHERE sequence = 3"
            database.execute(change, (signature,))
        assert judged(log).broken == 3
    with edited(log) as database:
        database.execute(change, (row.signature,))
    assert judged(log).broken is None


@pytest.mark.parametrize("name", ["audit head", "audit anchor"])
@pytest.mark.parametrize("column", ["sequence", "hash", "at", "signature"])
def test_a_head_or_an_anchor_that_is_altered_is_noticed(log: Path, name: str, column: str) -> None:
    with edited(log) as database:
        query = f"SELECT {column} FROM head WHERE name = ?"  # noqa: S608
        (value,) = database.execute(query, (name,)).fetchone()
        changes = [value + 1, -1, value + 2**40] if isinstance(value, int) else flips(value)
        for changed in changes:
            if changed == value:
                continue
            change = f"UPDATE head SET {column} = ? WHERE name = ?"  # noqa: S608
            database.execute(change, (changed, name))
            assert verify_file(log, key().public, SITE).broken is not None
        database.execute(change, (value, name))
        database.execute("DELETE FROM head WHERE name = ?", (name,))
    assert judged(log).broken == 0


def test_an_anchor_of_another_log_does_not_excuse_rows_that_are_gone(log: Path) -> None:
    rows = read_entries(log)
    stolen = chain.signed_head(key(2), SITE, "audit anchor", (3, bytes(32), 0.0))
    mistaken = chain.signed_head(key(), SITE, HEAD, (3, bytes(32), 0.0))
    for anchor in (stolen, mistaken):
        with edited(log) as database:
            database.execute("DELETE FROM entry WHERE sequence <= 3")
            chain.write_head(database, "audit anchor", anchor)
        assert judged(log).broken == 0
    assert rows
