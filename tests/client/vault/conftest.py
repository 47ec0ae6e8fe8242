"""Vaults of tests lie in memory where there is such a folder: they are flushed a thousand times."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")  # noqa: S108 - where a disk in memory is on Linux


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """As ``tmp_path``, but a flush costs nothing."""
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def quick_module_path() -> Iterator[Path]:
    """The same for all tests of a module."""
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)
