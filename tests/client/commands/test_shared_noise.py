"""What an operator is shown of a charter whose noise is shared, before saying yes or no."""

import dataclasses
from pathlib import Path

import pytest

from client.agent.opening import open_desk
from client.commands.charters import show_charter
from common.errors import CharterError
from common.trust.charter import charter_digest
from common.trust.signed import Signed
from tests.small_home import Home, make_home, plan

MEMBERS = ("east", "north", "south", "west")


def shown(made: Home, *members: str) -> dict[str, object]:
    shared = dataclasses.replace(plan(), noise="distributed", honest_sites=2, cohort=3)
    offer = made.offer(plan=shared, members={"door": members})
    signed = Signed.from_json(offer.charter)
    open_desk(made.home).wait(charter_digest(signed), signed, offer.initial)
    return show_charter(made.home, charter_digest(signed))


def test_the_operator_sees_with_whom_and_on_whose_honesty(tmp_path: Path) -> None:
    told = shown(make_home(tmp_path), *MEMBERS)
    assert told["noise"] == "distributed"
    assert told["members"] == list(MEMBERS)
    assert told["least_sites"] == 3
    assert "at least 2 sites" in str(told["trust"])
    assert "at most 1 of the sites" in str(told["trust"])


def test_a_charter_without_this_site_is_shown_to_nobody_here(tmp_path: Path) -> None:
    with pytest.raises(CharterError, match="not among the members"):
        shown(make_home(tmp_path), "east", "south", "west")
