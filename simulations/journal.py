"""sweep.jsonl: one line for every point that is settled, written so that a crash costs one line.

A line is on the disk before the next point begins. Whatever a crash left half-written at the end
is dropped when the sweep goes on; anything broken before that is damage, and told with its number.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from common.errors import RunError
from simulations.pieces import write_whole

Line = Mapping[str, Any]
JOURNAL = "sweep.jsonl"  # in the folder of a sweep
STATES = ("done", "skipped")


def read_lines(path: Path) -> list[Line]:
    """The settled points in ``path``, without a half-written last line; none if there is no file.

    Raises ``RunError`` naming the line where one before the last is broken.
    """
    return _parsed(path)[0]


@dataclass(eq=False)
class Journal:
    """The lines of a sweep that is being written. Made by ``opened``."""

    lines: list[Line]
    repaired: bool  # a half-written line was dropped
    _file: IO[bytes] = field(repr=False)

    def append(self, line: Line) -> None:
        """Adds ``line``; it is on the disk when this returns."""
        text = json.dumps(line, allow_nan=False, ensure_ascii=False)
        self._file.write(f"{text}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.lines.append(line)


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """The journal at ``path``, repaired and locked against another sweep in the same folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (path.parent / ".lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(f"{path.parent} is being written by another sweep") from None
            lines, whole, broken = _parsed(path)
            if broken:
                write_whole(path, whole)
            with path.open("ab") as file:
                yield Journal(lines, broken, file)
    except OSError as error:
        raise RunError(f"cannot write to {path.parent}: {error.strerror}") from error


def _parsed(path: Path) -> tuple[list[Line], bytes, bool]:
    """Lines, the bytes they take, and whether there is more behind them."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], b"", False
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    lines: list[Line] = []
    at = 0
    for number, raw in enumerate(content.splitlines(keepends=True), 1):
        line = _line(raw)
        if line is None:
            if at + len(raw) < len(content):
                raise RunError(f"{path}, line {number} is broken; remove it to measure it again")
            break
        lines.append(line)
        at += len(raw)
    return lines, content[:at], at < len(content)


def _line(raw: bytes) -> Line | None:
    """None for what no sweep has written whole."""
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not raw.endswith(b"\n") or not isinstance(line, dict):
        return None
    whole = line.get("schema") == 1 and isinstance(line.get("key"), str)
    return line if whole and line.get("status") in STATES else None
