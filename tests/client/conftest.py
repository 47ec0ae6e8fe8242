"""A paper centre, a wire to it, a home for one site, and folders in memory for what is flushed a
thousand times."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.centre import contact
from client.home import SiteHome
from tests.paper_wire import Wire
from tests.small_federation import PaperCentre

MEMORY = Path("/dev/shm")  # noqa: S108 - where a disk in memory is on Linux


@pytest.fixture
def centre(tmp_path: Path) -> PaperCentre:
    return PaperCentre(tmp_path / "centre")


@pytest.fixture
def wire(centre: PaperCentre, monkeypatch: pytest.MonkeyPatch) -> Wire:
    made = Wire(centre)
    monkeypatch.setattr(contact, "_exchange", made.exchange)
    return made


@pytest.fixture
def home(tmp_path: Path) -> SiteHome:
    return SiteHome(tmp_path / "site")


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
