"""What a federation taught its heads reaches a door with the release, and goes back with it."""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.commands.evidence import show_command, word_of_centre
from client.door.reception import Reception
from client.door.wording import Wording
from client.policy import ReleasePolicy
from common.errors import EvidenceError, ReleaseError, WithdrawnError
from common.heads.heads import Heads
from common.heads.heads_file import heads_bytes
from tests.client.door.test_vouching import standing
from tests.small_headed import heads_of, heads_section, lost
from tests.small_reception import ANYTHING, Site, picture
from tests.small_releases import DIM, tail_of
from tests.small_vault import TRUNK
from tests.small_words import words
from tests.vouched_site import Sections, Vouched

FIRST, SECOND = (heads_of(seed, trunk=TRUNK, width=DIM) for seed in (2, 3))
KINDS = ReleasePolicy().heads
PEOPLE = range(1, 13)


@pytest.fixture
def vouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vouched:
    return Vouched(tmp_path, monkeypatch)


@pytest.fixture
def site(quick_path: Path) -> Iterator[Site]:
    with Site(quick_path / "door") as made:
        made.open_for(PEOPLE, "verify", "text")
        yield made


@pytest.fixture
def door(vouched: Vouched, site: Site) -> Reception:
    return site.with_parts(vouching=vouched.member, words=Wording(words(), KINDS))


def digest(heads: Heads) -> str:
    return hashlib.sha256(heads_bytes(heads)).hexdigest()


def said(door: Reception) -> list[object]:
    return [door.describe(ANYTHING, picture(number)) for number in PEOPLE]


def staged(vouched: Vouched, door: Reception, seed: int, heads: Heads | None) -> None:
    made = vouched.promote(seed, heads)
    vouched.fetch()
    door.stage_signed(ANYTHING, made.to_bytes())


def test_heads_are_staged_promoted_and_rolled_back_with_their_release(
    vouched: Vouched, site: Site, door: Reception
) -> None:
    own = said(door)
    staged(vouched, door, 2, FIRST)
    assert said(door) == own
    assert door.status(ANYTHING).staged_heads == digest(FIRST)
    door.promote(ANYTHING)
    first = said(door)
    assert first != own and door.status(ANYTHING).heads == digest(FIRST)
    assert site.rows()[-1].event.reference.endswith(":" + digest(FIRST)[:12])
    staged(vouched, door, 3, SECOND)
    door.promote(ANYTHING)
    assert said(door) != first
    door.rollback(ANYTHING)
    assert said(door) == first
    told = door.status(ANYTHING)
    assert (told.heads, told.kinds) == (digest(FIRST), ("attributes", "age", "words"))


def test_what_a_release_brings_is_shown_before_it_is_staged(vouched: Vouched) -> None:
    vouched.promote(2, FIRST)
    vouched.fetch()
    told = show_command(vouched.home, None)
    kinds = ["attributes", "age", "words"]
    assert told["heads"] == {"file": digest(FIRST), "kinds": kinds} and told["passes"]
    assert told["figures"]["attributes_lost"]["value"] == 0.001
    vouched.promote(3)
    vouched.fetch()
    assert show_command(vouched.home, None)["heads"] is None


def worse(sections: Sections) -> None:
    about = sections["heads"].about
    sections["heads"] = heads_section(about, FIRST, age=lost("age", 9.0))


def unnamed(sections: Sections) -> None:
    told = {**sections["statement"].figures, "heads": digest(SECOND)}
    sections["statement"] = dataclasses.replace(sections["statement"], figures=told)


@pytest.mark.parametrize(("spoil", "gate"), [(worse, "heads-judged"), (unnamed, "heads")])
def test_heads_that_fail_are_signed_in_vain(
    vouched: Vouched, door: Reception, spoil: object, gate: str
) -> None:
    made = vouched.release(2, spoil, FIRST)  # type: ignore[arg-type]
    vouched.put(vouched.longer("promote", made))
    vouched.fetch()
    with pytest.raises(EvidenceError, match=f"release: {gate}$"):
        door.stage_signed(ANYTHING, made.to_bytes())
    assert door.status(ANYTHING).staged is None


def test_the_limits_of_the_site_count_for_heads_too(vouched: Vouched, door: Reception) -> None:
    text = vouched.home.policy.read_text("utf-8")
    strict = text.replace("# least_tar = 0.9", "most_years_lost = 0.01")
    assert strict != text
    vouched.home.policy.write_text(strict, "utf-8")
    with pytest.raises(EvidenceError, match="heads-judged"):
        staged(vouched, door, 2, FIRST)


def test_of_two_releases_with_one_tail_the_withdrawn_one_is_known_by_its_heads(
    vouched: Vouched, door: Reception
) -> None:
    first = vouched.promote(2, FIRST)
    vouched.fetch()
    door.stage_signed(ANYTHING, first.to_bytes())
    door.promote(ANYTHING)
    staged(vouched, door, 2, SECOND)
    door.promote(ANYTHING)
    assert door.status(ANYTHING).active == door.status(ANYTHING).previous == tail_of(2).hash
    assert word_of_centre(vouched.home, standing(door))["advice"] == "nothing"
    vouched.put(vouched.longer("withdraw", first, reason="they read ages badly"))
    vouched.fetch()
    assert word_of_centre(vouched.home, standing(door))["advice"] == "nothing"
    with pytest.raises(WithdrawnError):
        door.rollback(ANYTHING)
    assert door.status(ANYTHING).heads == digest(SECOND)


def test_heads_that_this_site_cannot_read_are_not_staged(
    vouched: Vouched, site: Site, door: Reception
) -> None:
    head = FIRST.head("words")
    assert head is not None
    other = dataclasses.replace(head, encoder="0" * 64)  # type: ignore[type-var]
    heads = tuple(other if one.kind == "words" else one for one in FIRST.heads)
    strange = dataclasses.replace(FIRST, heads=heads)
    with pytest.raises(ReleaseError, match="leave words out"):
        staged(vouched, door, 2, strange)
    without = site.with_parts(
        vouching=vouched.member, words=Wording(words(), ("attributes", "age"))
    )
    staged(vouched, without, 3, strange)
    without.promote(ANYTHING)
    assert without.status(ANYTHING).kinds == ("attributes", "age")


def test_neither_log_nor_status_nor_shelf_says_how_anybody_looks(
    vouched: Vouched, site: Site, door: Reception
) -> None:
    staged(vouched, door, 2, FIRST)
    door.promote(ANYTHING)
    said(door)
    door.search(ANYTHING, "glasses", 5)
    looks = [word.encode() for word in ("glasses", "beard", "L1", "L12")]
    rows = repr([row.event for row in site.rows()]).encode()
    told = repr(door.status(ANYTHING)).encode()
    for word in looks:
        assert word not in rows and word not in told
    for path in (site.folder / "releases").iterdir():
        if not path.name.endswith(".heads.safetensors"):  # which name what they read
            assert not any(word in path.read_bytes() for word in looks), path.suffix
