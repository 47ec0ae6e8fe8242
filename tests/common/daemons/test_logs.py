"""Logs of daemons are clean and stay below their size, whatever is said."""

import stat
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from common.daemons.logs import KEPT, LONGEST_LINE, Logs, cleaned, rotate

TOKEN = "e1f66a4bb0a43a4f5ab2c0d3b3fbf1ad"


def test_logs_hold_no_tokens_and_no_control_characters(tmp_path: Path) -> None:
    logs = Logs(tmp_path, lambda: 0.0)
    logs.heard("a", f"\x1b[92mINFO\x1b[0m: token {TOKEN * 2} \x07\x9b31m{'x' * 9999}")
    text = (tmp_path / "a.log").read_text("utf-8")
    assert TOKEN not in text
    assert text.startswith("1970-01-01 00:00:00 INFO: token e1f66a4b... ")
    assert len(text) < 700
    assert text.rstrip("\n").isprintable()
    assert stat.S_IMODE((tmp_path / "a.log").stat().st_mode) == 0o600


def test_logs_stay_bounded_whatever_is_said(tmp_path: Path) -> None:
    logs = Logs(tmp_path, largest=2000)
    for _ in range(200):
        logs.heard("a", "words of the centre " * 10)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == KEPT + 1
    assert max(sizes) <= 2000


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(tmp_path: Path) -> None:
    Logs(tmp_path / "gone").heard("a", "x")
    assert not (tmp_path / "gone").exists()


@given(st.text())
def test_a_cleaned_line_is_one_short_printable_line(text: str) -> None:
    line = cleaned(text)
    assert len(line) <= LONGEST_LINE
    assert not {c for c in line if ord(c) < 32 or 127 <= ord(c) < 160}


def test_a_log_is_kept_to_a_size_while_it_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("ab", buffering=0) as log:
        for number in range(2 * KEPT):
            log.write(b"%d" % number * 100)
            rotate(path, largest=1000)
            assert path.stat().st_size == 100
            log.write(b"x" * 1000)
            rotate(path, largest=1000)
    assert path.stat().st_size == 0
    older = sorted(p.name for p in tmp_path.iterdir() if p != path)
    assert older == [f"a.log.{n}" for n in range(1, KEPT + 1)]
    assert (tmp_path / "a.log.1").read_bytes().startswith(b"5")
    assert (tmp_path / "a.log.1").stat().st_mode & 0o777 == 0o600
    rotate(tmp_path / "none")
