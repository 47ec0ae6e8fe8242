"""Cameras come through a port: whose certificate is pinned, and nobody else, token or not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from client.commands.caller import Wanted, add_caller, list_callers, remove_caller
from client.door.callers import CallerBook
from client.door.main import serve
from client.door.proofs import by_certificate
from client.door.thresholds import Band
from client.home import PRIVATE, SiteHome, make_folder
from client.recognition import Recognition
from client.serving.listening import Door
from client.serving.tls import Tls, make_end
from common.errors import CallerError, ConfigError, DeploymentError, MascaronError
from tests.small_reception import Site, picture
from tests.small_vault import person


@dataclass
class Port:
    """A door's port, and the home its callers are written down in."""

    home: SiteHome
    folder: Path
    address: str

    def end(self, name: str) -> Tls:
        """A camera's own end, with the door's certificate copied to it."""
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir()
            make_end(folder, name)
        door = self.folder / "door" / "door.crt"
        return Tls(key=folder / f"{name}.key", certificate=folder / f"{name}.crt", peer=door)

    def take_in(self, name: str, may: str = "verify") -> str:
        certificate = self.end(name).certificate
        wanted = Wanted(name=name, may=may, hourly=10, daily=10, certificate=certificate)
        return str(add_caller(self.home, wanted, lambda size: name.encode().ljust(size))["token"])

    def verify(self, tls: Tls, token: str = "") -> Band:
        with Recognition(tls.channel(self.address), token) as door:
            return door.verify(person(1), picture(1, 8))


@pytest.fixture
def port(quick_path: Path) -> Iterator[Port]:
    home = SiteHome(quick_path / "home")
    for folder in (home.folder, home.agent, home.callers_certificates, quick_path / "door"):
        make_folder(folder, PRIVATE)
    home.settings.write_text("[site]\n", "utf-8")
    make_end(quick_path / "door", "door")
    own = quick_path / "door" / "door.key", quick_path / "door" / "door.crt"
    tls = Tls(key=own[0], certificate=own[1], peer=home.callers_certificates)
    with Site(quick_path) as site:
        site.open_for(range(1, 13))
        door, proof = Door(tls=tls, abroad=True), by_certificate(CallerBook(home.callers))
        with serve(site.reception, "127.0.0.1:0", door, proof) as running:
            yield Port(home, quick_path, running.address)


def reason(call: Callable[[], Any]) -> str:
    with pytest.raises(MascaronError) as caught:
        call()
    return caught.value.reason


def test_a_camera_that_was_taken_in_is_answered_as_long_as_it_is_known(port: Port) -> None:
    camera = port.end("gate")
    assert reason(lambda: port.verify(camera)) == DeploymentError.reason
    port.take_in("gate")
    assert list_callers(port.home)["callers"][0]["certificate"]
    assert port.verify(camera) is Band.MATCH
    remove_caller(port.home, "gate")
    assert reason(lambda: port.verify(camera)) in (CallerError.reason, DeploymentError.reason)
    assert not list(port.home.callers_certificates.iterdir())


def test_a_stolen_token_opens_nothing_in_the_network(port: Port) -> None:
    port.take_in("gate")
    token = port.take_in("desk", "verify,identify,operate")
    thief = port.end("thief")
    assert reason(lambda: port.verify(thief, token)) == DeploymentError.reason
    with Recognition(port.end("gate").channel(port.address), token) as door:
        assert reason(door.status) == "ROLE_REFUSED"  # a gate is a gate, whatever it says


def test_the_doors_own_certificate_is_no_callers(port: Port) -> None:
    door = port.folder / "door"
    own = Tls(key=door / "door.key", certificate=door / "door.crt", peer=door / "door.crt")
    assert reason(lambda: port.verify(own)) == CallerError.reason


def test_a_camera_does_not_talk_to_another_door(port: Port) -> None:
    port.take_in("gate")
    other = port.end("other").certificate
    fooled = Tls(key=port.end("gate").key, certificate=port.end("gate").certificate, peer=other)
    assert reason(lambda: port.verify(fooled)) == DeploymentError.reason


def test_a_port_beyond_this_machine_is_for_a_door_that_leads_abroad(port: Port) -> None:
    for address, abroad in (("0.0.0.0:0", False), ("example:http", True), (":0", True)):
        with pytest.raises(ConfigError):
            serve(None, address, Door(tls=port.end("x"), abroad=abroad), None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="mutual TLS"):
        serve(None, "127.0.0.1:0", Door(abroad=True), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Wanted(name="Anna", may="verify", hourly=1, daily=1), "caller's name"),
        (Wanted(name="gate", may="everything", hourly=1, daily=1), "--may takes"),
        (Wanted(name="gate", may="verify", hourly=-1, daily=1), "budget"),
        (
            Wanted(name="gate", may="verify", hourly=1, daily=1, certificate=Path("/none")),
            "there is no /none",
        ),
    ],
)
def test_a_caller_that_cannot_be_meant_is_not_taken_in(
    port: Port, wanted: Wanted, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        add_caller(port.home, wanted, lambda size: bytes(size))
    assert list_callers(port.home) == {"callers": []}
