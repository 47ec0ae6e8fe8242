"""What heads say at the door: only to whom it may be said, of whom agreed, and never a number."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.door.callers import Role
from client.door.reception import Reception
from client.door.thresholds import Band
from client.door.wording import Wording
from client.door.words import read_words
from client.vault.store import Vault
from common.errors import (
    AuditError,
    ConfigError,
    ForbiddenError,
    MascaronError,
    ModelError,
    NoFaceError,
    NotReadyError,
    QueryBudgetError,
    QueryError,
    RoleError,
)
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.gender import GenderHead
from common.heads.heads import Heads, Readings
from common.heads.heads_file import heads_bytes
from common.text.query import Query
from common.text.search import Ranking, Searcher
from protos.gen import recognition_pb2 as pb
from tests.small_doorway import doorway
from tests.small_reception import ANYTHING, RULES, Site, caller, picture
from tests.small_releases import TRUNK, feature
from tests.small_vault import NOW, OTHER, consent, person
from tests.small_words import heads, looks, words

AGREED, OTHERS = range(1, 13), range(13, 17)
EVERYBODY = 20


@pytest.fixture
def site(quick_path: Path) -> Iterator[Site]:
    with Site(quick_path) as made:
        made.open_for(AGREED, "verify", "text")
        made.open_for(OTHERS, "verify", "identify", "training")
        yield made


@pytest.fixture
def door(site: Site) -> Reception:
    return site.reception


def glasses(numbers: range, so: bool = True) -> set[bytes]:
    return {person(n) for n in numbers if looks(n)["glasses"] is so}


def found(door: Reception, query: str, band: Band = Band.MATCH) -> set[bytes]:
    return {who for who, how in door.search(ANYTHING, query, EVERYBODY).persons if how is band}


def test_a_face_is_described_by_what_is_sure_enough(site: Site, door: Reception) -> None:
    for number in AGREED:
        told = door.describe(ANYTHING, picture(number, 7))
        seen = {one.name: one.present for one in told.said}
        assert seen.items() <= looks(number, 7).items()
        assert ("glasses" in told.sentence) == ("glasses" in seen)
        assert {one.sureness for one in told.said} <= {"probable", "likely", "certain"}
    assert site.told()[-1] == ("describe", "done")
    assert site.rows()[-1].event.reference.endswith(":" + "f" * 12)


def test_a_face_is_described_in_chinese(door: Reception) -> None:
    assert door.describe(ANYTHING, picture(1, 7), "zh").sentence.startswith("一个")


def test_a_stranger_is_described_and_nobody_is_looked_up(site: Site, door: Reception) -> None:
    before = site.vault.generation
    assert door.describe(ANYTHING, picture(777, 1)).sentence
    assert site.vault.generation == before
    assert site.rows()[-1].event.subject == b""


def test_what_a_probe_showed_is_zeroed(site: Site, door: Reception) -> None:
    door.describe(ANYTHING, picture(1, 7))
    assert not site.eye.last.features[TRUNK].any()
    with pytest.raises(NoFaceError):
        door.describe(ANYTHING, b"empty")
    assert site.told()[-1] == ("describe", "NO_SINGLE_FACE")


@pytest.mark.parametrize(
    ("query", "so"), [("with glasses", True), ("戴眼镜", True), ("no glasses", False)]
)
def test_those_are_found_who_agreed_and_look_so(door: Reception, query: str, so: bool) -> None:
    assert glasses(AGREED, so)  # else this would show nothing
    assert found(door, query) == glasses(AGREED, so)


def test_of_two_things_asked_for_one_alone_is_near(door: Reception) -> None:
    near = found(door, "glasses and a hat", Band.NEAR)
    assert near == {person(n) for n in AGREED if sum(looks(n).values()) == 1}
    assert found(door, "glasses and a hat") == {person(n) for n in AGREED if all(looks(n).values())}


def test_who_does_not_agree_any_more_is_not_found(site: Site, door: Reception) -> None:
    plain = glasses(AGREED, so=False)
    first, second, third = sorted(plain)[:3]
    site.vault.renew(first, consent("verify"), now=NOW)
    site.vault.renew(second, consent("verify", "text", expires=NOW + 50), now=NOW)
    assert found(door, "no glasses") == plain - {first}
    site.clock.now = NOW + 60
    site.reception.erase(ANYTHING, [third])
    assert found(door, "no glasses") == plain - {first, second, third}


def test_nobody_is_opened_who_did_not_agree(
    site: Site, door: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, held = set(), Vault.held
    monkeypatch.setattr(Vault, "load", lambda *_: pytest.fail("all templates were opened"))

    def holds(self: Vault, one: Any, trunk: str) -> Any:
        opened.add(one)
        return held(self, one, trunk)

    monkeypatch.setattr(Vault, "held", holds)
    assert found(door, "glasses")
    assert opened == {person(n) for n in AGREED}


def test_where_nobody_agreed_nobody_is_found(quick_path: Path) -> None:
    with Site(quick_path) as made:
        made.open_for(OTHERS, "verify", "identify", "training")
        assert made.reception.search(ANYTHING, "glasses", 5).persons == ()
        assert made.told()[-1] == ("search", "done")
        with pytest.raises(QueryError):  # as where somebody did
            made.reception.search(ANYTHING, "a beard", 5)


def test_features_of_a_search_are_zeroed_whatever_happens(
    door: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []
    read = Heads.read

    def reads(self: Heads, features: Any) -> Any:
        if len(features) == 1:
            return read(self, features)  # nobody's
        kept.append(features)
        raise ModelError("heads that break")

    monkeypatch.setattr(Heads, "read", reads)
    with pytest.raises(ModelError):
        door.search(ANYTHING, "glasses", 5)
    assert kept[0].shape[0] == len(AGREED) and not kept[0].any()


@pytest.mark.parametrize("query", ["a muslim woman", "dark skin", "depressed man", "同性恋"])
def test_what_is_forbidden_is_not_searched_and_not_repeated(
    site: Site, door: Reception, query: str
) -> None:
    rows = len(site.rows())
    with pytest.raises(ForbiddenError) as refused:
        door.search(ANYTHING, query, 5)
    assert query not in str(refused.value)
    assert len(site.rows()) == rows


def test_what_no_head_reads_is_told_and_alone_it_is_refused(door: Reception) -> None:
    told = door.search(ANYTHING, "woman with glasses and a beard", 5)
    assert set(told.unasked) == {"gender", "beard"}
    with pytest.raises(QueryError):
        door.search(ANYTHING, "a beard", 5)


def test_questions_about_looks_count_against_the_budget(site: Site, door: Reception) -> None:
    who = caller("desk", Role.DESCRIBE, Role.SEARCH, hourly=3)
    door.describe(who, picture(1))
    door.search(who, "glasses", 1)
    with pytest.raises(QueryError):  # which told nothing of anybody
        door.search(who, "a beard", 1)
    door.search(who, "no hat", 1)
    with pytest.raises(QueryBudgetError):
        door.search(who, "glasses", 1)


def test_each_is_off_until_it_is_switched_on(site: Site) -> None:
    rules = dataclasses.replace(RULES, describe=False, search=False)
    door = site.with_parts(rules=rules)
    for call in (lambda: door.describe(ANYTHING, picture(1)), lambda: door.search(ANYTHING, "hat")):
        with pytest.raises(RoleError, match="switched off"):
            call()


def test_without_heads_nothing_is_said(site: Site) -> None:
    with pytest.raises(NotReadyError, match="heads"):
        site.with_parts(words=Wording()).describe(ANYTHING, picture(1))


@pytest.mark.parametrize("what", ["describe", "search"])
def test_no_answer_without_its_row(site: Site, door: Reception, what: str) -> None:
    site.log.close()
    with pytest.raises(AuditError):
        door.describe(ANYTHING, picture(1)) if what == "describe" else door.search(ANYTHING, "hat")


def test_what_the_policy_denies_is_neither_said_nor_asked_for(site: Site) -> None:
    denied = dataclasses.replace(words(), denied=("glasses",))
    door = site.with_parts(words=Wording(denied))
    for number in AGREED:
        assert "glasses" not in {one.name for one in door.describe(ANYTHING, picture(number)).said}
    for query in ("glasses", "戴眼镜", "no glasses and a hat"):
        with pytest.raises(ForbiddenError):
            door.search(ANYTHING, query, 5)
    assert door.search(ANYTHING, "a hat", 5).persons


def _everything() -> Heads:
    """Heads of glasses and youth, of years, and of gender."""
    known = heads()
    weight = known.arrays["heads.attributes.weight"]
    return dataclasses.replace(
        known,
        heads=(
            AttributesHead(names=("glasses", "young"), shown=(50, 50), absent=(50, 50)),
            AgeHead(cuts=(30, 50, 70)),
            GenderHead(female=50, male=50),
        ),
        arrays={
            **known.arrays,
            "heads.gender.weight": weight[:1],
            "heads.gender.bias": np.zeros(1, np.float32),
        },
        weights={"attributes": 1.0, "age": 1.0, "gender": 1.0},
    )


@pytest.mark.parametrize(
    ("denied", "names", "age", "gender"),
    [
        ((), ("glasses", "young"), True, True),
        (("age",), ("glasses",), False, True),
        (("young",), ("glasses",), True, True),
        (("female",), ("glasses", "young"), True, False),
        (("Gender",), ("glasses", "young"), True, False),
        (("Eyeglasses", "Age", "male"), (), False, False),
        (("religion",), ("glasses", "young"), True, True),
    ],
)
def test_nothing_is_read_of_what_a_denied_word_is_about(
    denied: tuple[str, ...], names: tuple[str, ...], age: bool, gender: bool
) -> None:
    told = dataclasses.replace(words(), heads=_everything(), denied=denied)
    read = told.read(np.array([feature(1, 0)], np.float32))
    assert read.names == names
    assert read.attributes is not None and read.attributes.shape == (1, len(names))
    assert ((read.age is not None), (read.age_range is not None)) == (age, age)
    assert (read.female is not None) is gender


def test_who_is_erased_or_withdraws_while_a_search_runs_is_not_named(
    site: Site, door: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = glasses(AGREED, so=False)
    gone, withdrawn = sorted(plain)[:2]
    ranked = Searcher.rank

    def ranks(self: Searcher, query: Query, readings: Readings) -> Ranking:
        if readings.attributes is not None and len(readings.attributes) > 1:
            site.vault.erase([gone], now=NOW)
            site.vault.renew(withdrawn, consent("verify"), now=NOW)
        return ranked(self, query, readings)

    monkeypatch.setattr(Searcher, "rank", ranks)
    assert found(door, "no glasses") == plain - {gone, withdrawn}


def test_who_look_alike_come_in_one_order(site: Site, door: Reception) -> None:
    told = [who for who, _ in door.search(ANYTHING, "no glasses", EVERYBODY).persons]
    assert told == [who for who, _ in door.search(ANYTHING, "no glasses", EVERYBODY).persons]


def test_heads_of_another_trunk_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.heads.safetensors"
    path.write_bytes(heads_bytes(heads()))
    assert read_words(path, TRUNK).heads.trunk == TRUNK
    with pytest.raises(ConfigError, match="another trunk"):
        read_words(path, OTHER)
    path.write_bytes(b"no heads")
    with pytest.raises(MascaronError):
        read_words(path, TRUNK)


def test_over_a_socket_words_and_bands_come_and_no_number(quick_path: Path) -> None:
    with doorway(quick_path) as way, way.at() as door:
        told = door.describe(picture(1, 7))
        assert told == way.site.reception.describe(ANYTHING, picture(1, 7))
        asked = door.search("glasses, about forty", 20)
        assert asked == way.site.reception.search(ANYTHING, "glasses, about forty", 20)
        for query, reason in (
            ("a jewish man", "TOPIC_FORBIDDEN"),
            ("a beard", "QUERY_UNCLEAR"),
            ("x" * 401, "INVALID_REQUEST"),
        ):
            with pytest.raises(MascaronError) as refused:
                door.search(query, 5)
            assert refused.value.reason == reason
            assert query not in str(refused.value)
        with pytest.raises(MascaronError):
            door.describe(picture(1), "fr")  # type: ignore[arg-type]
    kinds = {
        field.type
        for message in (pb.DescribeResponse, pb.SearchResponse, pb.Said, pb.Candidate)
        for field in message.DESCRIPTOR.fields
    }
    numbers = {pb.Said.DESCRIPTOR.fields[0].TYPE_DOUBLE, pb.Said.DESCRIPTOR.fields[0].TYPE_FLOAT}
    assert not kinds & numbers


def test_a_search_is_the_same_for_whoever_is_not_searched(site: Site, door: Reception) -> None:
    """Nothing about people who did not agree changes what is told of those who did."""
    before = door.search(ANYTHING, "glasses", EVERYBODY)
    site.reception.erase(ANYTHING, [person(n) for n in OTHERS])
    assert door.search(ANYTHING, "glasses", EVERYBODY) == before
    assert np.array_equal(
        [b for _, b in before.persons],
        sorted((b for _, b in before.persons), key=lambda b: b is not Band.MATCH),
    )
