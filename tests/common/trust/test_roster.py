"""A roster is the centre's, of this federation, never older than the last, and one for all."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, SignatureError
from common.trust.keys import SigningKey
from common.trust.roster import WHY_REVOKED, Roster, SiteEntry, check_name, read_roster
from common.trust.signed import Signed, seal

KEY = SigningKey.generate()
IDENTITIES = [SigningKey.generate().public.text for _ in range(6)]
FEDERATION = "f" * 64


def entry(index: int = 0, **changes: Any) -> SiteEntry:
    facts: dict[str, Any] = {
        "name": f"site-{index}",
        "identity": IDENTITIES[index],
        "node": f"node {index}",
        "camera_type": "door",
        "people": 10 + index,
    }
    return SiteEntry(**{**facts, **changes})


ENTRIES = st.builds(
    lambda index, people, why: entry(
        index, people=people, state="revoked" if why else "admitted", reason=why
    ),
    st.integers(0, 5),
    st.integers(1, 1_000_000),
    st.sampled_from(["", *WHY_REVOKED]),
)


def grown(changes: list[SiteEntry]) -> Roster:
    roster = Roster(federation=FEDERATION)
    for change in changes:
        roster = roster.with_site(change)
    return roster


@given(st.lists(ENTRIES, max_size=8))
def test_a_roster_is_read_as_it_was_signed_and_counts_every_change(
    changes: list[SiteEntry],
) -> None:
    roster = grown(changes)
    signed = Signed.from_json(roster.sign(KEY).to_json())
    assert read_roster(signed, KEY.public) == roster
    assert roster.number == len(changes)
    last = {change.name: change for change in changes}
    assert {site.name: site for site in roster.sites} == last
    assert set(roster.admitted) == {s for s in last.values() if s.state == "admitted"}


@given(st.lists(ENTRIES, min_size=2, max_size=6), st.data())
def test_an_older_roster_is_refused_by_whoever_knows_a_newer(
    changes: list[SiteEntry], data: st.DataObject
) -> None:
    newer = grown(changes)
    older = grown(changes[: data.draw(st.integers(0, len(changes) - 1))])
    read_roster(newer.sign(KEY), KEY.public, older)
    with pytest.raises(SignatureError, match="older than the one this site knows"):
        read_roster(older.sign(KEY), KEY.public, newer)


def test_two_rosters_of_one_number_are_a_split_view() -> None:
    one, other = (Roster(federation=FEDERATION).with_site(entry(i)) for i in (0, 1))
    assert read_roster(one.sign(KEY), KEY.public, one) == one
    with pytest.raises(SignatureError, match="shows others another one"):
        read_roster(other.sign(KEY), KEY.public, one)


def test_a_roster_of_another_federation_or_key_is_refused() -> None:
    roster = grown([entry()])
    elsewhere = dataclasses.replace(roster, federation="0" * 64)
    with pytest.raises(SignatureError, match="another federation"):
        read_roster(elsewhere.sign(KEY), KEY.public, roster)
    with pytest.raises(SignatureError, match="not by the key expected"):
        read_roster(roster.sign(SigningKey.generate()), KEY.public)


@pytest.mark.parametrize(
    "change",
    [
        {"number": -1},
        {"number": "1"},
        {"number": True},
        {"sites": "x"},
        {"sites": [{}]},
        {"more": 1},
        {"federation": None},
    ],
)
def test_signed_words_that_are_no_roster_are_refused(change: dict[str, Any]) -> None:
    table = {"federation": FEDERATION, "number": 1, "sites": [], **change}
    with pytest.raises(SignatureError, match="not a roster"):
        read_roster(seal(KEY, "roster", table), KEY.public)


@pytest.mark.parametrize("what", ["name", "identity", "node"])
def test_no_two_sites_share_what_names_them(what: str) -> None:
    twin = entry(1, **{what: getattr(entry(0), what)})
    with pytest.raises(ConfigError, match=f"two sites have the same {what}"):
        Roster(federation=FEDERATION, sites=(entry(0), twin))


def test_a_site_is_found_by_name_and_by_key() -> None:
    roster = grown([entry(0), entry(1)])
    assert roster.site("site-1") == entry(1)
    assert roster.site("site-9") is None
    holder = SigningKey.generate()
    mine = entry(2, identity=holder.public.text)
    assert roster.with_site(mine).holder(holder.public) == mine
    assert roster.holder(holder.public) is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": ""}, "site's name"),
        ({"name": "-a"}, "site's name"),
        ({"name": "../a"}, "site's name"),
        ({"name": "Ä"}, "site's name"),
        ({"name": "a\n"}, "site's name"),
        ({"name": "a" * 64}, "site's name"),
        ({"identity": "x"}, "identity"),
        ({"identity": ""}, "identity"),
        ({"camera_type": ""}, "camera_type"),
        ({"camera_type": "a\x1b[2J"}, "camera_type"),
        ({"camera_type": "a" * 65}, "camera_type"),
        ({"people": 0}, "people"),
        ({"people": 1_000_001}, "people"),
        ({"reason": "left"}, "has a reason"),
        ({"state": "revoked"}, "has a reason"),
        ({"state": "revoked", "reason": "because Fred said so"}, "has a reason"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        entry(0, **changes)


@given(st.text(max_size=70))
def test_a_name_that_passes_is_a_safe_file_name(name: str) -> None:
    try:
        check_name(name)
    except ConfigError:
        return
    assert name.isascii() and "/" not in name and "." not in name and 0 < len(name) < 64
