"""A gateway that lies is not believed, and a site never goes back behind what it knew."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.centre.admission import centre_of, fetch, known_roster
from client.home import SiteHome
from common.errors import (
    DeploymentError,
    MascaronError,
    SignatureError,
)
from common.trust import storing
from common.trust.certificates import read_certificate, to_pem
from common.trust.keys import SigningKey
from common.trust.roster import Roster
from server.admission.authority import Authority
from server.admission.roster import RosterBook
from tests.paper_wire import ASKED, Wire, init, joined, trusted
from tests.small_federation import DAY, NOW, PaperCentre


def forged_key(centre: PaperCentre, table: dict[str, Any]) -> None:
    """Another centre key, certified by nobody the site knows, and a roster it signed."""
    key, forger = SigningKey.generate(), Authority.make("test", NOW)
    table["centre"] = to_pem(forger.issue_centre(key.public, NOW)).decode()
    table["roster"] = RosterBook(centre.home).read().sign(key).to_json()


def member_as_centre(centre: PaperCentre, table: dict[str, Any]) -> None:
    """A member whose certificate the CA did issue plays the centre."""
    key = SigningKey.generate()
    issued = Authority.load(centre.home).issue_site(key.public, "centre", NOW)
    table["centre"] = to_pem(issued).decode()
    table["roster"] = RosterBook(centre.home).read().sign(key).to_json()


def second_centre(centre: PaperCentre, table: dict[str, Any]) -> None:
    """A second key that the CA itself certified: still not the one this site knows."""
    key = SigningKey.generate()
    issued = Authority.load(centre.home).issue_centre(key.public, NOW)
    table["centre"] = to_pem(issued).decode()
    table["roster"] = RosterBook(centre.home).read().sign(key).to_json()


def resigned(centre: PaperCentre, table: dict[str, Any], **changes: Any) -> None:
    roster = dataclasses.replace(RosterBook(centre.home).read(), **changes)
    table["roster"] = roster.sign(SigningKey.load(centre.home.centre_key)).to_json()


def older_roster(centre: PaperCentre, table: dict[str, Any]) -> None:
    resigned(centre, table, number=0, sites=RosterBook(centre.home).read().sites)


def split_view(centre: PaperCentre, table: dict[str, Any]) -> None:
    other = dataclasses.replace(RosterBook(centre.home).read().sites[0], people=1)
    resigned(centre, table, sites=(other,))


def without_us(centre: PaperCentre, table: dict[str, Any]) -> None:
    resigned(centre, table, sites=(), number=9)


def other_federation(centre: PaperCentre, table: dict[str, Any]) -> None:
    resigned(centre, table, federation="0" * 64, number=9)


def forgotten(centre: PaperCentre, table: dict[str, Any]) -> None:
    table.clear()
    table["state"] = "waiting"


def foreign_certificate(centre: PaperCentre, table: dict[str, Any]) -> None:
    key = SigningKey.generate().public
    table["certificate"] = to_pem(
        Authority.load(centre.home).issue_site(key, "north", NOW)
    ).decode()


def second_certificate(centre: PaperCentre, table: dict[str, Any]) -> None:
    """Of our key and this CA, but not the one the roster names."""
    key = RosterBook(centre.home).read().sites[0].identity
    from common.trust.keys import PublicKey

    issued = Authority.load(centre.home).issue_site(PublicKey.of(key), "north", NOW)
    table["certificate"] = to_pem(issued).decode()


def forged_list(centre: PaperCentre, table: dict[str, Any]) -> None:
    table["crl"] = Authority.make("test", NOW).revocations([], NOW).decode()


def cut(centre: PaperCentre, table: dict[str, Any]) -> None:
    table["roster"] = table["roster"][:-3]


def missing(centre: PaperCentre, table: dict[str, Any]) -> None:
    del table["crl"]


def not_text(centre: PaperCentre, table: dict[str, Any]) -> None:
    table["certificate"] = 7


LIES = [
    forged_key, member_as_centre, second_centre, older_roster, split_view, without_us,
    other_federation, forgotten, foreign_certificate, second_certificate, forged_list, cut,
    missing, not_text,
]  # fmt: skip


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_gateway_that_lies_is_not_believed_and_changes_nothing(
    wire: Wire,
    home: SiteHome,
    centre: PaperCentre,
    lie: Callable[[PaperCentre, dict[str, Any]], None],
) -> None:
    joined(home, centre)
    fetch(home, centre.clock)
    before = trusted(home)
    wire.change = lambda table: lie(centre, table)
    with pytest.raises(MascaronError) as caught:
        fetch(home, centre.clock)
    assert caught.value.reason in ("SIGNATURE_INVALID", "INVALID_REQUEST")
    assert trusted(home) == before


@pytest.mark.parametrize(
    "lie", [forged_key, member_as_centre, without_us, other_federation, foreign_certificate]
)
def test_the_first_answer_is_believed_no_more_than_later_ones(
    wire: Wire,
    home: SiteHome,
    centre: PaperCentre,
    lie: Callable[[PaperCentre, dict[str, Any]], None],
) -> None:
    joined(home, centre)
    wire.change = lambda table: lie(centre, table)
    with pytest.raises(SignatureError):
        fetch(home, centre.clock)
    assert set(trusted(home)) == {"ca.crt"}


def test_a_site_is_not_admitted_or_revoked_by_a_mere_word(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    joined(home, centre)
    wire.change = lambda table: table.update(state="revoked")
    assert fetch(home, centre.clock).state == "admitted"
    centre.members.revoke("north", "left", NOW)
    wire.change = lambda table: table.update(state="admitted")
    assert fetch(home, centre.clock).state == "revoked"


def test_a_centre_restored_from_an_old_backup_is_noticed(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    backup = centre.home.roster.read_bytes()
    joined(home, centre)
    fetch(home, centre.clock)
    centre.home.roster.write_bytes(backup)
    with pytest.raises(SignatureError, match="restored from an old backup"):
        fetch(home, centre.clock)
    assert known_roster(home) != Roster(federation=centre.federation)


@pytest.mark.parametrize("fails", range(4))
def test_a_full_disk_leaves_a_trust_that_can_be_read_and_completed(
    wire: Wire, home: SiteHome, centre: PaperCentre, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    joined(home, centre)
    fetch(home, centre.clock)
    centre.clock.now = NOW + 65 * DAY
    centre.members.renew(SigningKey.load(home.identity_key).public, centre.clock())
    real, left = storing.replace, [fails]

    def failing(path: Path, content: bytes, mode: int = 0o600) -> None:
        if path.parent == home.trust:
            left[0] -= 1
            if left[0] < 0:
                raise DeploymentError("cannot write: full")
        real(path, content, mode)

    with monkeypatch.context() as patch:
        patch.setattr(storing, "replace", failing)
        with pytest.raises(DeploymentError, match="full"):
            fetch(home, centre.clock)
    known = known_roster(home)
    assert known is not None and known.number == 1
    assert fetch(home, centre.clock).roster == 2


def test_a_site_dials_the_host_that_it_was_given(
    wire: Wire, home: SiteHome, centre: PaperCentre
) -> None:
    init(home, centre, dataclasses.replace(ASKED, centre="[::1]:9"))
    found = centre_of(home)
    assert (found.host, found.port) == ("::1", 9)
    assert read_certificate(found.ca) == centre.ca
