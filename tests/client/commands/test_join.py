"""Joining waits for admission, says what it waits for, and starts one courier a home."""

import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from client.cli import main
from client.commands import join as room
from client.commands.join import Surroundings, join_command
from client.courier.standing import STOPPED, Standing
from client.courier.supernode import make_node_key
from client.home import SiteHome
from client.launcher import COMMANDS, bundle_hash, read_allowed
from common.errors import AdmissionError, BusyError, DeploymentError, SignatureError

pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatch:DeprecationWarning")  # flwr's own

SETTINGS = """[site]
name = "north-gate"
centre = "fl.example:8443"
camera_type = "door"
people = 240
trunk = "t"
faces = "f"
public = "p"
"""


@dataclass(frozen=True)
class Told:
    """An admission as the centre tells it."""

    state: str
    reason: str = ""
    node_known: bool = True


class World:
    """A home about to join, a centre that answers in turn, and what the operator read."""

    def __init__(self, home: SiteHome) -> None:
        self.home = home
        self.answers: list[Told | Exception] = [Told("admitted")]
        self.said: list[str] = []
        self.started = 0
        self.days = 0  # that the courier runs for
        self.naps: list[Callable[[], object]] = []  # what happens while it waits

    def sleep(self, seconds: float) -> None:
        if self.naps:
            self.naps.pop(0)()

    def fetch(self, home: SiteHome) -> Told:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def join(self, *answers: Told | Exception) -> dict[str, Any]:
        self.answers = list(answers)
        around = Surroundings(fetch=self.fetch, say=self.said.append, sleep=self.sleep)
        return join_command(self.home, None, around)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    home = SiteHome(tmp_path / "site")
    home.prepare()
    home.settings.write_text(SETTINGS, "utf-8")
    home.identity_key.write_text("not read here", "utf-8")
    home.ca.write_text("not read here", "utf-8")
    make_node_key(home)
    world = World(home)

    class Supervisor:
        restarts = 0

        def __init__(self, make: Callable[[], Any], care: Any) -> None:
            self.daemons, self.chores = make(), care.chores

        def run(self) -> str:
            world.started += 1
            for chore in self.chores * world.days:
                assert chore.every == 86400.0
                chore.do(self)
            return "SIGTERM"

    monkeypatch.setattr(room, "Supervisor", Supervisor)
    monkeypatch.setattr(room, "confine", lambda: None)
    umask = os.umask(0o022)
    yield world
    os.umask(umask)


def test_an_admitted_site_starts_its_courier_and_tells_how_it_ended(world: World) -> None:
    result = world.join(Told("admitted"))
    assert result == {"site": "north-gate", "stopped": "SIGTERM", "restarts": 0}
    assert read_allowed(world.home.fabs) == {bundle_hash()}
    assert {path.name for path in world.home.bin.iterdir()} == set(COMMANDS)
    standing = Standing.load(world.home.standing)
    assert standing is not None
    assert standing.state == STOPPED


def test_it_waits_until_the_administrator_admits_and_says_so_once(world: World) -> None:
    world.join(*[Told("waiting")] * 3, Told("admitted"))
    assert world.said[:2] == ["waiting for the administrator to admit this site", "admitted"]


def test_a_centre_that_cannot_be_reached_is_asked_again(world: World) -> None:
    world.join(DeploymentError("no route"), DeploymentError("no route"), Told("admitted"))
    assert world.said[:2] == ["the centre cannot be asked: no route", "admitted"]


def test_a_site_admitted_before_starts_without_the_centre(world: World) -> None:
    world.home.certificate.write_text("certificate", "utf-8")
    world.join(DeploymentError("no route"))
    assert "it admitted this site before" in world.said[0]
    assert world.started == 1


@pytest.mark.parametrize("answer", [Told("revoked", "key lost"), Told("admitted", "", False)])
def test_a_site_that_is_out_starts_nothing(world: World, answer: Told) -> None:
    with pytest.raises(AdmissionError):
        world.join(answer)
    assert world.started == 0
    assert not list(world.home.bin.iterdir())


def test_without_a_node_key_the_remedy_is_told(world: World) -> None:
    world.home.node_key.unlink()
    with pytest.raises(DeploymentError, match="mascaron-site init"):
        world.join(Told("admitted"))


def test_a_second_courier_of_a_home_is_refused(world: World) -> None:
    with (world.home.courier / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="a courier of this home is at work already"):
            world.join(Told("admitted"))
    assert world.started == 0


def test_every_day_the_centre_is_asked_again_and_a_failure_is_told(world: World) -> None:
    world.days = 3
    answers = (DeploymentError("no route"), SignatureError("not the centre"), Told("admitted"))
    world.join(Told("admitted"), *answers)
    assert world.answers == []
    told = [line for line in world.said if "no route" in line or "SIGNATURE_INVALID" in line]
    assert len(told) == 2


@pytest.mark.parametrize("answer", [Told("revoked", "left"), Told("admitted", "", False)])
def test_a_site_that_is_out_one_day_stops_its_courier(world: World, answer: Told) -> None:
    world.days = 2
    with pytest.raises(AdmissionError):
        world.join(Told("admitted"), Told("admitted"), answer)
    standing = Standing.load(world.home.standing)
    assert standing is not None
    assert standing.state == STOPPED


def test_who_may_not_read_the_identity_takes_the_admission_from_trust(world: World) -> None:
    world.home.identity_key.unlink()
    world.naps = [lambda: None, lambda: world.home.roster.write_text("roster", "utf-8")]
    world.days = 1
    world.join()
    assert world.started == 1
    assert world.naps == []
    assert any("its user renews the certificate" in line for line in world.said)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_can_prepare_a_courier_that_something_else_starts(world: World) -> None:
    told = CliRunner().invoke(
        main, ["join", "--prepare", "--courier-user", "61002", "--home", str(world.home.folder)]
    )
    assert told.exit_code == 0, told.output
    assert read_allowed(world.home.fabs) == {bundle_hash()}
    owners = {p.stat().st_uid for p in (world.home.courier, *world.home.courier.rglob("*"))}
    assert owners == {61002}
    assert world.home.trust.stat().st_uid == 0
    assert world.started == 0


def test_a_user_that_is_not_here_is_named_before_anything_is_done(world: World) -> None:
    around = Surroundings(fetch=world.fetch, say=world.said.append)
    with pytest.raises(DeploymentError, match="no user 'nobody-at-all'"):
        join_command(world.home, "nobody-at-all", around)
    with pytest.raises(DeploymentError, match="must not be root"):
        join_command(world.home, "root", around)


def test_the_command_refuses_a_home_without_settings(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["join", "--home", str(tmp_path)])
    assert done.exit_code == 2
    assert "CONFIG_INVALID" in done.output
