"""Ages in words: "about forty", "in her early thirties", "四十岁左右", said and understood.

An age is a range of years; "about N" is five years to either side.
"""

import re
from collections.abc import Callable

from common.errors import QueryError
from common.text.vocabulary import Language

Ages = tuple[float, float]
YOUNGEST, OLDEST = 0.0, 120.0
AROUND = 5.0  # years to either side of "about"

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SIGNS = "零一二三四五六七八九"
_HELD = "@"  # stands where an age stood


def about(years: float) -> Ages:
    """The range that "about ``years``" means."""
    return max(years - AROUND, YOUNGEST), years + AROUND


def nearest(years: float) -> float:
    """The multiple of five that is said of ``years``."""
    return 5.0 * round(years / 5)


def say_age(age: float | Ages, language: Language = "en") -> str:
    """``age`` in words: a number of years is said to the nearest five, a range as it is.

    Ranges have whole years: 0 or from 10 to 120, so that ``find_age`` reads what was said.
    """
    low, high = age if isinstance(age, tuple) else about(nearest(age))
    middle = (low + high) / 2
    if (low, high) == about(middle) and 10 <= middle < 100:
        return f"about {_english(middle)}" if language == "en" else f"{_chinese(middle)}岁左右"
    if low <= YOUNGEST:
        return f"under {_english(high)}" if language == "en" else f"{_chinese(high)}岁以下"
    if high >= OLDEST:
        return f"over {_english(low)}" if language == "en" else f"{_chinese(low)}岁以上"
    if language == "en":
        return f"between {_english(low)} and {_english(high)}"
    return f"{_chinese(low)}到{_chinese(high)}岁"


def find_age(text: str) -> tuple[Ages | None, str]:
    """The age that ``text`` (of ``words.plain``) asks for, and the text with a hold in its place.

    Several ages are taken together; ``QueryError`` where that leaves none, or where an age is to
    be excluded, which no range can say.
    """
    text, found = _as_digits(text), []
    for pattern, meaning in _PATTERNS:
        while (seen := pattern.search(text)) is not None:
            low, high = meaning(*seen.groups())
            if not YOUNGEST <= low < high:
                raise QueryError(
                    "an age goes from fewer years to more, such as 'between 30 and 40'"
                )
            if _DENIED.search(text[: seen.start()]):
                raise QueryError("an age cannot be excluded: ask for 'under 40' or 'over 40'")
            found.append((low, min(high, OLDEST)))
            text = f"{text[: seen.start()]} {_HELD} {text[seen.end() :]}"
    if not found:
        return None, text
    low, high = max(low for low, _ in found), min(high for _, high in found)
    if low >= high:
        raise QueryError("nobody has all of the ages asked for")
    return (low, high), text


def _english(years: float) -> str:
    whole = int(years)
    if whole < 20:
        return _SMALL[whole]
    if whole >= 100:
        return str(whole)
    tens, ones = divmod(whole, 10)
    return _TENS[tens - 2] + (f"-{_SMALL[ones]}" if ones else "")


def _chinese(years: float) -> str:
    whole = int(years)
    if whole >= 100 or whole < 10:
        return str(whole)
    tens, ones = divmod(whole, 10)
    return ("" if tens == 1 else _SIGNS[tens]) + "十" + (_SIGNS[ones] if ones else "")


def _as_digits(text: str) -> str:
    """English numbers from ten, and Chinese ones beside what goes with ages, as digits."""
    text = _PLURAL.sub(lambda seen: f"{10 * _PLURALS.index(seen[0]) + 20}s", text)
    text = _ENGLISH.sub(lambda seen: str(_value(seen[0])), text)
    text = _TWO_TENS.sub(lambda seen: f"{_sign(seen[1])}0到{_sign(seen[2]) + 1}0岁", text)
    text = _TWO_ONES.sub(lambda seen: _either_one(*seen.groups()), text)
    return _NUMERAL.sub(lambda seen: str(_numeral(seen[0])), text)


def _value(number: str) -> int:
    parts = re.split(r"[\s-]+", number)
    return sum(10 * _TENS.index(p) + 20 if p in _TENS else _SMALL.index(p) for p in parts)


def _sign(sign: str) -> int:
    return _SIGNS.index(sign.replace("两", "二"))


def _numeral(signs: str) -> int:
    tens, _, ones = signs.partition("十")
    return 10 * (_sign(tens) if tens else 1) + (_sign(ones) if ones else 0)


def _either_one(tens: str, one: str, other: str) -> str:
    ten = 10 * (_sign(tens) if tens else 1)
    return f"{ten + _sign(one)}到{ten + _sign(other) + 1}岁"


def _between(low: str, high: str) -> Ages:
    return float(low), float(high)


def _under(high: str) -> Ages:
    return YOUNGEST, float(high)


def _over(low: str) -> Ages:
    return float(low), OLDEST


def _near(years: str) -> Ages:
    return about(float(years))


def _decade(part: str | None, tens: str) -> Ages:
    low = float(tens)
    first, last = {"early": (0, 4), "mid": (3, 7), "late": (6, 10)}.get(part or "", (0, 10))
    return low + first, low + last


def _ten_from(low: str) -> Ages:
    return float(low), float(low) + 10


def _five_from(low: str) -> Ages:
    return float(low), float(low) + 5


def _middle() -> Ages:
    return 40.0, 60.0


def _teens() -> Ages:
    return 13.0, 20.0


_PLURALS = tuple(f"{word[:-1]}ies" for word in _TENS)
_PLURAL = re.compile(rf"\b(?:{'|'.join(_PLURALS)})\b")
_ENGLISH = re.compile(
    rf"\b(?:(?:{'|'.join(_TENS)})(?:[\s-](?:{'|'.join(_SMALL[1:10])})\b)?|{'|'.join(_SMALL[10:])})"
    r"(?![a-hj-z])"
)
_BESIDE = "(?=[岁多来几到至左上以出~-])"
_NUMERAL = re.compile(f"[一二两三四五六七八九]?十[一二三四五六七八九]?{_BESIDE}")
_TWO_TENS = re.compile("([二两三四五六七八])([三四五六七八九])十多?岁")
_TWO_ONES = re.compile("([二两三四五六七八九]?)十([一二三四五六七八])([二三四五六七八九])岁")
_DENIED = re.compile(
    r"(?:\b(?:not|isnt|arent|never)|不是|并非)\s*(?:in (?:his|her|their)|aged?)?\s*$"
)

_N = r"([1-9]\d|1[01]\d)"
_OLD = r"(?:[\s-]*(?:years?|yrs?|yo)\b(?:[\s-]*(?:old|of age)\b)?)?"
_END = rf"(?!\d){_OLD}"
_MORE = (
    r"(?:not (?:under|younger than|below)|no younger than|over|above|older than|more than|at least)"
)
_LESS = (
    r"(?:(?:not|no) (?:over|older than|above|more than)|under|below|younger than|less than|at most"
    r"|up to)"
)
_ABOUT = r"(?:about|around|approximately|approx|roughly|circa|ca|nearly|almost|near|close to)"
_SUI = "岁?"
_PATTERNS: tuple[tuple[re.Pattern[str], Callable[..., Ages]], ...] = tuple(
    (re.compile(pattern), meaning)
    for pattern, meaning in (
        (rf"\b(?:between|from)\s+{_N}\s*(?:and|to|-)\s*{_N}{_END}", _between),
        (rf"{_N}\s*{_SUI}\s*(?:到|至|-|~)\s*{_N}\s*岁?(?:之间)?{_END}", _between),
        (rf"\b{_N}\s*(?:to|or)\s*{_N}{_END}", _between),
        (
            r"\b(?:in\s+)?(?:(?:his|her|their|the)\s+)?(?:(early|mid|late)[\s-]+)?([1-9]0)s\b",
            _decade,
        ),
        (rf"(?:不到|小于|低于|最多|不超过|未满|不满)\s*{_N}\s*{_SUI}", _under),
        (rf"{_N}\s*{_SUI}(?:及)?以下", _under),
        (rf"\b{_LESS}\s+(?:age\s+)?{_N}{_END}", _under),
        (rf"\b{_N}{_END}\s+(?:or|and)\s+(?:under|younger|below|less)\b", _under),
        (rf"(?:超过|大于|至少|不低于|不小于|年过|高于)\s*{_N}\s*{_SUI}", _over),
        (rf"{_N}\s*{_SUI}(?:及)?以上", _over),
        (rf"\b{_MORE}\s+(?:age\s+)?{_N}{_END}", _over),
        (rf"\b{_N}\s*\+{_OLD}", _over),
        (rf"\b{_N}{_END}\s+(?:or|and)\s+(?:over|older|above|more|up)\b", _over),
        (r"([1-9]0)\s*[多几]\s*岁", _ten_from),
        (r"\b([1-9]0)[\s-]*(?:something|odd)\b", _ten_from),
        (rf"{_N}\s*岁?出头", _five_from),
        (
            rf"(?:大约|大概|约|差不多|将近|年近|接近|快)?\s*{_N}\s*来?(?:岁(?:左右|上下)?|左右|上下)",
            _near,
        ),
        (
            rf"(?:\b{_ABOUT}\s+)?(?:\b(?:aged?|age of)\s+)?(?:{_ABOUT}\s+)?"
            rf"\b{_N}(?:[\s-]*ish)?{_END}",
            _near,
        ),
        (r"\bmiddle[\s-]+aged?\b|中年", _middle),
        (r"\bteen(?:s|agers?|aged?)?\b|青少年", _teens),
    )
)
