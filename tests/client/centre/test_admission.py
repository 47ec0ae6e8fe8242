"""A site learns how it stands, keeps what was signed, and renews its certificate in time."""

import os
import stat
from typing import Any

import pytest

from client.centre import contact
from client.centre.admission import _knows_node, fetch, known_roster
from client.commands.admission import admission_command
from client.commands.init import START
from client.home import SiteHome
from common.errors import (
    AdmissionError,
    SignatureError,
)
from common.trust.keys import SigningKey
from server.admission.roster import RosterBook
from tests.paper_wire import Wire, init, joined
from tests.small_federation import DAY, NOW, Clock, PaperCentre


def test_a_site_waits_is_admitted_and_keeps_what_was_signed(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    init(home, centre)
    assert fetch(home, centre.clock).state == "waiting"
    site = joined(home, centre)
    state = fetch(home, centre.clock)
    assert (state.state, state.roster, state.node_known) == ("admitted", 1, True)
    assert state.expires == pytest.approx(NOW + 90 * DAY, abs=2)
    assert (
        home.centre_key.read_text("ascii").strip()
        == SigningKey.load(centre.home.centre_key).public.text
    )
    roster = known_roster(home)
    assert roster is not None and roster == RosterBook(centre.home).read()
    assert roster.holder(site.key.public) is not None
    assert stat.S_IMODE(home.roster.stat().st_mode) == 0o644


def test_a_revoked_site_hears_the_reason(wire: Wire, home: SiteHome, centre: PaperCentre) -> None:
    joined(home, centre)
    fetch(home, centre.clock)
    centre.members.revoke("north", "key-compromised", NOW)
    state = fetch(home, centre.clock)
    assert (state.state, state.reason) == ("revoked", "key-compromised")
    roster = known_roster(home)
    assert roster is not None and not roster.admitted


def test_a_certificate_is_renewed_by_asking_when_a_third_is_left(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    joined(home, centre)
    first = fetch(home, centre.clock)
    centre.clock.now = NOW + 50 * DAY
    assert fetch(home, centre.clock).expires == first.expires
    centre.clock.now = NOW + 65 * DAY
    assert fetch(home, centre.clock).expires == pytest.approx(NOW + 155 * DAY, abs=2)
    assert [name for name, _ in wire.sent][-2:] == ["status", "renew"]


def test_a_renewal_that_fails_does_not_stop_a_site_whose_certificate_still_holds(
    wire: Wire, home: SiteHome, centre: PaperCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined(home, centre)
    first = fetch(home, centre.clock)
    centre.clock.now = NOW + 65 * DAY

    def busy(host: str, port: int, context: Any, asked: Any) -> tuple[int, bytes]:
        return (503, b"") if asked[1].endswith("renew") else wire.exchange(host, port, 0, asked)

    monkeypatch.setattr(contact, "_exchange", busy)
    assert fetch(home, centre.clock).expires == first.expires


def test_an_expired_certificate_needs_the_administrator(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    site = joined(home, centre)
    fetch(home, centre.clock)
    centre.clock.now = NOW + 91 * DAY
    with pytest.raises(AdmissionError, match="`mascaron-admin admit` again") as caught:
        fetch(home, centre.clock)
    assert caught.value.reason == "CERTIFICATE_EXPIRED"
    centre.admit(site)
    assert fetch(home, centre.clock).state == "admitted"


def test_a_node_key_that_the_roster_does_not_have_is_noticed(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    joined(home, centre)
    home.node_key.unlink()
    assert init(home, centre)["state"] == "waiting"
    assert not fetch(home, centre.clock).node_known
    joined(home, centre)
    assert fetch(home, centre.clock).node_known


@pytest.mark.parametrize("skew", [-900, 900])
def test_a_wrong_clock_is_told_with_the_centres_time(
    wire: Wire, home: SiteHome, centre: PaperCentre, skew: float
) -> None:
    joined(home, centre)
    with pytest.raises(AdmissionError, match="timedatectl set-ntp true") as caught:
        fetch(home, Clock(NOW + skew))
    assert caught.value.reason == "CLOCK_SKEW"
    assert "the centre's says 2026-09-21T14:13:20" in str(caught.value)


def test_the_command_says_how_the_site_stands_and_what_comes_next(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    init(home, centre)
    assert admission_command(home, centre.clock)["state"] == "waiting"
    joined(home, centre)
    told = admission_command(home, centre.clock)
    assert (told["state"], told["next"]) == ("admitted", START)
    assert told["expires"].startswith("2026-12-20T")
    home.node_key.unlink()
    init(home, centre)
    assert "node key is another" in admission_command(home, centre.clock)["next"]
    centre.members.revoke("north", "left", NOW)
    told = admission_command(home, centre.clock)
    assert (told["state"], told["reason"], told["expires"]) == ("revoked", "left", None)


def test_a_clock_before_the_federation_is_told(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    joined(home, centre)
    with pytest.raises(SignatureError, match="not in force yet: set the clock"):
        fetch(home, Clock(0.0))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not look")
def test_an_agent_that_may_not_look_into_the_couriers_folder_can_ask_all_the_same(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    joined(home, centre)
    fetch(home, centre.clock)
    roster = known_roster(home)
    assert roster is not None
    entry = roster.site("north")
    assert entry is not None
    os.seteuid(65534)
    try:
        assert _knows_node(home, entry)
    finally:
        os.seteuid(0)
    home.node_public.write_text("ecdsa-sha2-nistp384 another", "utf-8")
    assert not _knows_node(home, entry)
