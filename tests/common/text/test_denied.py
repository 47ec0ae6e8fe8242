"""Whatever an operator calls what is denied, everything that it is about is denied."""

import pytest

from common.errors import ConfigError, ForbiddenError
from common.text.denied import check_denied, denied_names, denies
from common.text.parsing import parse
from common.text.vocabulary import canonical, names, vocabulary

HAIR = {name for name in names() if name.endswith("_hair")} | {"bald", "bangs", "receding_hairline"}


@pytest.mark.parametrize(
    ("word", "about"),
    [
        *((word, {"age", "young", "elderly"}) for word in ("age", " age ", "ages", "AGE", "years")),
        *((word, {"age", "young", "elderly"}) for word in ("年龄", "年齡", "年纪", "how old")),
        *(
            (word, {"gender", "female"})
            for word in ("sex", "sexes", "genders", "性别", "性別", "男女")
        ),
        *(
            (word, HAIR)
            for word in ("hair", "hairs", "hairstyle", "hair colour", "头发", "頭髮", "发型")
        ),
        *(
            (word, {"bushy_eyebrows", "arched_eyebrows"})
            for word in ("eyebrows", "eyebrow", "眉毛")
        ),
        ("facial hair", {"beard", "moustache", "goatee", "stubble", "sideburns"}),
        ("eyewear", {"glasses", "sunglasses"}),
        ("moustaches", {"moustache"}),
        ("glasses and age", {"glasses", "age", "young", "elderly"}),
        ("sex and a hat", {"gender", "female", "hat"}),
        ("attributes", {"attributes", *names()}),
        ("words", {"words"}),
        ("Age", {"age", "young", "elderly"}),
        ("gender", {"gender", "female"}),
        ("female", {"gender", "female"}),
        ("Male", {"gender", "female"}),
        ("woman", {"gender", "female"}),
        ("young", {"young"}),
        ("glasses", {"glasses"}),
        ("Eyeglasses", {"glasses"}),
        ("wearing_hat", {"hat"}),
        ("Wearing_Hat", {"hat"}),
        ("spectacles", {"glasses"}),
        ("眼镜", {"glasses"}),
        ("No_Beard", {"beard"}),
        ("grey hair", {"grey_hair"}),
        ("under_35", {"young"}),
        ("sparkling", set()),
    ],
)
def test_a_denied_word_stands_for_all_that_it_is_about(word: str, about: set[str]) -> None:
    assert denied_names([word]) == about


def test_a_name_of_the_vocabulary_is_about_itself_alone() -> None:
    for name in names():
        assert denied_names([name]) == {name}


@pytest.mark.parametrize(
    ("denied", "name", "so"),
    [
        *(("age", name, True) for name in ("young", "under_35", "mean_of_age", "over_60", "Young")),
        *(("hair", name, True) for name in ("black_hair", "bald", "Wavy_Hair")),
        *(("sex", name, True) for name in ("female", "Male", "woman", "gender")),
        *(("glasses", name, True) for name in ("eyeglasses", "Eyeglasses", "scatter.eyeglasses")),
        *(("glasses", name, False) for name in ("sunglasses", "hat", "gradient")),
        *(("age", name, False) for name in ("cabbage", "mean", "words", "beard")),
        ("grey hair", "black_hair", False),
    ],
)
def test_a_name_is_denied_by_whatever_it_is_called(denied: str, name: str, so: bool) -> None:
    assert denies([denied], name) is so


@pytest.mark.parametrize(
    "word",
    [
        *(
            "age",
            "性別",
            " hair ",
            "Eyeglasses",
            "5_o_Clock_Shadow",
            "No_Beard",
            "words",
            "under_35",
        ),
        *("race", "religion", "Muslim", "情绪", "sexual orientation", "gender", "wearing glasses"),
    ],
)
def test_what_means_something_may_be_denied(word: str) -> None:
    check_denied([word])


@pytest.mark.parametrize(
    "word", ["", "  ", "hatt", "sparkling", "contrast", "with", "glasses and tattoos", "grey", "性"]
)
def test_a_word_that_would_deny_nothing_is_refused_with_a_hint(word: str) -> None:
    with pytest.raises(ConfigError, match="denied_attributes") as error:
        check_denied(["age", word], besides=("gradient",))
    said = str(error.value)
    assert ("did you mean" in said) != ("black_hair" in said and "eyebrows" in said)
    assert ("did you mean 'hat'" in said) == (word == "hatt")
    check_denied([word], besides=(word.strip(),))


def test_every_name_and_everything_that_is_said_of_it_denies_it() -> None:
    for name in names():
        attribute = vocabulary()[name]
        assert name in denied_names([name])
        for phrases in (attribute.en, attribute.zh):
            for word in phrases.words:
                assert name in denied_names([word]), word


def test_what_is_forbidden_everywhere_denies_nothing_more() -> None:
    with pytest.raises(ForbiddenError):
        canonical("religion")
    assert denied_names(["religion", "race"]) == frozenset()


@pytest.mark.parametrize(
    ("query", "denied"),
    [
        ("somebody young", "age"),
        ("an elderly man", "age"),
        ("about forty", "Age"),
        ("with glasses", "Eyeglasses"),
        ("戴眼镜", "spectacles"),
        ("a woman with a hat", "female"),
        ("no beard", "No_Beard"),
        ("long-haired", "hair"),
        ("blonde", "头发"),
        ("a man", "sex"),
        ("四十岁左右", "年齡"),
        ("gLASSES", "glasses"),
    ],
)
def test_no_query_asks_for_it(query: str, denied: str) -> None:
    parse(query)
    with pytest.raises(ForbiddenError):
        parse(query, also=(denied,))
