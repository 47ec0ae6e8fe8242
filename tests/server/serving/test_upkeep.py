"""Once a day the roster is followed and the certificate renewed, without a restart by hand."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import DeploymentError
from common.locks import locked
from server.runs.progress import LOCK
from server.serving import superlink, upkeep
from server.serving.superlink import follow_nodes
from server.serving.upkeep import Upkeep
from tests.small_federation import DAY, NOW, PaperCentre, PaperSite


class Days:
    """A centre that runs for days: what its SuperLink knows, what started again, what was said."""

    def __init__(self, folder: Path) -> None:
        self.centre = PaperCentre(folder)
        self.home = self.centre.home
        self.home.prepare()
        self.known: set[str] = set()
        self.renewed: list[str] = []
        self.said: list[str] = []
        self.broken = False
        self.upkeep = Upkeep(home=self.home, port=1, now=self.centre.clock, say=self.said.append)

    def renew(self, name: str) -> None:
        self.renewed.append(name)

    def later(self, days: float) -> None:
        self.centre.clock.now += days * DAY
        self.upkeep(self)  # type: ignore[arg-type]

    def control(self, home: Any, port: int) -> "Days":
        if self.broken:
            raise DeploymentError("the SuperLink did not answer")
        return self

    def __enter__(self) -> "Days":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def nodes(self) -> list[Any]:
        return [superlink_node(key) for key in self.known]

    def register(self, key: str) -> None:
        self.known.add(key)

    def unregister(self, key: str) -> None:
        self.known.remove(key)


def superlink_node(key: str) -> Any:
    from server.serving.control import Node

    return Node(id=1, key=key, status="online")


@pytest.fixture
def days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Days:
    days = Days(tmp_path / "centre")
    monkeypatch.setattr(superlink, "Control", days.control)
    return days


def test_who_is_revoked_or_lets_the_certificate_expire_is_shut_out_in_a_day(days: Days) -> None:
    north, south, west = (days.centre.welcome(PaperSite(n)) for n in ("north", "south", "west"))
    days.later(0)
    assert days.known == {north.node, south.node, west.node}
    days.centre.members.revoke("south", "left", NOW)  # whose node the SuperLink was not told of
    days.later(1)
    assert days.known == {north.node, west.node}
    days.centre.clock.now += 60 * DAY
    days.centre.members.renew(north.key.public, days.centre.clock.now)
    days.later(60)
    assert days.known == {north.node}
    assert days.said == [] and days.renewed == []


def test_a_stranger_in_the_superlink_is_shut_out(days: Days) -> None:
    stranger = PaperSite("stranger").node
    days.known.add(stranger)
    follow_nodes(days.home, 1)
    assert days.known == set()


def test_a_renewed_certificate_reaches_the_superlink_once(days: Days) -> None:
    days.later(300)
    assert days.renewed == ["superlink"]
    days.later(1)
    assert days.renewed == ["superlink"]


def test_a_superlink_in_the_middle_of_a_run_waits_with_its_certificate(days: Days) -> None:
    folder = days.home.run("r1")
    folder.mkdir()
    with locked(folder / LOCK, "r1"):
        days.later(300)
        assert days.renewed == []
    days.later(1)
    assert days.renewed == ["superlink"]


def test_what_fails_is_said_and_stops_nothing(days: Days) -> None:
    days.broken = True
    days.later(300)
    assert days.said[0] == "DEPLOYMENT_FAILED: the SuperLink did not answer"
    assert days.renewed == ["superlink"]
    assert upkeep.DAY == DAY
