"""A paper centre, a wire to it, and a home for one site."""

from pathlib import Path

import pytest

from client.centre import contact
from client.home import SiteHome
from tests.paper_wire import Wire
from tests.small_federation import PaperCentre


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
