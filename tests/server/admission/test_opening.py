"""Before the door opens, everything is as the roster says, whatever happened since."""

from pathlib import Path

import pytest

from common.errors import DeploymentError
from common.trust.certificates import life_left, read_certificate
from server.admission.opening import keep_nodes, make_ready
from server.commands.fleet import register_node, unregister_node
from tests.small_federation import DAY, NOW, PaperCentre, PaperSite


@pytest.fixture
def centre(tmp_path: Path) -> PaperCentre:
    return PaperCentre(tmp_path / "centre")


def nodes(centre: PaperCentre) -> set[str]:
    return {path.read_text("ascii").strip() for path in centre.home.nodes.glob("*.pub")}


def test_admitted_nodes_are_told_and_no_others(centre: PaperCentre) -> None:
    """Admission and revocation were cut short before the SuperLink heard of them."""
    north, south, stranger = (PaperSite(name) for name in ("north", "south", "stranger"))
    centre.welcome(north)
    centre.welcome(south)
    for site in (south, stranger):
        register_node(centre.home, site.node)
    centre.members.revoke("south", "left", NOW)
    make_ready(centre.home, NOW)
    assert nodes(centre) == {north.node}


def test_registering_by_hand_and_following_the_roster_mean_the_same_file(
    centre: PaperCentre,
) -> None:
    north = centre.welcome(PaperSite("north"))
    make_ready(centre.home, NOW)
    before = {p.name for p in centre.home.nodes.iterdir()}
    register_node(centre.home, f"{north.node} a comment")
    assert {p.name for p in centre.home.nodes.iterdir()} == before
    unregister_node(centre.home, north.node)
    assert not nodes(centre)
    keep_nodes(centre.home, [north.node])
    assert nodes(centre) == {north.node}


def test_a_server_certificate_that_is_due_is_renewed(centre: PaperCentre) -> None:
    late = NOW + 300 * DAY
    make_ready(centre.home, late)
    made = read_certificate(centre.home.server_certificate.read_bytes())
    assert life_left(made, late) > 0.9


def test_a_site_that_let_its_certificate_expire_is_not_told_until_it_is_admitted_again(
    centre: PaperCentre,
) -> None:
    north, south = (centre.welcome(PaperSite(name)) for name in ("north", "south"))
    centre.clock.now = NOW + 60 * DAY
    centre.members.renew(south.key.public, centre.clock())
    centre.clock.now = NOW + 91 * DAY
    make_ready(centre.home, centre.clock())
    assert nodes(centre) == {south.node}
    centre.admit(north)
    make_ready(centre.home, centre.clock())
    assert nodes(centre) == {north.node, south.node}


def test_a_certificate_that_is_gone_keeps_one_site_out_and_not_the_centre(
    centre: PaperCentre,
) -> None:
    north, south = (centre.welcome(PaperSite(name)) for name in ("north", "south"))
    next(centre.home.certificates.glob("north.*")).unlink()
    make_ready(centre.home, NOW)
    assert nodes(centre) == {south.node}
    centre.admit(north)
    make_ready(centre.home, NOW)
    assert nodes(centre) == {north.node, south.node}


def test_a_home_without_a_roster_does_not_open(centre: PaperCentre) -> None:
    centre.home.roster.unlink()
    with pytest.raises(DeploymentError, match="restore it from a backup"):
        make_ready(centre.home, NOW)
