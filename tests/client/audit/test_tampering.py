"""Whoever may write the log's files, and lacks the site's key, changes nothing in it unseen."""

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from client.audit import chain
from client.audit.chain import HEAD, AuditHead, Entry, Verdict
from client.audit.events import Event, Kind
from client.audit.log import AuditLog
from client.audit.reading import read_entries, verify_file
from client.vault.handles import framed
from common.errors import AuditError, MascaronError
from tests.small_audit import SITE, event, filled, key, place

ROWS = 6
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


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes while these logs are read, so none is read twice."""
    monkeypatch.setattr("client.audit.reading.TRIES", 1)


@pytest.fixture(scope="module")
def whole(quick_module_path: Path) -> Path:
    """The folder of a log of six rows, closed."""
    folder = quick_module_path / "whole"
    folder.mkdir()
    filled(folder / "audit.db", range(1, ROWS + 1))
    return folder


@pytest.fixture
def log(whole: Path, quick_path: Path) -> Path:
    """A copy of it, to be attacked."""
    shutil.copytree(whole, quick_path / "copy")
    return quick_path / "copy" / "audit.db"


@contextmanager
def edited(log: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(log, isolation_level=None)) as database:
        yield database


def judged(log: Path) -> Verdict:
    """What a reader says, with whom the log itself agrees on opening."""
    verdict = verify_file(log, key().public, SITE)
    if verdict.broken is None:
        AuditLog(place(log)).close()
    else:
        with pytest.raises(MascaronError):
            AuditLog(place(log))
    return verdict


def flips(value: Any) -> Iterator[Any]:
    """``value`` with one bit of each of its bytes changed, and with its end gone."""
    if isinstance(value, float):
        yield value + 1e-3
        yield -value
        yield value * 2
        return
    raw = value.encode() if isinstance(value, str) else value
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 1 << at % 7]) + raw[at + 1 :]
        yield changed.decode() if isinstance(value, str) else changed
    yield value[:-1] if value else (b"\0" * 16 if isinstance(value, bytes) else "x")


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


def cut(log: Path, left: int, head: AuditHead | None = None) -> None:
    with edited(log) as database:
        database.execute("DELETE FROM entry WHERE sequence > ?", (left,))
        if head is not None:
            chain.write_head(database, HEAD, head)


def heads(folder: Path) -> list[AuditHead]:
    """All heads that the log of ``ROWS`` rows went through, as who kept copies has them."""
    with AuditLog(place(folder / "again.db")) as log:
        found = [log.head()]
        for n in range(1, ROWS + 1):
            log.append(event(n))
            found.append(log.head())
    return found


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


def test_files_rolled_back_together_pass_here_and_not_before_a_head_kept_elsewhere(
    log: Path, quick_path: Path
) -> None:
    old = quick_path / "old"
    shutil.copytree(log.parent, old)
    with AuditLog(place(log)) as opened:
        opened.append(event(50))
        head = opened.head()
    for path in log.parent.iterdir():
        path.unlink()
    for path in old.iterdir():
        shutil.copy2(path, log.parent / path.name)
    kept = ((head.index, head.hash),)
    assert verify_file(log, key().public, SITE).broken is None
    assert verify_file(log, key().public, SITE, kept).broken == ROWS + 1
    missing = pytest.raises(AuditError, match=f"record {ROWS + 1}: last rows are missing")
    with AuditLog(place(log)) as opened, missing:
        opened.confirm(kept)
    with AuditLog(place(log)) as opened:
        opened.append(event(51))
    assert verify_file(log, key().public, SITE, kept).broken == ROWS + 1, "another row is there"


def test_one_file_rolled_back_alone_is_noticed(log: Path, quick_path: Path) -> None:
    old = quick_path / "old"
    shutil.copytree(log.parent, old)
    with AuditLog(place(log)) as opened:
        opened.append(event(50))
    shutil.copy2(old / "audit.db", log)
    assert judged(log).broken == ROWS + 1


def forged(rows: list[Entry], signer: int, site: str = SITE) -> list[Entry]:
    """The rows with every chain value made anew, signed by another key."""
    head = chain.signed_head(key(signer), site, HEAD, (0, chain.genesis(site), 0.0))
    made = []
    for row in rows:
        entry, head = chain.follow(key(signer), site, head, row.event)
        made.append(entry)
    return made


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


@pytest.mark.parametrize(
    "statement",
    [
        "DROP INDEX of_caller",
        "CREATE TABLE more (a)",
        "CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM entry WHERE sequence = 1; END",
        "CREATE VIEW v AS SELECT 1",
        "PRAGMA user_version = 2",
        "DROP TABLE entry",
    ],
)
def test_tables_that_are_altered_are_noticed(log: Path, statement: str) -> None:
    with edited(log) as database:
        database.execute(statement)
    assert judged(log).broken == 0


def test_an_index_that_counts_otherwise_than_the_rows_is_noticed(log: Path) -> None:
    """Budgets are counted by it."""
    with AuditLog(place(log)) as opened:
        caller = event(1).actors[:1] or event(2).actors[:1]
        counted = opened.count(caller[0], list(Kind), 0)
    with edited(log) as database:
        root = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'of_caller'")
        page = root.fetchone()[0]
        size = database.execute("PRAGMA page_size").fetchone()[0]
    raw = bytearray(log.read_bytes())
    at = raw.index(caller[0], size * (page - 1))
    assert counted and at < size * page
    raw[at] ^= 0xFF
    log.write_bytes(raw)
    assert judged(log).broken == 0


def live(quick_path: Path) -> Path:
    """The files of a log whose last rows are in its write-ahead log alone."""
    path = quick_path / "live" / "audit.db"
    path.parent.mkdir()
    with AuditLog(place(path)) as log:
        for n in range(1, ROWS + 1):
            log.append(event(n))
        shutil.copytree(path.parent, quick_path / "held")
    return quick_path / "held" / "audit.db"


@pytest.mark.parametrize(
    "damage",
    [lambda raw: b"", lambda raw: raw[: len(raw) // 2], lambda raw: raw[:-1], None],
    ids=["emptied", "cut in half", "one byte short", "taken away"],
)
def test_rows_lost_with_the_write_ahead_log_are_missed(
    quick_path: Path, damage: Callable[[bytes], bytes] | None
) -> None:
    log = live(quick_path)
    wal = log.with_name("audit.db-wal")
    assert verify_file(log, key().public, SITE).entries == ROWS
    (log.parent / "audit.db-shm").unlink()
    if damage is None:
        wal.unlink()
    else:
        wal.write_bytes(damage(wal.read_bytes()))
    assert judged(log).broken is not None


def test_a_head_file_that_is_damaged_taken_away_or_emptied_is_noticed(log: Path) -> None:
    kept = log.with_name("audit.db.head")
    raw = kept.read_bytes()
    for damaged in (b"", raw[:-1], raw + b"\0", bytes(len(raw)), raw[: len(raw) // 2]):
        kept.write_bytes(damaged)
        assert judged(log).broken is not None
    kept.unlink()
    assert judged(log).broken is not None


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


def attacked(whole: Path, to: Path, rng: random.Random, original: list[Event]) -> None:
    """One random change of one file: noticed, or nothing that is read has changed."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(whole, to)
    victim = to / rng.choice(("audit.db",) * 6 + ("audit.db.head",))
    raw = bytearray(victim.read_bytes())
    at = rng.randrange(len(raw))
    match rng.randrange(4):
        case 0:
            raw[at] ^= 1 << rng.randrange(8)
        case 1:
            raw[at : at + 16] = rng.randbytes(16)
        case 2:
            del raw[at : at + rng.randrange(1, 64)]
        case _:
            other = rng.randrange(len(raw))
            raw[at : at + 64] = raw[other : other + 64]
    victim.write_bytes(raw)
    log = to / "audit.db"
    if verify_file(log, key().public, SITE).broken is None:
        assert [entry.event for entry in read_entries(log)] == original


@pytest.mark.parametrize(
    "cases", [400, pytest.param(20_000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_no_damage_to_the_files_changes_what_is_read_unseen(
    whole: Path, quick_path: Path, cases: int
) -> None:
    rng = random.Random(cases)  # noqa: S311
    original = [event(n) for n in range(1, ROWS + 1)]
    for _ in range(cases):
        attacked(whole, quick_path / "case", rng, original)
