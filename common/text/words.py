"""What somebody wrote, brought to one form, so that the same word always looks the same.

Width, case, accents, characters that nobody sees, look-alike Cyrillic letters and the traditional
forms of the Chinese characters that are looked for here make no difference afterwards.
"""

import functools
import re
import unicodedata
from pathlib import Path

from common.config import read_toml

LONGEST = 400  # characters of a text that are looked at
TRADITIONAL = Path(__file__).with_name("traditional.toml")

_ALIKE = dict(zip("аеорсухіјѕԁһӏмкт", "aeopcyxijsdhlmkt", strict=True))
_UNSEEN = ("Mn", "Me", "Cf", "Cc", "Cn")  # categories of marks, formats, controls; unassigned
_BLANK = "\u115f\u1160\u2800"  # fillers and the empty cell, which count as letters and symbols
_BREAK = "\t\n\v\f\r\x85"  # controls that part words
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[a-z]+|[0-9]+|[\u4e00-\u9fff]")


def plain(text: str, *, humps: bool = True) -> str:
    """``text`` in lower case with a space between words; Chinese characters stay together.

    With ``humps`` a capital behind a small letter begins a word, as in names of labels.
    """
    text = "".join(map(_seen, unicodedata.normalize("NFKD", text)))
    text = (_HUMP.sub(" ", text) if humps else text).casefold()
    return text.translate(_table()).replace("'", "").replace("\u2019", "")


def forms(text: str) -> tuple[str, ...]:
    """``plain`` with humps and without, where they differ: "lightSkin" is two words, "gAY" one."""
    return tuple(dict.fromkeys((plain(text), plain(text, humps=False))))


def words(text: str) -> tuple[str, ...]:
    """English words, numbers and single Chinese characters of ``text``, in their order."""
    return tuple(_WORD.findall(plain(text)))


def chinese(word: str) -> bool:
    """Whether ``word`` (of ``words``) is a Chinese character."""
    return word >= "\u4e00"


def _seen(mark: str) -> str:
    """``mark`` itself, a space for one that parts words, nothing for one that nobody sees."""
    if mark in _BREAK:
        return " "
    return "" if mark in _BLANK or unicodedata.category(mark) in _UNSEEN else mark


@functools.cache
def _table() -> dict[int, str]:
    simple = {other: one for one, *others in read_toml(TRADITIONAL)["forms"] for other in others}
    return str.maketrans(_ALIKE | simple)
