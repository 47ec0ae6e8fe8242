"""What is never said of anybody is refused however it is written, and never repeated."""
# ruff: noqa: RUF001

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import read_toml
from common.errors import ForbiddenError
from common.synthetic.labels import ATTRIBUTES
from common.text.forbidden import CATEGORIES, LISTED, category, refuse

REFUSED = {
    "race": [
        *("black man", "a BLACK   person", "White woman with glasses", "who is black", "Asian"),
        *(
            "dark-skinned",
            "pale skin",
            "dark_skin",
            "Pale_Skin",
            "lightSkin",
            "а Мaori",
            "light people",
        ),
        *(
            "ｂｌａｃｋ woman",
            "bl\u200back guys",
            "ásian",
            "黑人",
            "皮膚黑",
            "白种人 白 色 的 女人",
            "亚洲男人",
        ),
        *("a black man with black hair", "black and bald", "black bearded man", "mixed-race"),
        *("a person with glasses who is black", "somebody with a hat, black", "glasses, black"),
        *("man with a beard and white", "a hat and is brown", "hair is short and he is black"),
        *("somebody black, glasses", "black, big glasses", "black and glasses", "black, hair"),
        *("a hat that is brown, white", "hair. black", "hat\uff0cblack", "a hat \u2014 black"),
        *("blacks", "whites", "browns", "a crowd of blacks", "coloureds", "with tans"),
        *("黑种人", "白种人", "黑小姐", "黑先生", "黑姑娘", "黑老人", "脸很黑", "脸太白"),
    ],
    "religion": [
        "headscarf",
        "a woman in a hijab",
        "Muslim",
        "戴头巾的女人",
        "頭巾",
        "turbans",
        "佛教徒",
    ],
    "politics": ["communist", "left-wing", "党员", "a far-right voter"],
    "sexuality": ["gay man", "straight men", "straights", "transgender", "同性恋", "LGBTQ+"],
    "health": ["disabled", "fat", "in a wheelchair", "Double_Chin", "孕妇", "pregnant", "胖"],
    "emotion": ["happy", "not angry", "sad-looking", "没有不高兴", "她很伤心", "anxious"],
}
ALLOWED = [
    *("black hair", "Black_Hair", "black or dark brown hair", "black, curly hair", "black-haired"),
    *("a white beard", "dark glasses", "hair that is black", "black-framed glasses", "smiling"),
    *(
        "straight hair",
        "woman with glasses, about forty",
        "light from the left",
        "red hair",
        "mask",
    ),
    *(
        "戴眼镜的女人，四十岁左右",
        "没有胡子",
        "黑头发",
        "黑色的头发",
        "白发",
        "微笑",
        "黑发男人",
        "a black hat",
    ),
    *("five o'clock shadow", "bangs", "young", "blond", "grey-haired man", ""),
    *("a hat which is brown", "hair is black or dark brown", "hair that is neither black nor red"),
    *(
        "hair: black",
        "hair colour black",
        "hair has turned white",
        "his hair's white",
        "hat, black cap",
    ),
    *(
        "a black and white hat",
        "black & white scarf",
        "glasses that are big and black",
        "BlackHair",
    ),
    *("white, thick beard", "black, long, curly hair", "somebody, dark-haired, light, a hat"),
    *("鹅蛋脸，黑头发", "脸很白的头发", "侧脸，棕色头发的女人"),
]


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, ts in REFUSED.items() for t in ts])
def test_it_is_refused_by_its_category(name: str, text: str) -> None:
    with pytest.raises(ForbiddenError) as error:
        refuse(text)
    assert error.value.category == name


@pytest.mark.parametrize("text", ALLOWED)
def test_what_can_be_seen_is_allowed(text: str) -> None:
    assert category(text) is None


def test_attributes_of_invented_people_that_may_not_be_said_are_known() -> None:
    forbidden = {name for name in ATTRIBUTES if category(name) is not None}
    assert forbidden == {"light_skin", "medium_skin", "dark_skin", "headscarf"}


def test_one_of_many_names_is_enough() -> None:
    refuse(["glasses", "beard"])
    with pytest.raises(ForbiddenError):
        refuse(["glasses", "beard", "ethnicity"])


def test_a_site_denies_what_it_wants_besides() -> None:
    refuse("a woman with freckles")
    for text in ("a woman with freckles", "FRECKLES", "雀斑"):
        with pytest.raises(ForbiddenError) as error:
            refuse(text, also=("freckle", "雀斑"))
        assert error.value.category == "site"


@pytest.mark.parametrize("name", CATEGORIES)
def test_every_listed_word_is_refused_amid_others(name: str) -> None:
    for entry in (*(table := read_toml(LISTED)[name])["en"], *table["zh"]):
        assert category(f"somebody, {entry.rstrip('*')}, with glasses") is not None, entry


@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_what_was_written_is_never_repeated(before: str, after: str) -> None:
    secret = "zebedee"
    with pytest.raises(ForbiddenError) as error:
        refuse(f"{before} {secret} , muslim , {after}")
    assert secret not in str(error.value)


ENGLISH = [entry.rstrip("*") for name in CATEGORIES for entry in read_toml(LISTED)[name]["en"]]


@given(entry=st.sampled_from(ENGLISH), data=st.data())
def test_capitals_anywhere_hide_nothing(entry: str, data: st.DataObject) -> None:
    raised = data.draw(st.lists(st.booleans(), min_size=len(entry), max_size=len(entry)))
    written = "".join(one.upper() if up else one for one, up in zip(entry, raised, strict=True))
    assert category(written) is not None
    assert category(f"somebody with {written}") is not None


@pytest.mark.parametrize(
    "unseen",
    [
        *("\u3164", "\uffa0", "\u115f", "\u1160", "\u2800", "\u2065", "\U000e0002", "\u20dd"),
        *("\x7f", "\x00", "\x1c", "\u0345", "\u200b", "\u00ad", "\u034f", "\ufe0f", "\u2066"),
    ],
    ids=ascii,
)
def test_characters_that_nobody_sees_hide_nothing(unseen: str) -> None:
    for entry in ENGLISH:
        assert category(entry[0] + unseen + entry[1:]) is not None, entry
    assert category(f"light{unseen}Skin") == "race"
    assert category(f"黑{unseen}人") == "race"


@given(st.text(max_size=200))
def test_any_text_is_judged_and_judged_alike_in_capitals(text: str) -> None:
    assert category(text) == category(text.upper().lower()) or text.upper().lower() != text.lower()
