"""A log of six rows, and a copy of it to be attacked."""

import shutil
from pathlib import Path

import pytest

from tests.small_audit import filled
from tests.small_tampering import ROWS


@pytest.fixture
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
