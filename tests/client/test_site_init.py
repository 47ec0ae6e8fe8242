"""One command makes a site, twice does no more than once, and nothing is sent to a stranger."""

import dataclasses
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from client.centre.admission import fetch
from client.cli import main
from client.commands.init import init_alone
from client.commands.settings import Asked
from client.door.callers import CallerBook, Role
from client.home import SiteHome
from client.policy import TRAINED, SitePolicy
from client.privacy.ledger import LEAST_KEY
from client.vault.core import DATABASE
from client.vault.founding import vault_place
from client.vault.store import Vault
from common.config import load
from common.errors import (
    AdmissionError,
    CallerError,
    ConfigError,
    DeploymentError,
    SealedError,
)
from common.trust.keys import SigningKey
from tests.paper_wire import ASKED, Wire, init
from tests.small_federation import NOW, PaperCentre


def test_a_site_is_made_with_one_command(wire: Wire, home: SiteHome, centre: PaperCentre) -> None:
    told = init(home, centre)
    key = SigningKey.load(home.identity_key).public
    assert told["state"] == "waiting"
    assert told["fingerprint"].replace("-", "") == key.fingerprint
    assert told["federation"] == centre.federation
    (waits,) = centre.members.table(NOW)["waiting"]
    assert (waits["name"], waits["fingerprint"]) == ("north", told["fingerprint"])
    assert (waits["camera_type"], waits["people"]) == ("door", 240)


def test_every_folder_and_key_has_its_mode(wire: Wire, home: SiteHome, centre: PaperCentre) -> None:
    init(home, centre)
    modes = {home.agent: 0o700, home.courier: 0o700, home.trust: 0o755, home.ca: 0o644}
    secret = (home.identity_key, home.ledger_key, home.node_key)
    for path, mode in {**modes, **dict.fromkeys(secret, 0o600)}.items():
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
    assert len(home.ledger_key.read_bytes()) >= LEAST_KEY


def test_the_policy_that_is_written_is_valid_and_never_accepts_by_itself(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    init(home, centre)
    policy = load(SitePolicy, home.policy)
    assert policy.declared_people == 240
    assert (policy.auto_accept.epsilon, policy.auto_accept.rounds) == (0, 0)
    assert policy.epsilon <= 8
    comments = [line for line in home.policy.read_text("utf-8").splitlines() if line[:1] == "#"]
    assert ", ".join(TRAINED) in " ".join(line.removeprefix("# ") for line in comments)


def test_a_second_init_makes_nothing_new_and_asks_the_same(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    first = init(home, centre)
    before = {p: p.read_bytes() for p in home.folder.rglob("*") if p.is_file()}
    second = init(home, centre, Asked())
    assert second == first
    assert {p: p.read_bytes() for p in home.folder.rglob("*") if p.is_file()} == before
    words = [json.loads(json.loads(body)["content"]) for _, body in wire.sent]
    assert words[0] == words[1]
    assert len(centre.members.table(NOW)["waiting"]) == 1


def test_a_site_with_a_port_gets_both_ends_of_it(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    with pytest.raises(ConfigError, match="of this machine alone"):
        init(home, centre, dataclasses.replace(ASKED, agent="0.0.0.0:9443"))
    init(home, centre, dataclasses.replace(ASKED, agent="127.0.0.1:9443"))
    assert home.agent_address(home.config()) == "127.0.0.1:9443"
    keys = {path.name: path.stat().st_mode & 0o777 for path in home.folder.rglob("tls/*.key")}
    assert keys == {"agent.key": 0o600, "courier.key": 0o600}
    assert not any(b"PRIVATE" in path.read_bytes() for path in home.trust.iterdir())


def test_init_works_without_a_network_and_goes_on_with_one(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    wire.down = True
    told = init(home, centre, later=True)
    assert told["state"] == "not sent" and not wire.sent
    with pytest.raises(DeploymentError, match="has not met its centre"):
        fetch(home, centre.clock)
    wire.down = False
    assert init(home, centre)["fingerprint"] == told["fingerprint"]


def test_an_init_that_found_nobody_keeps_its_keys(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    wire.down = True
    with pytest.raises(DeploymentError):
        init(home, centre)
    key = home.identity_key.read_bytes()
    wire.down = False
    init(home, centre)
    assert home.identity_key.read_bytes() == key


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": None}, "needs --name"),
        ({"centre": None, "people": None}, "needs --centre, --people"),
        ({"name": "Fred's ward"}, "a site's name is"),
        ({"centre": "example"}, "host:port"),
        ({"people": 0}, "people must be"),
        ({"camera_type": "x" * 99}, "camera_type must be"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_sent(
    wire: Wire, home: SiteHome, centre: PaperCentre, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        init(home, centre, dataclasses.replace(ASKED, **changes))
    assert not wire.sent and not home.settings.exists()


def test_a_mistyped_centre_is_corrected_by_typing_it_again(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    wire.down = True
    with pytest.raises(DeploymentError):
        init(home, centre, dataclasses.replace(ASKED, centre="fl.exampel:8443"))
    wire.down = False
    fingerprint = init(home, centre)["fingerprint"]
    assert home.config().centre == ASKED.centre
    with pytest.raises(ConfigError, match="says another centre than --centre"):
        init(home, centre, dataclasses.replace(ASKED, centre="other.example:8443"))
    assert init(home, centre)["fingerprint"] == fingerprint


def test_a_home_is_of_one_site_only(wire: Wire, home: SiteHome, centre: PaperCentre) -> None:
    init(home, centre)
    with pytest.raises(ConfigError, match="says another camera_type than --camera-type"):
        init(home, centre, Asked(camera_type="gate"))


def test_a_home_is_of_one_federation_only(
    wire: Wire, home: SiteHome, centre: PaperCentre, tmp_path: Path
) -> None:
    init(home, centre)
    other = PaperCentre(tmp_path / "other")
    with pytest.raises(AdmissionError, match="belongs to another federation"):
        init(home, other)


def test_a_centre_that_is_not_the_tokens_gets_nothing(
    wire: Wire, home: SiteHome, centre: PaperCentre, tmp_path: Path
) -> None:
    wire.centre = PaperCentre(tmp_path / "other")
    with pytest.raises(AdmissionError, match="somebody is in between"):
        init(home, centre)
    assert not wire.sent and not home.ca.exists()


def test_a_wrong_token_is_told_with_what_to_do(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    from server.admission.founding import new_token

    new_token(centre.home)
    with pytest.raises(AdmissionError, match="not the one in force; ask the administrator") as got:
        init(home, centre)
    assert got.value.reason == "TOKEN_WRONG"


# The vault, and a site that has nothing but a door.


def test_a_site_has_an_empty_vault_that_its_key_opens(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    init(home, centre)
    files = (home.vault_key, *(path for path in home.vault.iterdir()))
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    with Vault(vault_place(home, home.config())) as vault:
        assert (vault.site, vault.people(now=0.0)) == ("north", frozenset())


def test_the_operator_may_call_and_the_token_is_in_a_private_file(home: SiteHome) -> None:
    init_alone(home, Asked(name="north"))
    token = home.operator_token.read_text("ascii").strip()
    assert stat.S_IMODE(home.operator_token.stat().st_mode) == 0o600
    caller = CallerBook(home.callers).of_token(token)
    assert {Role.ENROL, Role.OPERATE, Role.AUDIT} <= caller.roles
    assert Role.CONFIRM not in caller.roles
    assert token not in home.callers.read_text("utf-8")


@pytest.mark.parametrize("lost", ["operator_token", "callers"])
def test_an_operator_who_lost_a_token_gets_another_and_the_old_one_is_nobodys(
    home: SiteHome, lost: str
) -> None:
    init_alone(home, Asked(name="north"))
    old = home.operator_token.read_text("ascii").strip()
    getattr(home, lost).unlink()
    init_alone(home, Asked())
    token = home.operator_token.read_text("ascii").strip()
    book = CallerBook(home.callers)
    assert token != old and book.of_token(token).name == "operator"
    with pytest.raises(CallerError):
        book.of_token(old)


def test_a_site_alone_has_a_door_and_no_keys_of_a_member(home: SiteHome) -> None:
    told = init_alone(home, Asked(name="north"))
    assert (told["site"], told["state"]) == ("north", "alone")
    assert home.config().alone and home.identity_key.exists() and home.vault_key.exists()
    assert not any(p.exists() for p in (home.ledger_key, home.node_key, home.policy, home.ca))
    before = {p: p.read_bytes() for p in home.folder.rglob("*") if p.is_file()}
    assert init_alone(home, Asked()) == told
    assert {p: p.read_bytes() for p in home.folder.rglob("*") if p.is_file()} == before
    for word in ("host", "port"):
        with pytest.raises(ConfigError, match="this site is alone"):
            getattr(home.config(), word)


def test_a_site_alone_joins_a_federation_later_and_keeps_what_its_operator_wrote(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    fingerprint = init_alone(home, Asked(name="north"))["fingerprint"]
    vault_key = home.vault_key.read_bytes()
    more = "\n# four eyes\n[door]\nidentify = true\n"
    home.settings.write_text(home.settings.read_text("utf-8") + more, "utf-8")
    told = init(home, centre)
    assert (told["state"], told["fingerprint"]) == ("waiting", fingerprint)
    assert home.vault_key.read_bytes() == vault_key
    assert home.settings.read_text("utf-8").endswith(more)
    assert home.config().centre == ASKED.centre
    with pytest.raises(ConfigError, match="names a centre"):
        init_alone(home, Asked())


def test_a_vault_may_be_opened_by_a_passphrase(home: SiteHome, tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.touch(mode=0o600)
    words.write_text("correct horse battery staple\n", "utf-8")
    init_alone(home, Asked(name="north", vault_passphrase_file=words))
    assert not home.vault_key.exists()
    Vault(vault_place(home, home.config())).close()
    words.write_text("incorrect horse battery staple\n", "utf-8")
    with pytest.raises(SealedError, match="with another key"):
        Vault(vault_place(home, home.config()))


def test_no_second_key_is_made_for_a_vault_that_lost_its_first(home: SiteHome) -> None:
    init_alone(home, Asked(name="north"))
    home.vault_key.unlink()
    init_alone(home, Asked(name="north"))
    assert not home.vault_key.exists()
    with pytest.raises(ConfigError, match="put it back"):
        vault_place(home, home.config())


def test_a_vault_that_a_crash_left_half_made_is_finished(home: SiteHome) -> None:
    init_alone(home, Asked(name="north"))
    (home.vault / DATABASE).unlink()
    init_alone(home, Asked(name="north"))
    Vault(vault_place(home, home.config())).close()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--alone"], "needs --name"),
        (["--alone", "--name", "North"], "a site's name is"),
        (["--alone", "--token", "t"], "drop --token"),
        (["--name", "north"], "--token is missing"),
        (["--alone", "--name", "north", "--people", "5"], "centre must be host:port"),
        (["--alone", "--name", "north", "--vault-passphrase-file", "/none"], "cannot read /none"),
    ],
)
def test_what_a_newcomer_mistypes_is_told_and_makes_no_site(
    home: SiteHome, words: list[str], told: str
) -> None:
    done = CliRunner().invoke(main, ["init", "--home", str(home.folder), *words], env={})
    assert done.exit_code == 2
    assert told in done.output
    assert not home.vault_key.exists()
