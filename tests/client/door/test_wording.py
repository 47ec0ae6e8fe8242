"""Heads come with a release, are read while it decides, and go with it; policy chooses of them."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client.door.reception import Reception
from client.door.shelf import HEADS
from client.door.wording import Brought, Wording
from client.policy import ReleasePolicy
from client.vault.identity import PersonId
from common.errors import ConfigError, ForbiddenError, NotReadyError, ReleaseError
from common.heads.heads import Heads
from common.heads.heads_file import heads_bytes
from common.heads.words import WordsHead
from tests.small_headed import heads_of
from tests.small_reception import ANYTHING, RULES, Site, picture
from tests.small_releases import DIM, TARGET, TRUNK, deciding, peopled, releases, standing, tail_of
from tests.small_vault import NOW, OTHER
from tests.small_words import brought, heads, looks, words

PEOPLE = range(1, 13)
KINDS = ReleasePolicy().heads
CONTRARY = brought(-1)  # of whoever wears glasses they say that nobody does


@pytest.fixture
def site(quick_path: Path) -> Iterator[Site]:
    with Site(quick_path) as made:
        made.open_for(PEOPLE, "verify", "text")
        yield made


@pytest.fixture
def door(site: Site) -> Reception:
    return site.with_parts(words=Wording(words(), KINDS))


def promoted(site: Site, seed: int, content: bytes | None) -> None:
    site.releases.stage(tail_of(seed), TRUNK, content)
    site.releases.promote()


def found(door: Reception, query: str = "glasses") -> dict[PersonId, str]:
    return {who: how.value for who, how in door.search(ANYTHING, query, 20).persons}


def said(door: Reception) -> list[Any]:
    """All that is told of everybody, in order."""
    pictures = [door.describe(ANYTHING, picture(n, 7)) for n in PEOPLE]
    return [*pictures, *(door.search(ANYTHING, query, 20) for query in ("glasses", "no hat", "40"))]


def name_of(content: bytes) -> str:
    return Brought.of(content, TRUNK).name


def test_heads_are_read_from_the_promotion_on_and_a_rollback_brings_the_others_back(
    site: Site, door: Reception
) -> None:
    before = said(door)
    assert (door.status(ANYTHING).heads, door.status(ANYTHING).active_heads) == ("f" * 64, None)
    site.releases.stage(tail_of(2), TRUNK, CONTRARY)
    assert said(door) == before  # staged: nothing of it is said
    assert door.status(ANYTHING).staged_heads == name_of(CONTRARY)
    site.releases.promote()
    contrary = said(door)
    assert set(found(door)).isdisjoint(p for p, how in before[-3].persons if how == "match")
    told = door.status(ANYTHING)
    assert told.heads == told.active_heads == name_of(CONTRARY)
    assert told.kinds == ("attributes", "age") and told.previous_heads is None
    promoted(site, 3, brought(2))
    assert door.status(ANYTHING).previous_heads == name_of(CONTRARY)
    assert said(door) != contrary
    site.releases.rollback()
    assert said(door) == contrary
    promoted(site, 4, None)  # one without heads
    assert said(door) == before
    site.releases.rollback()
    assert said(door) == contrary


def test_every_answer_names_the_heads_that_it_was_read_by(site: Site, door: Reception) -> None:
    promoted(site, 2, CONTRARY)
    door.describe(ANYTHING, picture(1))
    assert site.rows()[-1].event.reference.endswith(":" + name_of(CONTRARY)[:12])


def test_heads_come_back_to_the_bit_also_for_another_process(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        for seed in (2, 3):
            made.stage(tail_of(seed), TRUNK, brought(seed))
            made.promote()
        made.rollback()
        again = releases(quick_path, vault)
        assert standing(again) == standing(made)
        for one in (made, again):
            assert one.brought is not None
            assert heads_bytes(one.brought.heads) == brought(2)
        assert [path.name for path in (quick_path / "releases").glob(f"*{HEADS}")] == [
            f"{name_of(brought(2))}{HEADS}"
        ]


def test_two_releases_may_have_one_tail_and_other_heads(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        made.stage(tail_of(1), TRUNK, brought(2))
        assert made.status().staged_calibrated
        made.promote()
        with pytest.raises(ReleaseError, match="decides already"):
            made.stage(tail_of(1), TRUNK, brought(2))
        made.calibrate(TARGET, NOW + 1)
        held = standing(made)
        assert standing(releases(quick_path, vault)) == held
        made.rollback()
        assert made.brought is None and made.active.release == tail_of(1).hash


def test_heads_that_do_not_fit_are_refused_and_change_nothing(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        before, files = standing(made), sorted((quick_path / "releases").iterdir())
        for content in (brought(2, OTHER), brought(2)[:-3], b"", b"\0" * 64):
            with pytest.raises(ReleaseError):
                made.stage(tail_of(2), TRUNK, content)
        assert standing(made) == before
        assert sorted((quick_path / "releases").iterdir()) == files


# what a site takes of them --------------------------------------------------------------------


def gendered() -> Heads:
    from common.privacy.heads import HeadTerms

    terms = (HeadTerms(kind="gender", weight=1.0, shown=(40,), absent=(60,)),)
    return heads_of(5, terms, TRUNK, DIM)


def as_brought(made: Heads) -> Brought:
    return Brought.of(heads_bytes(made), TRUNK)


def test_gender_is_read_only_where_the_policy_names_it() -> None:
    own = words()
    assert "gender" not in KINDS
    plain = Wording(None, KINDS).now(as_brought(gendered()))
    assert plain is not None and plain.kinds == ("words",)
    named = Wording(own, (*KINDS, "gender")).now(as_brought(gendered()))
    assert named is not None and named.kinds == ("gender", "words", "attributes", "age")


def test_what_a_release_does_not_bring_is_read_by_the_file(site: Site) -> None:
    ages = Brought.of(CONTRARY, TRUNK).heads.only(("age",))
    assert ages is not None
    door = site.with_parts(words=Wording(words(), KINDS))
    before = {name: found(door, name) for name in ("glasses", "older than 60")}
    promoted(site, 2, heads_bytes(ages))
    assert door.status(ANYTHING).kinds == ("age", "attributes")
    assert found(door, "glasses") == before["glasses"]
    assert found(door, "older than 60") != before["older than 60"]
    both = Wording(words(), KINDS).now(as_brought(gendered()))
    assert both is not None and both.rest is not None
    elsewhere = dataclasses.replace(words(), heads=dataclasses.replace(heads(), trunk=OTHER))
    alone = Wording(elsewhere, KINDS).now(as_brought(ages))
    assert alone is not None and alone.kinds == ("age",)  # the file is of another trunk


def test_a_release_with_no_kind_that_is_taken_leaves_the_file_in_force() -> None:
    own = words()
    for kinds in ((), ("gender",)):
        assert Wording(own, kinds).now(as_brought(heads())) is own
        assert Wording(None, kinds).now(as_brought(heads())) is None
    one = Wording(own, ("age",)).now(as_brought(heads()))
    assert one is not None and (one.heads.kinds, one.kinds) == (("age",), ("age", "attributes"))


@pytest.mark.parametrize("content", [brought(1), CONTRARY])
def test_what_the_site_denies_is_denied_whosever_heads_are_read(site: Site, content: bytes) -> None:
    own = dataclasses.replace(words(), denied=("glasses", "age"))
    door = site.with_parts(words=Wording(own, KINDS, ("glasses", "age")))
    promoted(site, 2, content)
    assert door.status(ANYTHING).heads == name_of(content)
    for number in PEOPLE:
        told = door.describe(ANYTHING, picture(number))
        assert "glasses" not in {one.name for one in told.said} and "years" not in told.sentence
    assert any(looks(number)["glasses"] for number in PEOPLE)  # else this would show nothing
    with pytest.raises(ForbiddenError):
        door.search(ANYTHING, "glasses", 5)


def test_without_a_file_a_release_alone_says_how_somebody_looks(site: Site) -> None:
    door = site.with_parts(words=Wording(None, KINDS))
    with pytest.raises(NotReadyError, match="promote a release"):
        door.describe(ANYTHING, picture(1))
    promoted(site, 2, brought(1))
    assert door.describe(ANYTHING, picture(1)).sentence
    site.releases.rollback()
    with pytest.raises(NotReadyError):
        door.describe(ANYTHING, picture(1))


def test_where_nothing_is_described_no_heads_are_read(site: Site) -> None:
    rules = dataclasses.replace(RULES, describe=False, search=False)
    door = site.with_parts(rules=rules, words=Wording(words(), KINDS))
    promoted(site, 2, brought(1))
    told = door.status(ANYTHING)
    assert (told.heads, told.kinds, told.active_heads) == (None, (), name_of(brought(1)))


def strange() -> Heads:
    """With words in the space of an encoder that is not here."""
    made = heads_of(6, trunk=TRUNK, width=DIM)
    other = [
        WordsHead(size=head.size, encoder="0" * 64) if isinstance(head, WordsHead) else head
        for head in made.heads
    ]
    return dataclasses.replace(made, heads=tuple(other))


def test_words_of_an_encoder_that_is_not_here_are_told_before_they_are_promoted() -> None:
    with pytest.raises(ReleaseError, match="leave words out"):
        Wording(words(), KINDS).check(as_brought(strange()))
    Wording(words(), ("attributes", "age")).check(as_brought(strange()))


def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[release\] heads"):
        ReleasePolicy(heads=("attributes", "emotion"))
    assert ReleasePolicy(heads=()).heads == ()
