"""What is never labelled, said or searched of anybody: six categories of words, and who asks why.

Guarantee: a label, prompt or query that holds one of the words of ``forbidden.toml``, in English or
Chinese and however it is written (``words.py``), is refused before anything is computed from it,
and the refusal names the category alone. A colour that is not tied to a thing ("black hair", "a
hat that is black") is taken for one of a person.
Leaks: a list knows what is on it. Other words for the same pass, and what was learnt of allowed
attributes (dark hair, a beard) may go along with what is forbidden: `mascaron-lab audit attributes`
measures that.
"""

import functools
import itertools
import re
from collections.abc import Iterable
from pathlib import Path

from common.config import read_toml
from common.errors import ForbiddenError
from common.text.words import chinese, forms, words

LISTED = Path(__file__).with_name("forbidden.toml")
CATEGORIES = ("race", "religion", "politics", "sexuality", "health", "emotion")
SITE = "site"  # what the operator of a site denies besides

_Pattern = tuple[re.Pattern[str], re.Pattern[str]]  # English, Chinese

_ZH_COLOURED_PERSON = re.compile(
    "[黑白黄棕褐](?:色)?(?:的)?"
    "(?:男|女|人|脸|小孩|孩|妇|小姐|先生|姑娘|小伙|大叔|阿姨|老人|老头|老太|少年|青年)"
    "|脸(?:很|太|挺|较|比较|有点|非常|特别|是)[黑白黄棕褐](?!色?的?(?:头?发|胡|眉))"
)
_MARK = re.compile(r"[a-z]+|[0-9]+|[&/]|[^\sa-z0-9_():\"'-]")
_MOST = 12  # words of a chain that are looked at


def category(text: str | Iterable[str], also: Iterable[str] = ()) -> str | None:
    """Which category ``text`` (or one of several) is about, ``site`` for what ``also`` denies."""
    texts = [text] if isinstance(text, str) else list(text)
    own = _pattern(tuple(also))
    found = (_judged(form, own) for one in texts for form in forms(one))
    return next((name for name in found if name is not None), None)


def refuse(text: str | Iterable[str], also: Iterable[str] = ()) -> None:
    """Raises ``ForbiddenError`` naming the category, and never what was written.

    ``text`` is a query or sentence, or the names of labels or prompts; ``also`` are words that
    this site denies besides.
    """
    found = category(text, also)
    if found is not None:
        raise ForbiddenError(found)


def _judged(text: str, own: _Pattern) -> str | None:
    """The category of ``text``, one of its ``forms``."""
    spoken = words(text)
    line = " " + " ".join(word for word in spoken if not chinese(word)) + " "
    signs = "".join(word for word in spoken if chinese(word))
    for name, (english, other) in _patterns().items():
        if english.search(line) or other.search(signs):
            return name
    if _coloured_person(text) or _ZH_COLOURED_PERSON.search(signs):
        return "race"
    if _straight_person(spoken):
        return "sexuality"
    return SITE if own[0].search(line) or own[1].search(signs) else None


def _coloured_person(text: str) -> bool:
    """Whether a colour is said of somebody, or of nothing that may have one."""
    marks = (
        mark if (mark.isascii() and mark.isalnum()) or mark in "&/" else ","
        for mark in _MARK.findall(text)
    )
    line = f" {' '.join(marks)} "
    if _tied()["person"].search(line):
        return True
    for name in ("hair", "thing", "behind"):
        line = _tied()[name].sub(" ,", line)
    return _tied()["colour"].search(line) is not None


@functools.cache
def _tied() -> dict[str, re.Pattern[str]]:
    """How a colour is tied: to a ``person``, to ``hair`` or a ``thing`` ahead, or to one
    ``behind`` it. ``colour`` finds what is left of those that nobody but people would have."""
    of = {name: f"(?:{'|'.join(listed)})" for name, listed in _colours().items()}
    bare = f"{of['only_of_things']}s?"
    colour = f"(?:{bare}|{of['also_of_light']})"
    hue = f"(?:{colour}|{of['others']})"
    word = f"(?:{hue}|{of['shapes']})"
    joint, comma = f"(?: {of['joints']})", f"(?: ,| {of['joints']})"
    return {
        name: re.compile(pattern)
        for name, pattern in {
            "person": f" {colour}(?:{comma}| {word}){{0,{_MOST}}} {of['people']} ",
            "hair": f" {colour}(?:{comma}{{0,2}} {word}){{0,{_MOST}}}(?= {of['hair']} )",
            "thing": f" {colour}(?:{joint} {hue}| {word}){{0,{_MOST}}}(?= {of['things']} )",
            "behind": f"(?<= )(?:{of['hair']}|{of['things']})(?: {of['ties']}){{0,6}}"
            f"(?: {word})(?:{joint}{{0,2}} {word}){{0,{_MOST}}}(?= )",
            "colour": f" {bare} ",
        }.items()
    }


def _straight_person(spoken: tuple[str, ...]) -> bool:
    people = _colours()["people"]
    return any(one == "straight" and other in people for one, other in itertools.pairwise(spoken))


@functools.cache
def _colours() -> dict[str, frozenset[str]]:
    return {name: frozenset(listed) for name, listed in read_toml(LISTED)["colours"].items()}


@functools.cache
def _patterns() -> dict[str, _Pattern]:
    listed = read_toml(LISTED)
    return {name: _pattern((*listed[name]["en"], *listed[name]["zh"])) for name in CATEGORIES}


@functools.lru_cache(maxsize=64)
def _pattern(listed: tuple[str, ...]) -> _Pattern:
    """English words between spaces, Chinese ones anywhere."""
    english, other = [], []
    for entry in listed:
        spoken = words(entry)
        if not spoken:
            continue
        if chinese(spoken[0]):
            other.append("".join(spoken))
        else:
            english.append(" ".join(spoken) + ("[a-z]*" if entry.endswith("*") else "(?:s|es)?"))
    nothing = "(?!)"
    return (
        re.compile(f" (?:{'|'.join(english) or nothing}) "),
        re.compile("|".join(map(re.escape, other)) or nothing),
    )
