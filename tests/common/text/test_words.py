"""However a word is written it comes to one form, and to no other word's."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import read_toml
from common.text import denied, lexicon, vocabulary
from common.text.forbidden import CATEGORIES, LISTED, category
from common.text.words import TRADITIONAL, forms, plain, words

FORMS = {one: others for one, *others in read_toml(TRADITIONAL)["forms"]}
# Characters of our lists that are written alike in both ways.
ALIKE = set(
    "一丁七三上下不且中丹主之乎九也二五人仇他以仰任伊伯但位低住何佛佬俄保信修健僧先光克兔全八六共其冠冷出分到前副加化十南印厚原"
    "去又及叔取口古可右吃吉同名吸吾和品哈哭唐喇喜嘛嘴四土在地型基塌墨士外多大天太女她妒妖姐姑姨威娘嫉子孕字孤孩守安完宗定害容密寸"
    "小少尚尬尼尿山工左差巴巾布帕常帽年幸府度康式形很徒得微德心快怒怕性恐恨患悲情想愉意感我或截戴手打扭找把抑投抗披拉拍拜挺接政教"
    "整斑斯新族日是普最有朝未本林架某染查柳框棒森椅概模正毒比毛氏民沮治法波泰洋洲派流浪海深混清渣港滋灰焦照父片牙牧特班球生由男留"
    "疚疾病瘤瘦癌癜白的皮盲直眉看眼睛督瞎短碴示社祈神票福移穆穿突立笑第籍粗粹精糖索罩羊美羞翼老者而耳聊肢肥肩肯胖能腔膏自至舌色"
    "艾花苗英茬藏蛋血行表袋袍被裔褐西要角訇豪起超越跟跨躁近道遮那部都酒酗酷醉重金阿障雀零震青非首骨高黑鼻"
)
TYPED = (
    *("猶太人", "國籍", "亞洲人", "亞裔", "歐洲人", "華人", "美國人", "德國人", "韓國人", "中國人"),
    *("維吾爾", "漢族", "滿族", "黃種", "殘疾", "輪椅", "懷孕", "腫瘤", "癡呆", "瘋", "憤怒"),
    *("生氣", "難過", "傷心", "緊張", "擔心", "驚訝", "同性戀", "異性戀", "跨性別", "變性", "政黨"),
    *("黨員", "共產", "國民黨", "納粹", "抗議", "工會", "面紗", "蓋頭", "東正教", "錫克", "種族"),
    *("皮膚", "頭巾", "焦慮", "厭惡", "噁心", "煩躁", "自殺", "吸毒上癮", "黃種人", "無神論"),
)


def told(table: Any) -> Iterator[str]:
    """Every text in a table of lists."""
    if isinstance(table, str):
        yield table
    elif isinstance(table, dict):
        yield from told(list(table))
        yield from told(list(table.values()))
    elif isinstance(table, list):
        for one in table:
            yield from told(one)


def listed() -> Iterator[str]:
    for place in (LISTED, denied.TOPICS, lexicon.LISTED, vocabulary.LISTED):
        yield from told(read_toml(place))


def test_every_character_of_our_lists_has_its_traditional_forms_or_has_none() -> None:
    signs = set(re.findall(r"[\u4e00-\u9fff]", "".join(listed())))
    others = list(itertools.chain.from_iterable(FORMS.values()))
    assert signs - ALIKE - FORMS.keys() - set(others) == set()
    assert len(others) == len(set(others)) and not set(others) & FORMS.keys()


@pytest.mark.parametrize("text", TYPED)
def test_what_is_typed_in_traditional_characters_is_refused(text: str) -> None:
    assert category(text) is not None


@pytest.mark.parametrize("name", CATEGORIES)
def test_every_listed_word_is_refused_in_traditional_characters(name: str) -> None:
    for entry in read_toml(LISTED)[name]["zh"]:
        for ways in itertools.product(*([sign, *FORMS.get(sign, [])] for sign in entry)):
            assert category("".join(ways)) == category(entry), ways


def test_capitals_part_words_and_are_judged_as_none_too() -> None:
    assert forms("lightSkin") == ("light skin", "lightskin")
    assert forms("black hair") == ("black hair",)
    assert words("Wearing_Hat") == ("wearing", "hat")


@given(st.text(max_size=100))
def test_what_is_plain_stays_as_it_is(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert "\x00" not in plain(text)
