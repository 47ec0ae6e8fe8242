"""Who may call is known by a token or a certificate, and by nothing that the file holds."""

import json
import os
from pathlib import Path

import pytest

from client.door import callers
from client.door.callers import Caller, CallerBook, Role
from common.errors import CallerError, ConfigError

GATE = Caller(name="gate-1", roles=frozenset({Role.VERIFY}), hourly=60, daily=600)
DESK = Caller(name="desk", roles=frozenset({Role.ENROL, Role.ERASE}))
PRINT = "5e" * 32


@pytest.fixture
def book(tmp_path: Path) -> CallerBook:
    return CallerBook(tmp_path / "callers.json")


def test_a_token_names_its_caller_and_is_nowhere_in_the_file(
    book: CallerBook, tmp_path: Path
) -> None:
    tokens = [book.add(one, os.urandom) for one in (GATE, DESK)]
    assert [book.of_token(token) for token in tokens] == [GATE, DESK]
    assert CallerBook(tmp_path / "callers.json").of_token(tokens[1]) == DESK
    assert book.callers() == (DESK, GATE)
    content = (tmp_path / "callers.json").read_text()
    assert not any(token in content for token in tokens)
    assert (tmp_path / "callers.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("token", ["", "gate-1", "x" * 43, "\udcff", "ü" * 1000])
def test_any_other_token_is_nobodys(book: CallerBook, token: str) -> None:
    mine = book.add(GATE, os.urandom)
    for wrong in (token, mine[:-1], mine + "A", mine.swapcase()):
        with pytest.raises(CallerError) as refused:
            book.of_token(wrong)
        assert refused.value.reason == "CALLER_UNKNOWN"
        assert not wrong or wrong not in str(refused.value)


def test_a_digest_read_from_the_file_opens_nothing(book: CallerBook, tmp_path: Path) -> None:
    book.add(GATE, os.urandom)
    kept = json.loads((tmp_path / "callers.json").read_text())["callers"]["gate-1"]["token"]
    for shown in (kept, kept.upper()):
        with pytest.raises(CallerError):
            book.of_token(shown)
        with pytest.raises(CallerError):
            book.of_certificate(shown)


def test_a_caller_without_a_certificate_is_not_found_by_an_empty_one(book: CallerBook) -> None:
    book.add(GATE, os.urandom)
    with pytest.raises(CallerError):
        book.of_certificate("")


def test_every_digest_is_compared_wherever_the_right_one_stands(
    book: CallerBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = [
        book.add(Caller(name=f"c{n}", roles=frozenset({Role.VERIFY})), os.urandom) for n in range(5)
    ]
    compared: list[bytes] = []

    def counting(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return bool(one == other)

    monkeypatch.setattr(callers, "hmac", type("H", (), {"compare_digest": counting}))
    for token in (*tokens, "nobody"):
        compared.clear()
        try:
            book.of_token(token)
        except CallerError:
            assert token == "nobody"
        assert len(compared) == 5


def test_a_change_by_another_process_counts_from_the_next_call(
    book: CallerBook, tmp_path: Path
) -> None:
    other = CallerBook(tmp_path / "callers.json")
    token = other.add(GATE, os.urandom)
    assert book.of_token(token) == GATE
    other.remove("gate-1")
    with pytest.raises(CallerError):
        book.of_token(token)
    again = other.add(GATE, os.urandom)
    assert book.of_token(again) == GATE
    with pytest.raises(CallerError):
        book.of_token(token)


def test_a_certificate_stands_for_the_same_caller(book: CallerBook) -> None:
    token = book.add(GATE, os.urandom)
    book.add(DESK, os.urandom)
    book.pin("gate-1", PRINT.upper())
    assert book.of_certificate(PRINT) == book.of_token(token) == GATE
    with pytest.raises(CallerError, match="another caller"):
        book.pin("desk", PRINT)
    with pytest.raises(CallerError):
        book.pin("nobody", "00" * 32)
    with pytest.raises(ConfigError):
        book.pin("desk", "not a fingerprint")
    book.remove("gate-1")
    with pytest.raises(CallerError):
        book.of_certificate(PRINT)


def test_a_name_is_taken_once_and_removed_once(book: CallerBook) -> None:
    book.add(GATE, os.urandom)
    with pytest.raises(CallerError):
        book.add(GATE, os.urandom)
    book.remove("gate-1")
    with pytest.raises(CallerError):
        book.remove("gate-1")
    assert book.callers() == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Ada Lovelace"},
        {"name": ""},
        {"name": "x" * 64},
        {"roles": {"everything"}},
        {"hourly": -1},
        {"hourly": True},
        {"daily": 10**9},
        {"daily": 1.5},
    ],
)
def test_a_caller_is_a_name_roles_and_budgets(wrong: dict[str, object]) -> None:
    given = {"name": "gate", "roles": frozenset({Role.VERIFY}), "hourly": 1, "daily": 1} | wrong
    with pytest.raises(ConfigError):
        Caller(**given)  # type: ignore[arg-type]


def test_a_file_that_others_read_or_that_is_broken_lets_nobody_in(
    book: CallerBook, tmp_path: Path
) -> None:
    path = tmp_path / "callers.json"
    token = book.add(GATE, os.urandom)
    good = path.read_text()
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        book.of_token(token)
    path.chmod(0o600)
    assert book.of_token(token) == GATE
    for bad in (
        "",
        "[]",
        "{}",
        '{"schema": 2, "callers": {}}',
        good.replace('"verify"', '"all"'),
        good.replace('"hourly"', '"sometimes"'),
        good.replace('"token": "', '"token": "0'),
        "[" * 100_000,
    ):
        path.write_text(bad)
        with pytest.raises(ConfigError, match="no list of callers"):
            book.of_token(token)
