"""Looking at a ledger changes nothing, invents nothing, and notices whoever changed it."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from client.cli import main
from client.privacy.ledger import Budget, Ledger
from common.privacy import accountant
from common.privacy.plan import MomentMechanism, PrivacyPlan

KEY = b"k" * 32
PAYLOAD = b"what was released"


def plan(sigma: float = 3.0) -> PrivacyPlan:
    mean = MomentMechanism(kind="mean", sigma=sigma, clip=1.0, name="mean")
    noise = "none" if sigma == 0 else "local"
    return PrivacyPlan(mechanisms=(mean,), people=10, delta=1e-4, noise=noise)  # type: ignore[arg-type]


def written(folder: Path, sigma: float = 3.0) -> Path:
    """A ledger with one plan, one charge and one release, and its key beside it."""
    (folder / "key").write_bytes(KEY)
    path = folder / "ledger.db"
    with Ledger(path, KEY, Budget(float("inf"), 1e-4)) as ledger:
        ledger.accept("r1", plan(sigma))
        ledger.reserve("r1", 1, "digest", plan(sigma).rounds[0].event)
        ledger.release("r1", 1, "digest", PAYLOAD)
    return path


def ask(command: str, path: Path, *more: str) -> Result:
    key = str(path.parent / "key")
    return CliRunner().invoke(main, ["ledger", command, str(path), "--key", key, *more])


def test_show_tells_every_row_the_epsilon_and_the_head_but_no_released_bytes(
    tmp_path: Path,
) -> None:
    told = ask("show", written(tmp_path))
    assert told.exit_code == 0, told.output
    answer = json.loads(told.stdout)
    assert [e["kind"] for e in answer["entries"]] == ["accept", "reserve", "release"]
    assert answer["epsilon"] == pytest.approx(accountant.epsilon(plan().events(), 1e-4))
    assert answer["head"]["sequence"] == 3
    assert len(bytes.fromhex(answer["head"]["mac"])) == 32
    assert PAYLOAD.decode() not in told.output
    assert PAYLOAD.hex() not in told.output


def test_a_smaller_delta_shows_a_larger_epsilon(tmp_path: Path) -> None:
    path = written(tmp_path)
    wide, narrow = (json.loads(ask("show", path, "--delta", d).stdout) for d in ("1e-2", "1e-6"))
    assert narrow["epsilon"] > wide["epsilon"]


def test_without_noise_no_epsilon_is_claimed(tmp_path: Path) -> None:
    told = ask("show", written(tmp_path, sigma=0.0))
    assert json.loads(told.stdout)["epsilon"] is None


def test_verify_counts_the_rows_it_found_whole(tmp_path: Path) -> None:
    told = ask("verify", written(tmp_path))
    assert told.exit_code == 0
    assert json.loads(told.stdout)["verified"] == 3


def test_looking_leaves_the_rows_as_they_were(tmp_path: Path) -> None:
    path = written(tmp_path)
    first = ask("show", path).stdout
    ask("verify", path)
    assert ask("show", path).stdout == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["key", "ledger.db", "ledger.db.head"]


@pytest.mark.parametrize("command", ["show", "verify"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET detail = '[300.0, 1.0, 1]' WHERE kind = 'reserve'",
        "DELETE FROM entries WHERE sequence = 2",
        "DELETE FROM entries WHERE sequence = 3",
        "UPDATE entries SET payload = x'00' WHERE kind = 'release'",
    ],
)
def test_tampering_is_told_with_exit_code_1(tmp_path: Path, command: str, change: str) -> None:
    path = written(tmp_path)
    with sqlite3.connect(path) as database:
        database.execute(change)
    database.close()
    told = ask(command, path)
    assert told.exit_code == 1
    assert "LEDGER_CORRUPT" in told.stderr
    assert not told.stdout


@pytest.mark.parametrize("command", ["show", "verify"])
def test_another_key_is_told_with_exit_code_1(tmp_path: Path, command: str) -> None:
    path = written(tmp_path)
    (tmp_path / "key").write_bytes(b"x" * 32)
    told = ask(command, path)
    assert told.exit_code == 1
    assert "LEDGER_CORRUPT" in told.stderr


def no_ledger(folder: Path) -> None:
    (folder / "ledger.db").unlink()


def no_key(folder: Path) -> None:
    (folder / "key").unlink()


def short_key(folder: Path) -> None:
    (folder / "key").write_bytes(b"short")


def a_folder(folder: Path) -> None:
    no_ledger(folder)
    (folder / "ledger.db").mkdir()


def empty(folder: Path) -> None:
    (folder / "ledger.db").write_bytes(b"")


def text(folder: Path) -> None:
    (folder / "ledger.db").write_text("not a database " * 500, "utf-8")


def other(folder: Path) -> None:
    no_ledger(folder)
    with sqlite3.connect(folder / "ledger.db") as database:
        database.execute("CREATE TABLE shopping (item TEXT)")
    database.close()


@pytest.mark.parametrize("command", ["show", "verify"])
@pytest.mark.parametrize(
    ("spoil", "code", "reason"),
    [
        (no_ledger, 2, "CONFIG_INVALID"),
        (no_key, 2, "CONFIG_INVALID"),
        (short_key, 2, "CONFIG_INVALID"),
        (a_folder, 2, "CONFIG_INVALID"),
        (empty, 1, "LEDGER_CORRUPT"),
        (text, 1, "LEDGER_CORRUPT"),
        (other, 1, "LEDGER_CORRUPT"),
    ],
)
def test_a_wrong_file_is_a_clear_error_and_becomes_no_ledger(
    tmp_path: Path, command: str, spoil: Callable[[Path], None], code: int, reason: str
) -> None:
    path = written(tmp_path)
    (tmp_path / "ledger.db.head").unlink()
    spoil(tmp_path)
    before = contents(tmp_path)
    told = ask(command, path)
    assert told.exit_code == code, told.output
    assert f"{reason}: " in told.stderr
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes | None]:
    return {p.name: p.read_bytes() if p.is_file() else None for p in folder.iterdir()}


def test_a_ledger_in_use_by_the_agent_is_read_and_left_alone(tmp_path: Path) -> None:
    path = written(tmp_path)
    with Ledger(path, KEY, Budget(float("inf"), 1e-4)) as ledger:
        ledger.accept("r2", plan())  # still in the write-ahead log
        names = sorted(p.name for p in tmp_path.iterdir())
        told = [ask(command, path) for command in ("show", "verify")]
        assert [t.exit_code for t in told] == [0, 0], told[0].stderr
        assert len(json.loads(told[0].stdout)["entries"]) == 4
        assert sorted(p.name for p in tmp_path.iterdir()) == names
        ledger.reserve("r2", 1, "digest", plan().rounds[0].event)
    assert json.loads(ask("verify", path).stdout)["verified"] == 5


@pytest.mark.parametrize("delta", ["0", "1", "-1", "nan"])
def test_an_impossible_delta_is_wrong_use(tmp_path: Path, delta: str) -> None:
    assert ask("show", written(tmp_path), "--delta", delta).exit_code == 2


def test_every_command_has_help() -> None:
    for command in commands(main, []):
        told = CliRunner().invoke(main, [*command, "--help"])
        assert told.exit_code == 0
        assert len(told.stdout.splitlines()) > 3


def commands(group: Any, path: list[str]) -> list[list[str]]:
    found = [path]
    for name, command in getattr(group, "commands", {}).items():
        assert isinstance(command, click.Command)
        assert command.help, name
        found += commands(command, [*path, name])
    return found
