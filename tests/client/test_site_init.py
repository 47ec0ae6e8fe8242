"""One command makes a site, twice does no more than once, and nothing is sent to a stranger."""

import dataclasses
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from client.centre.admission import fetch
from client.commands.init import Asked
from client.home import SiteHome
from client.policy import SitePolicy
from client.privacy.ledger import LEAST_KEY
from common.config import load
from common.errors import (
    AdmissionError,
    ConfigError,
    DeploymentError,
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
        ({"faces": None, "people": None}, "needs --people, --faces"),
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
