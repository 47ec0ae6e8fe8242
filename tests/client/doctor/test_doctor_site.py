"""The doctor passes a healthy site, and for every illness names the cause and the remedy."""

import dataclasses
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from client.cli import main
from client.commands.doctor import CHECKS, ask_agent, doctor_command
from client.courier.standing import Standing
from client.courier.supernode import make_node_key
from client.doctor import site as doctor
from client.doctor.door import AT_THE_DOOR
from client.doctor.findings import Finding, Machine, examine
from client.home import SiteHome
from client.launcher import bundle_hash
from client.serving.tls import make_end
from common.locks import locked
from common.trust.keys import SigningKey
from common.trust.roster import WHY_REVOKED, Roster, SiteEntry
from tests.small_node import describing_agent

pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatch:DeprecationWarning")  # flwr's own

NOW = 1.0e9
AVX = "flags\t: fpu sse avx avx2\n"
SETTINGS = """[site]
name = "north-gate"
centre = "127.0.0.1:1"
camera_type = "door"
people = 240
trunk = "t"
faces = "faces"
public = "p"
"""
POLICY = "epsilon = 8.0\ndelta = 1e-4\ndeclared_people = 240\n"
NEAR = [check for check in CHECKS[:-1] if check not in AT_THE_DOOR]
Ill = Callable[[SiteHome], object]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[SiteHome]:
    """A healthy site."""
    home = SiteHome(tmp_path / "s")
    home.prepare()
    home.settings.write_text(SETTINGS, "utf-8")
    home.policy.write_text(POLICY, "utf-8")
    (home.folder / "faces").mkdir()
    for path in (home.identity_key, home.ledger_key):
        path.write_text("a key", "utf-8")
        path.chmod(0o600)
    make_node_key(home)
    home.ca.write_text("the CA", "utf-8")
    home.fabs.write_text(f"{bundle_hash()}\n", "utf-8")
    certify(home, NOW)
    stand(home, "connected", 0.0)
    (home.folder / "cpuinfo").write_text(AVX, "utf-8")
    with socket.socket(socket.AF_UNIX) as agent, locked(home.courier_lock, "a courier"):
        agent.bind(str(home.run / "agent.sock"))
        (home.run / "agent.sock").chmod(0o600)
        yield home


def certify(home: SiteHome, since: float) -> None:
    """The site gets a certificate for ten years; who issued it is the business of others."""
    make_end(home.folder, "site", lambda: since)
    (home.folder / "site.crt").replace(home.certificate)


def stand(home: SiteHome, state: str, since: float) -> None:
    home.standing.write_text(json.dumps({"state": state, "since": since}), "utf-8")


def machine(home: SiteHome, **changes: object) -> Machine:
    healthy = Machine(
        now=lambda: NOW,
        space=lambda path: 2**40,
        processor=home.folder / "cpuinfo",
        architecture="x86_64",
        ask_agent=lambda *_: "",
    )
    return dataclasses.replace(healthy, **changes)  # type: ignore[arg-type]


def found(home: SiteHome, world: Machine | None = None) -> list[Finding]:
    return examine(home, world or machine(home), NEAR)


def the_wrong_one(findings: Iterable[Finding]) -> Finding:
    [finding] = [finding for finding in findings if not finding.ok]
    assert finding.cause and finding.remedy
    return finding


def test_a_healthy_site_passes_every_check(home: SiteHome) -> None:
    findings = found(home)
    assert all(finding.ok for finding in findings), findings
    assert {finding.name for finding in findings} == {
        *(
            "settings",
            "processor",
            "disk",
            "trust",
            "admission",
            "faces",
            "policy",
            "socket",
            "agent",
            "node",
        ),
        *("key identity.key", "key ledger.key", "key node.key"),
    }


def test_settings_that_cannot_be_read_are_all_there_is_to_say(home: SiteHome) -> None:
    home.settings.write_text(SETTINGS.replace("people", "peopel"), "utf-8")
    [finding] = found(home)
    assert (finding.name, finding.ok) == ("settings", False)
    assert "did you mean 'people'" in finding.cause


def unlink(path: str) -> Ill:
    return lambda home: (home.folder / path).unlink()


def chmod(path: str, mode: int) -> Ill:
    return lambda home: (home.folder / path).chmod(mode)


def write(path: str, text: str) -> Ill:
    return lambda home: (home.folder / path).write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("ill", "name", "cause", "remedy"),
    [
        (write("cpuinfo", "flags : sse"), "processor", "does not offer AVX", "pass the host"),
        (unlink("agent/identity.key"), "key identity.key", "there is no", "mascaron-site init"),
        (unlink("agent/ledger.key"), "key ledger.key", "there is no", "mascaron-site init"),
        (unlink("courier/node.key"), "key node.key", "there is no", "mascaron-site init"),
        (chmod("agent/identity.key", 0o640), "key identity.key", "others may read", "chmod 600"),
        (chmod("agent/ledger.key", 0o604), "key ledger.key", "others may read", "chmod 600"),
        (chmod("courier/node.key", 0o644), "key node.key", "others may read", "chmod 600"),
        (unlink("trust/ca.crt"), "trust", "has not met its centre", "mascaron-site init"),
        (unlink("trust/fabs"), "trust", "every bundle is refused", "mascaron-site join"),
        (write("trust/fabs", "all\n"), "trust", "line 1 is not a SHA-256", "cause"),
        (lambda home: (home.folder / "faces").rmdir(), "faces", "nothing at", "correct faces"),
        (unlink("policy.toml"), "policy", "policy.toml", "serve` again"),
        (write("policy.toml", POLICY + "cohrot = 3\n"), "policy", "'cohort'", "correct"),
        (write("policy.toml", POLICY.replace("240", "250")), "policy", "people", "correct"),
        (
            write("policy.toml", POLICY + 'denied_attributes = ["glassses"]\n'),
            "policy",
            "did you mean 'glasses'",
            "correct",
        ),
        (chmod("run/agent.sock", 0o666), "socket", "every user may speak", "chmod o="),
    ],
)
def test_an_illness_is_named_with_its_remedy(
    home: SiteHome, ill: Ill, name: str, cause: str, remedy: str
) -> None:
    ill(home)
    finding = the_wrong_one(found(home))
    assert finding.name == name
    assert cause in finding.cause
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("days", "cause", "remedy"),
    [
        (2800, "nobody renewed it", "a timer should"),
        (4000, "ended on", "if the clock is right, let the administrator"),
        (-9, "not in force yet", "timedatectl set-ntp"),
    ],
)
def test_a_certificate_that_is_not_in_force_for_long_is_told_with_what_to_do(
    home: SiteHome, days: int, cause: str, remedy: str
) -> None:
    certify(home, NOW - days * 86400.0)
    finding = the_wrong_one(found(home))
    assert finding.name == "admission"
    assert cause in finding.cause
    assert remedy in finding.remedy
    assert days < 0 or "as the agent's user" in finding.remedy


def test_a_site_that_waits_for_its_admission_is_told(home: SiteHome) -> None:
    home.certificate.unlink()
    finding = the_wrong_one(found(home))
    assert "is not admitted" in finding.cause
    assert "fingerprint" in finding.remedy


def test_something_else_in_the_place_of_the_socket_is_told(home: SiteHome) -> None:
    (home.run / "agent.sock").unlink()
    (home.run / "agent.sock").write_text("x", "utf-8")
    assert "not a socket" in the_wrong_one(found(home)).cause


def test_a_processor_without_avx_is_fine_where_nobody_needs_it(home: SiteHome) -> None:
    (home.folder / "cpuinfo").write_text("Features : asimd", "utf-8")
    assert all(f.ok for f in found(home, machine(home, architecture="aarch64")))


def test_a_full_disk_is_told(home: SiteHome) -> None:
    full = machine(home, space=lambda path: doctor.LEAST_SPACE - 1)
    assert the_wrong_one(found(home, full)).name == "disk"


def test_faces_and_socket_closed_to_this_user_are_told(
    home: SiteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the answer of the system is stood in for."""
    closed = {home.folder / "faces", home.run / "agent.sock"}
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path not in closed and asked(path, mode))
    wrong = {f.name: f for f in found(home) if not f.ok}
    assert set(wrong) == {"faces", "socket"}
    assert "chmod -R u+rX" in wrong["faces"].remedy
    assert "group" in wrong["socket"].remedy


def test_what_is_the_other_users_is_not_looked_at(
    home: SiteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != home.agent and asked(path, mode))
    names = {finding.name for finding in found(home)}
    assert names.isdisjoint({"key identity.key", "key ledger.key", "faces"})
    assert names >= {"key node.key", "node"}
    monkeypatch.setattr(os, "access", lambda path, mode: path != home.courier and asked(path, mode))
    names = {finding.name for finding in found(home)}
    assert names.isdisjoint({"key node.key", "node"})
    assert names >= {"key identity.key", "faces"}


@pytest.mark.parametrize(
    ("reason", "told"), [("UNAVAILABLE", "does not answer"), ("PROTOCOL_VERSION", "version")]
)
def test_an_agent_that_does_not_answer_is_told(home: SiteHome, reason: str, told: str) -> None:
    finding = the_wrong_one(found(home, machine(home, ask_agent=lambda *_: reason)))
    assert finding.name == "agent"
    assert told in finding.cause


def test_the_agent_is_asked_at_its_socket(home: SiteHome) -> None:
    path = home.run / "agent.sock"
    path.unlink()
    assert ask_agent(home, home.config()) == "UNAVAILABLE"
    with describing_agent(path, lambda: None):
        assert ask_agent(home, home.config()) == ""


@pytest.mark.parametrize(
    ("state", "lasted", "told"),
    [
        ("stopped", 1.0, "is not running"),
        ("starting", 500.0, "does not connect"),
        ("ended", 500.0, "ends again and again"),
        ("unreachable", 1.0, "does not reach"),
        ("refused", 500.0, "registration is stale"),
        ("unheard of", 1.0, "unknown"),
    ],
)
def test_a_node_that_does_not_take_part_is_told(
    home: SiteHome, state: str, lasted: float, told: str
) -> None:
    stand(home, state, NOW - lasted)
    finding = the_wrong_one(found(home))
    assert finding.name == "node"
    assert told in finding.cause


@pytest.mark.parametrize("state", ["starting", "refused", "ended"])
def test_a_node_gets_the_time_it_needs(home: SiteHome, state: str) -> None:
    stand(home, state, NOW - 60.0)
    assert all(finding.ok for finding in found(home))


def test_a_courier_that_never_ran_is_told(home: SiteHome) -> None:
    home.standing.unlink()
    assert Standing.load(home.standing) is None
    assert "is not running" in the_wrong_one(found(home)).cause


def test_a_courier_that_was_killed_is_told_though_it_last_said_connected(home: SiteHome) -> None:
    home.courier_lock.rename(home.courier / "held by the fixture")
    assert "is not running" in the_wrong_one(found(home)).cause
    home.courier_lock.touch()  # as a killed one leaves it
    assert "is not running" in the_wrong_one(found(home)).cause


def test_a_node_key_that_was_never_registered_is_told(
    home: SiteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = rostered(home)
    monkeypatch.setattr(doctor, "known_roster", lambda home: roster_of(entry))
    assert all(finding.ok for finding in found(home))
    home.node_key.unlink()
    make_node_key(home)
    assert "another node key" in the_wrong_one(found(home)).cause


def test_a_revoked_site_is_told(home: SiteHome, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = dataclasses.replace(rostered(home), state="revoked", reason=WHY_REVOKED[0])
    monkeypatch.setattr(doctor, "known_roster", lambda home: roster_of(entry))
    assert "revoked" in the_wrong_one(found(home)).cause


def rostered(home: SiteHome) -> SiteEntry:
    return SiteEntry(
        name="north-gate",
        identity=SigningKey.generate().public.text,
        node=make_node_key(home),
        camera_type="door",
        people=240,
    )


def roster_of(entry: SiteEntry) -> Roster:
    return Roster(federation="f" * 64, number=1, sites=(entry,))


def test_the_command_says_it_in_json_and_in_words_and_fails(home: SiteHome) -> None:
    done = CliRunner().invoke(main, ["doctor", "--home", str(home.folder)])
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["ok"] is False
    wrong = {f["name"] for f in told["findings"] if not f["ok"]}
    assert {"agent", "gateway"} <= wrong  # nobody listens in this test
    assert "WRONG" in done.stderr
    assert "mascaron-site serve" in " ".join(done.stderr.split())


def test_a_check_that_cannot_be_made_is_a_finding(home: SiteHome) -> None:
    (home.folder / "cpuinfo").unlink()
    finding = the_wrong_one(found(home))
    assert (finding.name, "cannot be checked" in finding.cause) == ("processor", True)


def test_everything_is_looked_at_from_near_to_far(home: SiteHome) -> None:
    names = [finding.name for finding in doctor_command(home)]
    assert names[0] == "settings"
    assert names[-1] == "gateway"
