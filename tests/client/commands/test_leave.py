"""Who leaves takes nothing along and leaves nothing readable but the record."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from client.cli import main
from client.commands import leave
from client.commands.init import init_alone
from client.commands.leave import leave_federation
from client.commands.settings import Asked
from client.home import SiteHome
from client.vault.consent import Consent
from client.vault.founding import found_vault, vault_place
from client.vault.identity import PersonId, new_person
from client.vault.keyring import SLOT
from client.vault.records import NewTemplate
from client.vault.store import Vault
from common.errors import BusyError, ConfigError
from tests.small_home import make_home

TRUNK = "7" * 64
MARK = b"sealed row"


@pytest.fixture
def home(tmp_path: Path) -> SiteHome:
    """A site alone, with two people in its vault and a calibration made of them."""
    made = SiteHome(tmp_path / "site")
    init_alone(made, Asked(name="north"))
    with Vault(vault_place(made, made.config())) as vault:
        for _ in range(2):
            enrol(vault)
    made.releases.mkdir()
    (made.releases / "state.json").write_bytes(MARK)
    made.audit.write_bytes(b"rows")
    return made


def enrol(vault: Vault) -> PersonId:
    person, feature = new_person(os.urandom), np.ones(8, np.float16)
    consent = Consent(purposes=frozenset({"verify"}), text_hash="a" * 64, given=1.0, expires=9.0)
    vault.enrol(person, [NewTemplate(trunk=TRUNK, feature=feature)], consent, now=2.0, label="C 7")
    return person


def secrets_of(home: SiteHome) -> list[bytes]:
    """What opens templates, and templates: bytes that must be nowhere afterwards."""
    files = [home.vault_key, home.identity_key, home.operator_token, *home.vault.iterdir()]
    return [content[-64:] for path in files if len(content := path.read_bytes()) >= 32]


def everything(home: SiteHome) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(home.folder.rglob("*")) if p.is_file())


def test_leaving_destroys_the_vault_and_all_that_was_made_of_it(home: SiteHome) -> None:
    secret = secrets_of(home)
    assert len(secret) >= 5
    told = leave_federation(home)
    left = everything(home)
    assert not any(content in left for content in (*secret, MARK))
    assert told["people_removed"]
    assert told["kept"] == ["agent/audit.db", "agent/identity.pub"]
    assert not any("vault/" in name or "releases" in name for name in told["removed"])
    assert told["next"] == "nothing"
    with pytest.raises(ConfigError):
        vault_place(home, home.config())
    assert leave_federation(home)["removed"] == []


def test_the_keyring_goes_first_so_that_a_crash_leaves_nothing_that_opens(
    home: SiteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[Path] = []
    monkeypatch.setattr(leave, "_shred", order.append)
    leave_federation(home)
    names = [path.name for path in order]
    assert SLOT in names[0] and names[1] == "keyring"
    assert names.index("vault.key") < names.index("vault.db")
    assert len(set(order)) == len(order)


def test_nobody_leaves_while_the_agent_has_the_vault(home: SiteHome) -> None:
    with Vault(vault_place(home, home.config())), pytest.raises(BusyError, match="stop it first"):
        leave_federation(home)
    assert home.identity_key.exists()


def test_a_site_that_keeps_its_people_forgets_its_centre_only(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    home = made.home
    found_vault(home, home.config())
    with Vault(vault_place(home, home.config())) as vault:
        person = enrol(vault)
    home.commitments.write_text("the word of a centre\n")
    told = ask(home, "leave", "--yes", "--keep-people")
    assert not told["people_removed"] and "agent/vault" in told["kept"]
    gone = (home.ca, home.centre_key, home.node_key, home.commitments)
    assert not any(path.exists() for path in gone)
    assert home.identity_key.exists()
    assert "mascaron-admin revoke" in told["next"] and "site.toml" in told["next"]
    with Vault(vault_place(home, home.config())) as vault:
        assert vault.people(purpose="verify", now=3.0) == {person}


def test_the_question_says_whether_people_are_destroyed_and_no_means_no(home: SiteHome) -> None:
    command = ["leave", "--home", str(home.folder)]
    asked = CliRunner().invoke(main, command, input="n\n")
    assert asked.exit_code == 1 and "everybody enrolled" in asked.output
    asked = CliRunner().invoke(main, [*command, "--keep-people"], input="n\n")
    assert "everybody enrolled" not in asked.output
    assert home.vault_key.exists()


def ask(home: SiteHome, *command: str) -> Any:
    told = CliRunner().invoke(main, [*command, "--home", str(home.folder)])
    assert told.exit_code == 0, told.output
    return json.loads(told.stdout)
