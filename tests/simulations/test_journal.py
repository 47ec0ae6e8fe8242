"""The journal of a sweep loses at most the line a crash cut off, and tells of any other damage."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RunError
from simulations.journal import Journal, opened, read_lines


def line(number: int) -> dict[str, object]:
    return {"schema": 1, "key": f"k{number}", "status": "done", "point": {"sites": number}}


def written(path: Path, count: int) -> bytes:
    path.unlink(missing_ok=True)
    with opened(path) as journal:
        for number in range(count):
            journal.append(line(number))
    return path.read_bytes()


def reopened(path: Path) -> Journal:
    with opened(path) as journal:
        return journal


def test_a_folder_without_a_journal_begins_an_empty_one(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "sweep.jsonl") == []
    assert reopened(tmp_path / "new" / "sweep.jsonl").lines == []


def test_every_line_is_on_the_disk_when_append_returns(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    with opened(path) as journal:
        for number in range(3):
            journal.append(line(number))
            assert len(read_lines(path)) == number + 1


@given(cut=st.integers(0, 400))
def test_wherever_a_crash_cuts_whole_lines_stay_and_the_rest_goes(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "sweep.jsonl"
    content = written(path, 4)
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    journal = reopened(path)
    assert journal.lines == [line(number) for number in range(whole)]
    assert journal.repaired == (not content[:cut].endswith(b"\n") and cut > 0)
    with opened(path) as journal:
        for number in range(whole, 4):
            journal.append(line(number))
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "broken",
    [
        b'{"schema": 1, "key": "k1", "sta\n',
        b"\x00\x00\x00\n",
        b"\n",
        b"[]\n",
        b'{"schema": 2, "key": "k1", "status": "done"}\n',
        b'{"schema": 1, "status": "done"}\n',
        b'{"schema": 1, "key": "k1", "status": "lost"}\n',
    ],
)
def test_a_broken_line_in_the_middle_is_named_by_its_number(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "sweep.jsonl"
    first, _, last = written(path, 3).splitlines(keepends=True)
    damaged = first + broken + last
    path.write_bytes(damaged)
    for read in (read_lines, reopened):
        with pytest.raises(RunError, match="line 2 is broken"):
            read(path)
    assert path.read_bytes() == damaged
    path.write_bytes(first + broken)  # at the end it is what a crash leaves
    assert reopened(path).repaired
    assert path.read_bytes() == first


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious", "utf-8")
    with pytest.raises(RunError, match="cannot write"):
        reopened(tmp_path / "file" / "sweep.jsonl")


def test_numbers_that_json_does_not_have_never_reach_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    with opened(path) as journal, pytest.raises(ValueError, match="JSON"):
        journal.append(line(0) | {"gain": float("nan")})
    assert json.dumps(read_lines(path)) == "[]"
