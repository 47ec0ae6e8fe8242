"""Whatever an operator calls what is denied, everything that it is about is denied."""

import pytest

from common.errors import ForbiddenError
from common.text.denied import denied_names
from common.text.parsing import parse
from common.text.vocabulary import canonical, names, vocabulary


@pytest.mark.parametrize(
    ("word", "about"),
    [
        ("age", {"age", "young", "elderly"}),
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
    ],
)
def test_no_query_asks_for_it(query: str, denied: str) -> None:
    parse(query)
    with pytest.raises(ForbiddenError):
        parse(query, also=(denied,))
