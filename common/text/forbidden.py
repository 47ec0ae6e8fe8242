"""What is never labelled, said or searched of anybody: six categories of words, and who asks why.

Guarantee: a label, prompt or query that holds one of the words of ``forbidden.toml``, in English or
Chinese and however it is written (``words.py``), is refused before anything is computed from it,
and the refusal names the category alone. A colour that is not said of a thing ("black hair") is
taken for one of a person.
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
from common.text.words import chinese, words

LISTED = Path(__file__).with_name("forbidden.toml")
CATEGORIES = ("race", "religion", "politics", "sexuality", "health", "emotion")
SITE = "site"  # what the operator of a site denies besides

_ZH_COLOURED_PERSON = re.compile("[黑白黄棕](?:色)?(?:的)?(?:男|女|人|脸|小孩|孩)")


def category(text: str | Iterable[str], also: Iterable[str] = ()) -> str | None:
    """Which category ``text`` (or one of several) is about, ``site`` for what ``also`` denies."""
    texts = [text] if isinstance(text, str) else list(text)
    own = _pattern(tuple(also))
    for one in texts:
        spoken = words(one)
        line = " " + " ".join(word for word in spoken if not chinese(word)) + " "
        signs = "".join(word for word in spoken if chinese(word))
        for name, (english, other) in _patterns().items():
            if english.search(line) or other.search(signs):
                return name
        if _coloured_person(spoken) or _ZH_COLOURED_PERSON.search(signs):
            return "race"
        if _straight_person(spoken):
            return "sexuality"
        if own[0].search(line) or own[1].search(signs):
            return SITE
    return None


def refuse(text: str | Iterable[str], also: Iterable[str] = ()) -> None:
    """Raises ``ForbiddenError`` naming the category, and never what was written.

    ``text`` is a query or sentence, or the names of labels or prompts; ``also`` are words that
    this site denies besides.
    """
    found = category(text, also)
    if found is not None:
        raise ForbiddenError(found)


def _coloured_person(spoken: tuple[str, ...]) -> bool:
    """Whether a colour is said of somebody, or of nothing that may have one."""
    of = _colours()
    for place, word in enumerate(spoken):
        if word not in of["only_of_things"] | of["also_of_light"]:
            continue
        after = place + 1
        while after < len(spoken) and spoken[after] in of["between"]:
            after += 1
        following = spoken[after] if after < len(spoken) else ""
        if following in of["people"]:
            return True
        if following in of["things"] or spoken[place + 1 : place + 2] == ("haired",):
            continue
        said_of = of["things"] & set(spoken[max(0, place - 4) : place])  # hair that is black
        if not said_of and word in of["only_of_things"]:
            return True
    return False


def _straight_person(spoken: tuple[str, ...]) -> bool:
    people = _colours()["people"]
    return any(one == "straight" and other in people for one, other in itertools.pairwise(spoken))


@functools.cache
def _colours() -> dict[str, frozenset[str]]:
    return {name: frozenset(listed) for name, listed in read_toml(LISTED)["colours"].items()}


@functools.cache
def _patterns() -> dict[str, tuple[re.Pattern[str], re.Pattern[str]]]:
    listed = read_toml(LISTED)
    return {name: _pattern((*listed[name]["en"], *listed[name]["zh"])) for name in CATEGORIES}


@functools.lru_cache(maxsize=64)
def _pattern(listed: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
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
