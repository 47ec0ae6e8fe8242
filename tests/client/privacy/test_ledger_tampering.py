"""Whatever is changed in the ledger's files is noticed, or changes nothing."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.privacy.ledger import Budget, Ledger
from client.privacy.reading import read_ledger
from common.errors import LedgerError
from common.privacy.accountant import Event
from common.privacy.plan import MomentMechanism, PrivacyPlan

KEY = b"k" * 32
BUDGET = Budget(8.0, 1e-5)
PLAN = PrivacyPlan(
    mechanisms=tuple(
        MomentMechanism(kind="mean", sigma=5.0 + i, clip=1.0, name=f"m{i}") for i in range(3)
    ),
    people=100,
    delta=1e-5,
)
COLUMNS = ("sequence", "kind", "run", "round", "digest", "detail", "payload", "mac")


def write(path: Path, rounds: int = 3) -> Ledger:
    ledger = Ledger(path, KEY, BUDGET)
    ledger.accept("run", PLAN)
    for number in range(1, rounds + 1):
        ledger.reserve("run", number, f"d{number}", Event(4.0 + number))
        ledger.release("run", number, f"d{number}", b"bytes %d" % number)
    return ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "ledger.db").close()
    return tmp_path / "ledger.db"


def edit(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path)
    with database:
        for statement in statements:
            database.execute(statement)
    database.close()


@pytest.mark.parametrize("row", range(1, 8))
@pytest.mark.parametrize("column", COLUMNS)
def test_any_flipped_bit_of_any_cell_is_noticed(path: Path, row: int, column: str) -> None:
    database = sqlite3.connect(path)
    query = f"SELECT {column} FROM entries WHERE sequence = {row}"  # noqa: S608
    value = database.execute(query).fetchone()[0]
    database.close()
    if isinstance(value, int):
        changed: object = value ^ 64
    elif isinstance(value, str):
        changed = chr(ord(value[-1]) ^ 1).join([value[:-1], ""]) if value else "x"
    else:
        changed = bytes([value[0] ^ 128]) + value[1:] if value else b"x"
    database = sqlite3.connect(path)
    with database:
        statement = f"UPDATE entries SET {column} = ? WHERE sequence = {row}"  # noqa: S608
        database.execute(statement, (changed,))
    database.close()
    with pytest.raises(LedgerError):
        Ledger(path, KEY, BUDGET)


@pytest.mark.parametrize(
    "statements",
    [
        ("DELETE FROM entries WHERE sequence = 1",),
        ("DELETE FROM entries WHERE sequence = 4",),
        ("DELETE FROM entries WHERE sequence = 7",),
        ("DELETE FROM entries WHERE sequence > 3",),
        ("DELETE FROM entries",),
        ("DELETE FROM entries WHERE sequence = 2",
         "UPDATE entries SET sequence = sequence - 1 WHERE sequence > 2"),
        ("UPDATE entries SET sequence = 99 WHERE sequence = 2",
         "UPDATE entries SET sequence = 2 WHERE sequence = 4",
         "UPDATE entries SET sequence = 4 WHERE sequence = 99"),
        ("INSERT INTO entries SELECT 8, 'finish', run, 0, '', '', NULL, mac FROM entries"
         " WHERE sequence = 7",),
        ("INSERT INTO entries SELECT 0, 'finish', run, 0, '', '', NULL, mac FROM entries"
         " WHERE sequence = 7",),
        ("DROP INDEX one_plan",
         "INSERT INTO entries SELECT 8, kind, run, round, digest, detail, payload, mac FROM entries"
         " WHERE sequence = 1"),
        ("DROP TABLE entries",),
    ],
)  # fmt: skip
def test_deleted_swapped_inserted_and_truncated_rows_are_noticed(
    path: Path, statements: tuple[str, ...]
) -> None:
    edit(path, *statements)
    with pytest.raises(LedgerError):
        Ledger(path, KEY, BUDGET)


def test_rows_changed_under_an_open_ledger_are_noticed_by_verify(tmp_path: Path) -> None:
    with write(tmp_path / "ledger.db") as ledger:
        ledger.verify()
        ledger._database.execute("UPDATE entries SET detail = '[9.0, 1.0, 1]' WHERE sequence = 2")
        with pytest.raises(LedgerError):
            ledger.verify()


def test_a_payload_changed_under_an_open_ledger_is_never_replayed(tmp_path: Path) -> None:
    with write(tmp_path / "ledger.db") as ledger:
        ledger._database.execute("UPDATE entries SET payload = x'00' WHERE sequence = 3")
        with pytest.raises(LedgerError):
            ledger.replay("run", 1, "d1")


def copy(path: Path, folder: Path) -> Path:
    folder.mkdir()
    for file in path.parent.glob("ledger.db*"):
        shutil.copy(file, folder / file.name)
    return folder / path.name


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a ledger whose process died: rows still in the write-ahead log."""
    folder = tmp_path_factory.mktemp("crashed")
    path = folder / "live" / "ledger.db"
    path.parent.mkdir()
    with write(path):
        return copy(path, folder / "dead")


@given(st.data())
def test_a_damaged_byte_of_any_file_is_noticed_or_harmless(
    crashed: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = copy(crashed, tmp_path_factory.mktemp("damaged") / "copy")
    file = data.draw(st.sampled_from(sorted(path.parent.iterdir())))
    content = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)
    unharmed_or_refused(path)


@pytest.mark.parametrize("name", [b"entries", b"CREATE", b"sequence"])
def test_a_name_in_the_schema_that_is_no_text_is_a_ledger_error(
    tmp_path: Path, name: bytes
) -> None:
    """The database quotes it in an error that is no text either."""
    path = tmp_path / "ledger.db"
    write(path).close()
    whole = path.read_bytes()
    first = whole.index(b"CREATE TABLE")
    starts = [at for at in range(first - 100, first + 400) if whole.startswith(name, at)]
    assert starts
    for at in starts:
        raw = bytearray(whole)
        raw[at + 2] = 0x80
        path.write_bytes(raw)
        with pytest.raises(LedgerError):
            Ledger(path, KEY, BUDGET)
        with pytest.raises(LedgerError):
            read_ledger(path, KEY)


@given(st.data())
def test_a_truncated_file_is_noticed_or_harmless(
    crashed: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = copy(crashed, tmp_path_factory.mktemp("short") / "copy")
    file = data.draw(st.sampled_from(sorted(path.parent.iterdir())))
    content = file.read_bytes()
    file.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    unharmed_or_refused(path)


def unharmed_or_refused(path: Path) -> None:
    try:
        ledger = Ledger(path, KEY, BUDGET)
    except LedgerError:
        return
    with ledger:
        assert ledger.events() == (Event(5.0), Event(6.0), Event(7.0))
        for number in (1, 2, 3):
            assert ledger.replay("run", number, f"d{number}") == b"bytes %d" % number


@pytest.mark.parametrize("lost", ["ledger.db", "ledger.db-wal", "ledger.db.head"])
def test_a_lost_file_is_noticed(crashed: Path, tmp_path: Path, lost: str) -> None:
    path = copy(crashed, tmp_path / "copy")
    (path.parent / lost).unlink()
    with pytest.raises(LedgerError):
        Ledger(path, KEY, BUDGET)


def test_a_whole_older_copy_is_detected_only_by_a_head_kept_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "live" / "ledger.db"
    path.parent.mkdir()
    with write(path, rounds=1) as ledger:
        early = ledger.head()
    backup = copy(path, tmp_path / "backup")
    with Ledger(path, KEY, BUDGET) as ledger:
        ledger.reserve("run", 2, "d2", Event(6.0))
        late = ledger.head()
        ledger.confirm(early)
        ledger.confirm(late)
    with Ledger(backup, KEY, BUDGET) as ledger:
        ledger.confirm(early)
        with pytest.raises(LedgerError, match="countersigned"):
            ledger.confirm(late)


@pytest.mark.parametrize("forge", [lambda mac: mac[:-1] + bytes([mac[-1] ^ 1]), lambda mac: b""])
def test_a_forged_head_is_not_confirmed(path: Path, forge: Callable[[bytes], bytes]) -> None:
    with Ledger(path, KEY, BUDGET) as ledger:
        head = ledger.head()
        with pytest.raises(LedgerError):
            ledger.confirm(type(head)(head.sequence, forge(head.mac)))
        with pytest.raises(LedgerError):
            ledger.confirm(type(head)(head.sequence + 1, head.mac))
        with pytest.raises(LedgerError):
            ledger.confirm(type(head)(-1, head.mac))
