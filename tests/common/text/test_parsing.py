"""What a query wants is read by grammar: polarity, how far it reaches, ages, and what is left."""
# ruff: noqa: RUF001

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, ForbiddenError, QueryError
from common.synthetic.labels import ATTRIBUTES
from common.text.ages import OLDEST, Ages, say_age
from common.text.denied import denied_names
from common.text.forbidden import category
from common.text.grammar import sentence
from common.text.parsing import parse
from common.text.phrasing import Phrasing
from common.text.query import Query
from common.text.vocabulary import FEMALE, canonical, contradiction, names, vocabulary
from common.text.words import LONGEST

Y, N = True, False
BARE = {"beard": N, "moustache": N, "stubble": N}

# query, what is wanted, groups of which one is enough, age, what is left
AWKWARD: list[tuple[str, dict[str, bool], tuple[tuple[str, ...], ...], Ages | None, str]] = [
    ("without glasses", {"glasses": N}, (), None, ""),
    ("no beard", {"beard": N}, (), None, ""),
    ("not smiling", {"smiling": N}, (), None, ""),
    ("woman with glasses, about forty", {FEMALE: Y, "glasses": Y}, (), (35, 45), ""),
    ("戴眼镜的女人，四十岁左右", {FEMALE: Y, "glasses": Y}, (), (35, 45), ""),
    ("没有胡子", {"beard": N}, (), None, ""),
    ("without glasses or a hat", {"glasses": N, "hat": N}, (), None, ""),
    ("without a hat, glasses or a beard", {"hat": N, "glasses": N, "beard": N}, (), None, ""),
    (
        "a hat, glasses or a beard, smiling",
        {"smiling": Y},
        (("hat", "glasses", "beard"),),
        None,
        "",
    ),
    ("no hat and a beard", {"hat": N, "beard": Y}, (), None, ""),
    ("without a hat and a beard", {"hat": N, "beard": N}, (), None, ""),
    ("without glasses and smiling", {"glasses": N, "smiling": Y}, (), None, ""),
    ("without glasses, with a beard", {"glasses": N, "beard": Y}, (), None, ""),
    ("no glasses but a beard", {"glasses": N, "beard": Y}, (), None, ""),
    ("beard, no glasses, hat", {"beard": Y, "glasses": N, "hat": Y}, (), None, ""),
    ("no beard glasses", {"beard": N, "glasses": Y}, (), None, ""),
    ("not smiling or wearing a hat", {"smiling": N, "hat": N}, (), None, ""),
    ("doesn't have a beard, wears glasses", {"beard": N, "glasses": Y}, (), None, ""),
    ("not without glasses", {"glasses": Y}, (), None, ""),
    ("不是没戴眼镜", {"glasses": Y}, (), None, ""),
    ("neither glasses nor beard", {"glasses": N, "beard": N}, (), None, ""),
    ("black or brown hair", {}, (("black_hair", "brown_hair"),), None, ""),
    ("no long black hair", {"long_hair": N, "black_hair": N}, (), None, ""),
    ("hair that is not black", {"black_hair": N}, (), None, ""),
    ("头发不是黑色", {"black_hair": N}, (), None, ""),
    ("黑色长发", {"black_hair": Y, "long_hair": Y}, (), None, ""),
    ("short hair", {"long_hair": N}, (), None, ""),
    ("a short man", {FEMALE: N}, (), None, "short"),
    ("grey beard", {"beard": Y}, (), None, "grey"),
    ("pink hair", {}, (), None, "pink hair"),
    ("clean-shaven", BARE, (), None, ""),
    ("mouth closed, eyes open", {"mouth_open": N, "eyes_closed": N}, (), None, ""),
    ("no hair", {"bald": Y}, (), None, ""),
    ("five o'clock shadow", {"stubble": Y}, (), None, ""),
    ("not a man with glasses", {FEMALE: Y, "glasses": Y}, (), None, ""),
    ("man or woman with a hat", {"hat": Y}, (), None, ""),
    ("without purple tentacles", {}, (), None, "without purple tentacles"),
    ("no dog, glasses", {"glasses": Y}, (), None, "no dog"),
    ("没戴眼镜的男人，有胡子", {FEMALE: N, "glasses": N, "beard": Y}, (), None, ""),
    ("没有胡子和眼镜", {"beard": N, "glasses": N}, (), None, ""),
    ("没有胡子戴眼镜", {"beard": N, "glasses": Y}, (), None, ""),
    ("戴眼鏡，沒有鬍子的老人", {"glasses": Y, "beard": N, "elderly": Y}, (), None, ""),
    ("棕色或者黑色的头发", {}, (("brown_hair", "black_hair"),), None, ""),
    ("无框眼镜", {"glasses": Y}, (), None, ""),
    ("in her early thirties, no hat", {"hat": N}, (), (30, 34), ""),
    ("forty-two, not over 44", {}, (), (37, 44), ""),
    ("三四十岁", {}, (), (30, 50), ""),
    ("二十五六岁", {}, (), (25, 27), ""),
    ("不到三十岁，没笑", {"smiling": N}, (), (0, 30), ""),
    ("60+ bald", {"bald": Y}, (), (60, 120), ""),
]


@pytest.mark.parametrize("case", AWKWARD, ids=lambda case: case[0])
def test_awkward_queries_mean_what_a_person_means(
    case: tuple[str, dict[str, bool], tuple[tuple[str, ...], ...], Ages | None, str],
) -> None:
    text, wanted, either, age, remainder = case
    query = parse(text, gender=True)
    assert query == Query(wanted=wanted, either=either, age=age, remainder=remainder)


def wanted_ones() -> st.SearchStrategy[dict[str, bool]]:
    some = st.dictionaries(st.sampled_from(names()), st.booleans(), max_size=8)
    return some.filter(lambda wanted: contradiction(wanted) is None)


AGES = st.one_of(
    st.none(),
    st.tuples(st.integers(10, 100), st.integers(1, 40)).map(
        lambda a: (a[0], min(a[0] + a[1], 119))
    ),
    st.integers(10, 119).map(lambda high: (0, high)),
    st.integers(10, 119).map(lambda low: (low, OLDEST)),
)


@given(
    wanted=wanted_ones(),
    age=AGES,
    female=st.sampled_from([None, True, False]),
    chance=st.sampled_from([None, 0.5, 0.72, 0.9, 0.99]),
    language=st.sampled_from(["en", "zh"]),
)
def test_every_sentence_of_the_grammar_is_read_back(wanted, age, female, chance, language) -> None:
    if female is not None:
        wanted = {FEMALE: female, **wanted}
    confidence = None if chance is None else dict.fromkeys(list(wanted)[::2], chance)
    said = sentence(wanted, age, confidence=confidence, language=language)
    assert category(said) is None
    assert parse(said, gender=True) == Query(wanted=wanted, age=age), said


@given(years=st.floats(12, 95), language=st.sampled_from(["en", "zh"]))
def test_an_age_in_words_holds_the_age_it_was_said_of(years: float, language) -> None:
    low, high = parse(say_age(years, language)).age or (0, 0)
    assert low <= years <= high


@given(st.text(max_size=120))
def test_any_text_is_understood_or_refused_by_name(text: str) -> None:
    try:
        query = parse(text)
    except (ForbiddenError, QueryError):
        return
    assert set(query.attributes) <= set(names())


@given(names=st.lists(st.sampled_from(names()), unique=True, min_size=1, max_size=4))
def test_a_negation_reaches_every_thing_of_its_list_and_nothing_after_but(names: list[str]) -> None:
    things = [n for n in names if vocabulary()[n].form == "thing" and n != "something_before_face"]
    listed = " or ".join(vocabulary()[name].en.present for name in things) or "a hat"
    query = parse(f"without {listed} but smiling")
    assert query.wanted == {**dict.fromkeys(things or ["hat"], False), "smiling": True}


def test_gender_is_read_only_where_its_head_is_on() -> None:
    off = parse("woman with glasses")
    assert off.wanted == {"glasses": True} and off.unasked == ("gender",) and not off.remainder
    assert parse("woman with glasses", gender=True).unasked == ()


def test_a_choice_with_a_gender_is_left_out_while_its_head_is_off() -> None:
    off = parse("a woman or someone with glasses")
    assert off.either == () and off.unasked == ("gender",)
    assert parse("女人或者戴眼镜").either == ()
    assert parse("a woman or glasses", gender=True).either == ((FEMALE, "glasses"),)


def test_a_colour_that_lost_its_thing_is_not_embedded() -> None:
    for text, wanted in (("a black hat", "hat"), ("white beard", "beard"), ("hat is brown", "hat")):
        query = parse(text)
        assert query.wanted == {wanted: True}
        assert (query.remainder, query.unasked) == ("", ("words",)), text


def test_where_a_site_denies_anything_nothing_is_left_over() -> None:
    for text in ("beardy", "glasses and a beared", "no berd", "pink hair, glasses", "胡"):
        assert parse(text).remainder
        query = parse(text, also=("beard",))
        assert (query.remainder, query.unasked) == ("", ("words",))
        assert query.wanted in ({}, {"glasses": True})


@given(seed=st.integers(0, 2**32 - 1), denied=st.sampled_from(["age", "hair", "sex", "beard"]))
def test_honest_queries_are_answered_whatever_a_site_denies(seed: int, denied: str) -> None:
    phrased = Phrasing(np.random.default_rng(seed)).draw()
    about = {*phrased.attributes, *(["age"] if phrased.age else [])}
    try:
        query = parse(phrased.text, also=(denied,))
    except ForbiddenError:
        plain = parse(phrased.text)
        spoken = {*about, *plain.unasked}
        assert spoken & denied_names([denied]) or denied in phrased.text  # "chin beard"
        return
    assert not about & denied_names([denied])
    assert (query.wanted, query.age) == (phrased.attributes, phrased.age)


@pytest.mark.parametrize(
    "text", ["glasses, no glasses", "bald with long hair", "not forty", "under 30, over 40"]
)
def test_contradictions_are_told_and_never_guessed(text: str) -> None:
    with pytest.raises(QueryError):
        parse(text)


def test_forbidden_and_endless_queries_are_refused_unread() -> None:
    with pytest.raises(ForbiddenError, match="religion"):
        parse("glasses, no headscarf")
    with pytest.raises(ForbiddenError, match="policy"):
        parse("freckles", also=("freckles",))
    for endless in ("a" * (LONGEST + 1), "muslim " * LONGEST):
        with pytest.raises(QueryError, match="characters"):
            parse(endless)


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        *(("freckled", "freckles"), ("雀斑", "freckles"), ("a man", "gender"), ("女人", "female")),
        *(("in her forties", "age"), ("glasses or specs", "glasses"), ("no hat", "hat")),
    ],
)
def test_an_attribute_that_a_site_denies_is_denied_in_any_words(text: str, denied: str) -> None:
    parse(text)
    with pytest.raises(ForbiddenError, match="policy"):
        parse(text, also=(denied,))


def test_no_phrase_of_the_vocabulary_is_forbidden() -> None:
    for attribute in vocabulary().values():
        for phrases in (attribute.en, attribute.zh):
            said = (phrases.present, phrases.absent, *phrases.words)
            assert category([attribute.name, *said]) is None, attribute.name


def test_every_listed_word_means_its_attribute() -> None:
    for attribute in vocabulary().values():
        for phrases in (attribute.en, attribute.zh):
            for word in (phrases.present, *phrases.words):
                assert parse(word).wanted == {attribute.name: True}, word
            assert parse(phrases.absent).wanted == {attribute.name: False}


def test_labels_of_invented_people_have_canonical_names_or_are_forbidden() -> None:
    found = {}
    for name in ATTRIBUTES:
        try:
            found[name] = canonical(name)
        except ForbiddenError:
            found[name] = None
    assert [name for name, meant in found.items() if meant is None] == [
        *("light_skin", "medium_skin", "dark_skin", "headscarf")
    ]
    assert found["under_35"] == ("young", True)
    assert canonical("No_Beard") == ("beard", False)
    assert canonical("Male") == (FEMALE, False)
    assert canonical("Attractive") is None and canonical("anything") is None
    for column in ("Pale_Skin", "Chubby", "Narrow_Eyes", "Big_Lips", "Big_Nose", "Double_Chin"):
        with pytest.raises(ForbiddenError):
            canonical(column)


def test_only_what_has_a_phrase_can_be_said() -> None:
    with pytest.raises(ConfigError):
        sentence({"dark_skin": True})
