"""Whoever may write the log's files, and lacks the site's key, changes nothing in it unseen."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from client.audit.events import Kind
from client.audit.log import AuditLog
from client.audit.reading import verify_file
from common.errors import AuditError
from tests.small_audit import SITE, event, key, place
from tests.small_tampering import ROWS, attacked, edited, judged, live

pytestmark = pytest.mark.usefixtures("impatient")


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
