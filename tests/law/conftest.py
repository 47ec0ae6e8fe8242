"""A site of a dozen people who agreed to everything, for every article of law."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small_reception import Site

PEOPLE = range(12)
MEMORY = Path("/dev/shm")  # noqa: S108 - where a disk in memory is on Linux


@pytest.fixture
def folder() -> Iterator[Path]:
    """As ``tmp_path``, but a flush costs nothing."""
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as made:
        yield Path(made)


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    """Anybody may be searched for at once; tests that are about four eyes say so."""
    (folder / "site").mkdir()
    with Site(folder / "site") as made:
        made.open_for(PEOPLE, "verify", "identify", "training")
        yield made
