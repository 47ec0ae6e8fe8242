"""The newest roster the centre signed counts, whoever brought it, and no older one ever again."""

import dataclasses
from pathlib import Path

import pytest

from client.agent.rosters import Rosters
from common.errors import AggregationError, SignatureError
from common.trust.keys import SigningKey
from common.trust.roster import Roster, SiteEntry

CENTRE, FEDERATION = SigningKey.generate(), "f" * 64


def roster(number: int, *names: str, federation: str = FEDERATION) -> Roster:
    sites = tuple(
        SiteEntry(
            name=name,
            identity=SigningKey.generate().public.text,
            node=f"of {name}",
            camera_type="door",
            people=5,
        )
        for name in names or ("north",)
    )
    return Roster(federation=federation, number=number, sites=sites)


def signed(roster: Roster, key: SigningKey = CENTRE) -> str:
    return roster.sign(key).to_json()


def rosters(folder: Path, pinned: Roster | None = None) -> Rosters:
    return Rosters(folder / "roster.json", CENTRE.public, FEDERATION, lambda: pinned)


def test_without_a_roster_nobody_is_known(tmp_path: Path) -> None:
    with pytest.raises(AggregationError, match="no roster"):
        rosters(tmp_path).now()


def test_the_newer_of_the_pinned_and_the_offered_counts(tmp_path: Path) -> None:
    pinned, offered = roster(3), roster(5, "north", "south")
    known = rosters(tmp_path, pinned)
    assert known.now() == pinned
    known.offer(signed(offered))
    assert known.now() == offered
    known.offer(signed(roster(4)))  # the centre's own, only late
    assert known.now() == offered


def test_what_was_offered_survives_a_restart(tmp_path: Path) -> None:
    offered = roster(5)
    rosters(tmp_path, roster(3)).offer(signed(offered))
    again = rosters(tmp_path, roster(3))
    assert again.now() == offered
    newer = roster(6)
    assert rosters(tmp_path, newer).now() == newer


def test_two_rosters_of_one_number_are_refused(tmp_path: Path) -> None:
    pinned = roster(3)
    known = rosters(tmp_path, pinned)
    known.offer(signed(pinned))
    with pytest.raises(SignatureError, match="two rosters of one number"):
        known.offer(signed(roster(3, "north", "stranger")))
    assert known.now() == pinned


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        signed(roster(9), SigningKey.generate()),
        signed(roster(9, federation="e" * 64)),
        dataclasses.replace(roster(9).sign(CENTRE), content="{}").to_json(),
    ],
)
def test_what_the_centre_did_not_sign_for_this_federation_is_refused(
    tmp_path: Path, text: str
) -> None:
    known = rosters(tmp_path, roster(3))
    before = known.now()
    with pytest.raises(SignatureError):
        known.offer(text)
    assert known.now() == before
    assert not (tmp_path / "roster.json").exists()
