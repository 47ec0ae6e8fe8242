"""The doctor at the agent's port: every wrong file and every wrong answer has its remedy."""

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from client.doctor.agent import check_agent, check_door
from client.doctor.findings import Finding, Machine
from client.ends import make_ends
from client.home import SiteHome
from client.serving.tls import DAYS, make_end

NOW = 1.8e9
SETTINGS = """[site]
name = "north-gate"
centre = "127.0.0.1:1"
camera_type = "door"
people = 240
trunk = "t"
faces = "faces"
public = "p"
agent = "127.0.0.1:PORT"
"""
MACHINE = Machine(now=lambda: NOW, space=lambda _: 2**40, ask_agent=lambda *_: "")
Ill = Callable[[SiteHome], object]


@pytest.fixture
def home(tmp_path: Path) -> SiteHome:
    """A site with a port, both of whose ends are as they must be."""
    home = SiteHome(tmp_path)
    home.prepare()
    home.settings.write_text(SETTINGS.replace("PORT", "9"), "utf-8")
    make_ends(home, NOW)
    return home


def wrong_ones(home: SiteHome, machine: Machine = MACHINE) -> list[Finding]:
    config = home.config()
    found = [*check_door(home, config, machine), *check_agent(home, config, machine)]
    assert {finding.name for finding in found} >= {"certificate agent.crt", "agent"}
    return [finding for finding in found if not finding.ok]


def unlink(path: str) -> Ill:
    return lambda home: (home.folder / path).unlink()


def other(home: SiteHome) -> None:
    make_end(home.courier_tls, "courier", lambda: NOW)


def test_two_good_ends_are_well(home: SiteHome) -> None:
    assert wrong_ones(home) == []


@pytest.mark.parametrize(
    ("ill", "name", "cause", "remedy"),
    [
        (unlink("trust/agent.crt"), "agent.crt", "there is no", "start the agent again"),
        (unlink("trust/courier.crt"), "courier.crt", "there is no", "mascaron-site join"),
        (unlink("agent/tls/agent.key"), "agent.crt", "there is no", "start the agent again"),
        (unlink("courier/tls/courier.key"), "courier.crt", "there is no", "mascaron-site join"),
        (unlink("courier/tls/courier.crt"), "courier.crt", "is not the certificate in", "join"),
        (other, "courier.crt", "is not the certificate in", "join"),
        (
            lambda home: (home.agent_tls / "agent.key").chmod(0o640),
            *("agent.crt", "others may read", "makes a new key"),
        ),
        (
            lambda home: home.agent_certificate.write_text("x", "utf-8"),
            *("agent.crt", "is not a certificate", "remove it"),
        ),
    ],
)
def test_a_wrong_file_of_an_end_is_named_with_its_remedy(
    home: SiteHome, ill: Ill, name: str, cause: str, remedy: str
) -> None:
    ill(home)
    [finding] = wrong_ones(home)
    assert finding.name == f"certificate {name}"
    assert cause in finding.cause
    assert remedy in finding.remedy


@pytest.mark.parametrize(("days", "told"), [(DAYS - 20, "ends on"), (DAYS + 1, "ended on")])
def test_certificates_that_end_are_told_with_the_day(home: SiteHome, days: int, told: str) -> None:
    later = replace(MACHINE, now=lambda: NOW + days * 86400.0)
    day = datetime.fromtimestamp(NOW + DAYS * 86400.0, UTC).date()
    causes = [finding.cause for finding in wrong_ones(home, later)]
    assert len(causes) == 2
    assert all(f"{told} {day}" in cause for cause in causes)
    make_ends(home, later.now())
    assert wrong_ones(home, later) == []


def test_the_other_sides_key_is_not_looked_at(
    home: SiteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.agent_tls / "agent.key").unlink()
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != home.agent and asked(path, mode))
    assert wrong_ones(home) == []


def test_a_port_where_nothing_listens_and_one_that_another_program_has(home: SiteHome) -> None:
    silent = replace(MACHINE, ask_agent=lambda *_: "UNAVAILABLE")
    with socket.socket() as program:
        program.bind(("127.0.0.1", 0))
        port = program.getsockname()[1]
        home.settings.write_text(SETTINGS.replace("PORT", str(port)), "utf-8")
        [finding] = wrong_ones(home, silent)
        assert "nothing listens at" in finding.cause
        assert "mascaron-site serve" in finding.remedy
        program.listen()
        [finding] = wrong_ones(home, silent)
        assert "does not let this end in" in finding.cause
        assert "ss -ltnp" in finding.remedy
