"""The doctor at the door: a vault that does not open, nobody who decides, an altered log."""

import dataclasses
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from client.audit.events import Event, Kind
from client.audit.log import AuditLog, AuditPlace
from client.commands.doctor import CHECKS, ask_door
from client.commands.init import init_alone
from client.commands.settings import Asked
from client.doctor import door
from client.doctor.door import AT_THE_DOOR
from client.doctor.findings import DoorTold, Finding, Machine, examine
from client.home import SiteHome
from client.vault.consent import Consent
from client.vault.founding import vault_place
from client.vault.identity import PersonId, new_person
from client.vault.records import NewTemplate
from client.vault.store import Vault
from common.trust.keys import SigningKey

NOW, DAY = 1.8e9, 86400.0
HOLDS = DoorTold(active=True, calibrated=True, first_end=NOW + 400 * DAY)
Ill = Callable[[SiteHome], object]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[SiteHome]:
    """A site alone whose door is as it must be, and where two uses of it were written down."""
    made = SiteHome(tmp_path / "s")
    init_alone(made, Asked(name="north"))
    (made.folder / "swaps").write_text("Filename Type\n", "utf-8")
    (made.folder / "trunk").mkdir()
    for path in ("trunk/trunk.toml", "public"):
        (made.folder / path).touch()
    place = AuditPlace(path=made.audit, key=SigningKey.load(made.identity_key), site="north")
    with AuditLog(place) as log:
        for _ in range(2):
            log.append(Event(kind=Kind.LIST, began=NOW, ended=NOW, outcome="done"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(made.door_socket()))
        made.door_socket().chmod(0o600)
        yield made


def machine(home: SiteHome, told: DoorTold = HOLDS) -> Machine:
    return Machine(
        now=lambda: NOW,
        space=lambda path: 2**40,
        swaps=home.folder / "swaps",
        ask_agent=lambda *_: "UNAVAILABLE",
        ask_door=lambda *_: told,
    )


def found(home: SiteHome, told: DoorTold = HOLDS) -> list[Finding]:
    return examine(home, machine(home, told), AT_THE_DOOR)


def the_wrong_one(findings: list[Finding]) -> Finding:
    wrong = {(finding.name, finding.cause): finding for finding in findings if not finding.ok}
    [finding] = wrong.values()
    assert finding.cause and finding.remedy
    return finding


def enrol(home: SiteHome, days: float) -> PersonId:
    consent = Consent(
        purposes=frozenset({"verify"}),
        text_hash="a" * 64,
        given=NOW - 9 * DAY,
        expires=NOW + days * DAY,
    )
    person = new_person(os.urandom)
    template = NewTemplate(trunk="7" * 64, feature=np.ones(4, np.float16))
    with Vault(vault_place(home, home.config())) as vault:
        vault.enrol(person, [template], consent, now=NOW - 8 * DAY)
    return person


def test_a_door_in_order_passes_every_check(home: SiteHome) -> None:
    findings = found(home)
    assert all(finding.ok for finding in findings), findings
    assert {finding.name for finding in findings} == {
        *("settings", "trunk", "public", "vault", "consents", "callers", "door", "audit", "memory")
    }


def test_a_site_alone_is_not_asked_for_what_only_a_member_has(home: SiteHome) -> None:
    findings = examine(home, machine(home), [c for c in CHECKS if c.__name__ != "check_processor"])
    assert all(finding.ok for finding in findings), findings
    members = {"trust", "admission", "node", "agent", "socket", "gateway", "key ledger.key"}
    assert members.isdisjoint({finding.name for finding in findings})


def unlink(path: str) -> Ill:
    return lambda home: (home.folder / path).unlink()


def chmod(path: str, mode: int) -> Ill:
    return lambda home: (home.folder / path).chmod(mode)


def flip(path: str, at: int) -> Ill:
    def ill(home: SiteHome) -> None:
        content = bytearray((home.folder / path).read_bytes())
        content[at] ^= 1
        (home.folder / path).write_bytes(content)

    return ill


def restore_database(home: SiteHome) -> None:
    old = (home.vault / "vault.db").read_bytes()
    enrol(home, 900)
    (home.vault / "vault.db").write_bytes(old)


def cut_log(home: SiteHome) -> None:
    home.audit.with_name("audit.db.head").unlink()


@pytest.mark.parametrize(
    ("ill", "name", "cause", "remedy"),
    [
        (unlink("trunk/trunk.toml"), "trunk", "there is nothing at", "correct trunk in"),
        (unlink("public"), "public", "there is nothing at", "public faces"),
        (unlink("agent/vault/vault.db"), "vault", "there is no vault", "mascaron-site init"),
        (unlink("agent/vault.key"), "vault", "there is no", "the cause says"),
        (chmod("agent/vault.key", 0o644), "vault", "others may read", "the cause says"),
        (flip("agent/vault.key", 3), "vault", "closed with another key", "put back the key"),
        (flip("agent/vault/keyring", -1), "vault", "altered", "vault restore"),
        (flip("agent/vault/keyring.epoch-1", -1), "vault", "altered", "vault restore"),
        (restore_database, "vault", "older than its keyring", "put back the newest"),
        (unlink("agent/operator.token"), "callers", "there is no", "mascaron-site init"),
        (chmod("agent/operator.token", 0o644), "callers", "others may read", "chmod 600"),
        (chmod("agent/callers.json", 0o640), "callers", "others may read", "chmod 600"),
        (chmod("run/door.sock", 0o666), "door", "every user may speak", "start the agent again"),
        (cut_log, "audit", "broken at record 0", "as evidence"),
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
    ("changes", "cause", "remedy"),
    [
        ({"active": False}, "no release decides", "release stage"),
        ({"calibrated": False}, "no thresholds", "mascaron-site calibrate"),
        ({"outgrown": True}, "more people are enrolled", "mascaron-site calibrate"),
        ({"reason": "UNAVAILABLE"}, "does not answer", "mascaron-site serve"),
        ({"reason": "CALLER_UNKNOWN"}, "does not answer", "mascaron-site serve"),
    ],
)
def test_a_door_that_decides_nothing_or_badly_is_told(
    home: SiteHome, changes: dict[str, object], cause: str, remedy: str
) -> None:
    told = dataclasses.replace(HOLDS, **changes)  # type: ignore[arg-type]
    finding = the_wrong_one(found(home, told))
    assert finding.name == "door"
    assert cause in finding.cause and remedy in finding.remedy


def test_a_door_that_describes_says_by_which_heads_or_that_it_has_none(home: SiteHome) -> None:
    assert "heads" not in {finding.name for finding in found(home)}  # switched off
    with home.settings.open("a", encoding="utf-8") as file:
        file.write("[door]\nsearch = true\n")
    finding = the_wrong_one(found(home))
    assert finding.name == "heads" and "[door] heads" in finding.remedy
    reads = dataclasses.replace(HOLDS, heads="0123456789ab of the release")
    (told,) = [finding for finding in found(home, reads) if finding.name == "heads"]
    assert told.ok and "0123456789ab of the release" in told.cause


def test_a_door_where_nobody_is_enrolled_needs_no_release(home: SiteHome) -> None:
    assert all(finding.ok for finding in found(home, DoorTold()))


@pytest.mark.parametrize(("days", "told"), [(400, ""), (29, "within 30 days"), (-1, "has run out")])
def test_consents_that_run_out_are_told_without_a_number_or_a_name(
    home: SiteHome, days: float, told: str
) -> None:
    persons = [enrol(home, days) for _ in range(7)]
    running = dataclasses.replace(HOLDS, first_end=NOW + days * DAY)
    for findings in (found(home, DoorTold()), found(home, running)):
        wrong = [finding for finding in findings if not finding.ok]
        assert {finding.name for finding in wrong} == ({"consents"} if told else set())
        words = " ".join(f"{finding.cause} {finding.remedy}" for finding in findings)
        assert told in words
        assert "7" not in words.split() and not any(person.hex() in words for person in persons)


def test_a_vault_that_the_agent_has_open_is_left_to_it(home: SiteHome) -> None:
    with Vault(vault_place(home, home.config())):
        assert all(finding.ok for finding in found(home))


def test_a_machine_that_swaps_is_told_where_memory_cannot_be_locked(
    home: SiteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.folder / "swaps").write_text("Filename Type\n/dev/sda2 partition\n", "utf-8")
    limits = {"finite": (2**20, 2**20), "endless": (door.resource.RLIM_INFINITY,) * 2}
    monkeypatch.setattr(door.resource, "getrlimit", lambda _: limits["finite"])
    assert "LimitMEMLOCK" in the_wrong_one(found(home)).remedy
    monkeypatch.setattr(door.resource, "getrlimit", lambda _: limits["endless"])
    assert all(finding.ok for finding in found(home))


def test_what_is_the_agents_is_not_looked_at_by_the_courier(
    home: SiteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != home.agent and asked(path, mode))
    assert {finding.name for finding in found(home)} == {"settings", "memory"}


def test_a_door_that_is_not_open_answers_nothing(home: SiteHome) -> None:
    home.door_socket().unlink()
    told = ask_door(home, home.config())
    assert (told.reason, told.enrolled) == ("DEPLOYMENT_FAILED", False)
