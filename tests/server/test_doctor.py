"""Every check of the doctor finds the fault it is there for, and nothing where nothing is wrong."""

import dataclasses
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.trust.keys import SigningKey
from common.trust.roster import Roster, SiteEntry
from common.wire import PROTOCOL
from server.admission.authority import SERVER_DAYS
from server.admission.founding import found
from server.admission.roster import RosterBook
from server.cli import main
from server.commands.doctor import doctor_command, is_free, this_machine
from server.doctor import DAY, Finding, Machine, examine
from server.home import CentreConfig, CentreHome

NOW = 1_800_000_000.0
CONFIG = CentreConfig(name="doors", host="fl.example", port=8443)
MACHINE = Machine(
    now=NOW,
    well=lambda port, host: True,
    spoken=lambda port, host: PROTOCOL,
    free=lambda host, port: True,
    space=lambda folder: 2**40,
    flwr="1.41.0",
    superlink=18000,
)


@pytest.fixture
def home(tmp_path: Path) -> CentreHome:
    """A finished centre with one site that answered a run just now."""
    made = CentreHome(tmp_path / "home")
    found(made, CONFIG, (), NOW)
    key = SigningKey.generate()
    entry = SiteEntry(
        name="gate", identity=key.public.text, node="node", camera_type="door", people=10
    )
    book = RosterBook(made)
    book.write(book.read().with_site(entry))
    (made.heads / "gate.json").write_text("{}", "utf-8")
    for path in made.folder.rglob("*"):
        os.utime(path, (NOW - 5, NOW - 5))
    return made


def faults(home: CentreHome, **changes: Any) -> list[Finding]:
    machine = dataclasses.replace(MACHINE, **changes)
    return [finding for finding in examine(home, machine) if finding.state != "well"]


def test_a_centre_that_is_well_has_no_faults(home: CentreHome) -> None:
    findings = examine(home, MACHINE)
    assert [finding for finding in findings if finding.state != "well"] == []
    assert {finding.check for finding in findings} == {
        *("centre", "keys", "certificate", "host", "clock"),
        *("disk", "flower", "superlink", "gateway", "protocol", "roster"),
    }


@pytest.mark.parametrize(
    ("changes", "check", "state", "told", "remedy"),
    [
        ({"now": NOW + (SERVER_DAYS + 1) * DAY}, "certificate", "wrong", "expired on", "renew"),
        ({"now": NOW + 0.8 * SERVER_DAYS * DAY}, "certificate", "doubtful", "expires on", "renew"),
        ({"now": NOW + 3651 * DAY}, "authority", "wrong", "CA has expired", "new federation"),
        ({"now": NOW + 3300 * DAY}, "authority", "doubtful", "CA itself expires", "new federation"),
        ({"now": NOW - 7200}, "clock", "wrong", "120 minutes behind", "NTP"),
        ({"space": lambda folder: 10**6}, "disk", "wrong", "may not fit", "free some"),
        ({"space": lambda folder: 10**9}, "disk", "doubtful", "MiB are free", "free some"),
        ({"flwr": ""}, "flower", "wrong", "not installed", "pip install"),
        ({"flwr": "1.42.0"}, "flower", "wrong", "flwr is 1.42.0", "pip install"),
        ({"flwr": "1.4.1"}, "flower", "wrong", "flwr is 1.4.1", "pip install"),
        ({"superlink": None}, "serve", "doubtful", "does not serve", "mascaron-admin serve"),
        (
            {"superlink": None, "free": lambda host, port: False},
            *("ports", "wrong", "another program listens on port 8443", "ss -ltnp"),
        ),
        ({"well": lambda port, host: port != 18000}, "superlink", "wrong", "SuperLink", "log"),
        ({"well": lambda port, host: port != 8443}, "gateway", "wrong", "gateway", "log"),
        ({"spoken": lambda port, host: 9}, "protocol", "wrong", "speaks version 9", "serve"),
        ({"spoken": lambda port, host: None}, "protocol", "wrong", "no known version", "serve"),
        ({"now": NOW + 20 * DAY}, "site", "doubtful", "gate last answered a run 20", "revoke"),
    ],
)
def test_a_fault_of_the_machine_is_found(
    home: CentreHome, changes: dict[str, Any], check: str, state: str, told: str, remedy: str
) -> None:
    mine = [finding for finding in faults(home, **changes) if finding.check == check]
    assert [finding.state for finding in mine] == [state]
    assert told in mine[0].told
    assert remedy in mine[0].remedy


def exposed(home: CentreHome) -> None:
    home.centre_key.chmod(0o644)


def entered(home: CentreHome) -> None:
    home.keys.chmod(0o755)


def moved(home: CentreHome) -> None:
    elsewhere = dataclasses.replace(CONFIG, host="elsewhere.example")
    home.settings.write_text(elsewhere.to_toml(), "utf-8")


def forged(home: CentreHome) -> None:
    altered = home.roster.read_text("utf-8").replace("gate", "fate")
    home.roster.write_text(altered, "utf-8")


def mixed(home: CentreHome) -> None:
    other = CentreHome(home.folder.with_name("other"))
    found(other, CONFIG, (), NOW)
    home.server_certificate.write_bytes(other.server_certificate.read_bytes())


def unseen(home: CentreHome) -> None:
    (home.heads / "gate.json").unlink()


def garbled(home: CentreHome) -> None:
    home.settings.write_text("port = 0", "utf-8")


@pytest.mark.parametrize(
    ("harm", "check", "told"),
    [
        (exposed, "keys", "others may read"),
        (entered, "keys", "others may read"),
        (moved, "host", "sites dial elsewhere.example, and the certificate names"),
        (forged, "roster", "signature of the roster"),
        (mixed, "certificate", "not of this CA, or not of"),
        (unseen, "site", "gate has never answered"),
        (garbled, "centre", "centre.toml"),
    ],
)
def test_a_fault_in_the_home_is_found(
    home: CentreHome, harm: Callable[[CentreHome], None], check: str, told: str
) -> None:
    harm(home)
    mine = [finding for finding in faults(home) if finding.check == check]
    assert any(told in finding.told for finding in mine), mine
    assert all(finding.remedy for finding in faults(home))


def test_a_folder_that_is_no_centre_is_told_without_a_traceback(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["doctor", "--home", str(tmp_path / "nothing")])
    assert told.exit_code == 1, told.output
    answer = json.loads(told.stdout)
    assert answer["wrong"] == 1
    assert "mascaron-admin init" in told.stderr


def test_a_revoked_site_need_not_answer(home: CentreHome) -> None:
    book = RosterBook(home)
    entry = book.read().site("gate")
    assert entry is not None
    book.write(book.read().with_site(dataclasses.replace(entry, state="revoked", reason="left")))
    os.utime(home.roster, (NOW - 5, NOW - 5))
    unseen(home)
    assert faults(home) == []


def test_the_doctor_asks_this_machine(home: CentreHome) -> None:
    machine = this_machine(home, NOW)
    assert machine.flwr.startswith("1.41.")
    assert machine.superlink is None
    assert machine.space(home.folder / "not" / "there") > 0
    answer = doctor_command(home, dataclasses.replace(machine, free=lambda host, port: True))
    assert answer["doubtful"] == 1
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        assert not machine.well(port + 1 if port < 65535 else port - 1, "127.0.0.1")
    assert is_free("127.0.0.1", 0)


def test_an_empty_roster_is_well(tmp_path: Path) -> None:
    made = CentreHome(tmp_path / "home")
    found(made, CONFIG, (), NOW)
    assert RosterBook(made).read() == Roster(federation=RosterBook(made).federation)
    assert all(finding.check != "site" for finding in examine(made, MACHINE))
