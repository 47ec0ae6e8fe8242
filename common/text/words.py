"""What somebody wrote, brought to one form, so that the same word always looks the same.

Width, case, accents, invisible characters, look-alike Cyrillic letters and the traditional forms of
the Chinese characters that are looked for here make no difference afterwards.
"""

import re
import unicodedata

LONGEST = 400  # characters of a text that are looked at

_ALIKE = dict(zip("аеорсухіјѕԁһӏмкт", "aeopcyxijsdhlmkt", strict=True))
_SIMPLE = dict(
    zip(
        "鏡鬍髮頭沒歲長紅捲禿無張開閉擋與還個種膚鬚絡帶鬢斑彎點間從對劉顏顴圍飾領鏈環淺雙單",
        "镜胡发头没岁长红卷秃无张开闭挡与还个种肤须络带鬓斑弯点间从对刘颜颧围饰领链环浅双单",
        strict=True,
    )
)
_TABLE = str.maketrans(_ALIKE | _SIMPLE)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[a-z]+|[0-9]+|[\u4e00-\u9fff]")


def plain(text: str) -> str:
    """``text`` in lower case with a space between words; Chinese characters stay together."""
    text = _HUMP.sub(" ", unicodedata.normalize("NFKC", text))
    text = unicodedata.normalize("NFKD", text.casefold())
    kept = (mark for mark in text if unicodedata.category(mark) not in ("Mn", "Cf"))
    return "".join(kept).translate(_TABLE).replace("'", "").replace("\u2019", "")


def words(text: str) -> tuple[str, ...]:
    """English words, numbers and single Chinese characters of ``text``, in their order."""
    return tuple(_WORD.findall(plain(text)))


def chinese(word: str) -> bool:
    """Whether ``word`` (of ``words``) is a Chinese character."""
    return word >= "\u4e00"
