"""What a site's operator denies besides what is forbidden everywhere, whatever they call it.

An operator writes words: names of the vocabulary, columns of labels, kinds of heads, phrases in
English or Chinese, a whole topic (``topics.toml``). A denied word stands for everything that it is
about, so that one who denies `age` is not told that somebody is young, and one who denies
"Eyeglasses" is not told of glasses. Doors, queries, plans and labels all ask here.

Guarantee: a word of the policy that means nothing here is an error, and never denies nothing.
"""

import difflib
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

from common.config import read_toml
from common.errors import ConfigError, ForbiddenError
from common.text.forbidden import CATEGORIES, SITE, category
from common.text.lexicon import Phrase, Role, lexicon
from common.text.pieces import pieces
from common.text.scope import Piece
from common.text.vocabulary import FEMALE, canonical, names
from common.text.words import words

AGE, GENDER, ATTRIBUTES, WORDS = "age", "gender", "attributes", "words"
TOPICS = Path(__file__).with_name("topics.toml")


def denied_names(denied: Iterable[str]) -> frozenset[str]:
    """Names of the vocabulary, ``female`` and kinds of heads, that ``denied`` words are about."""
    return frozenset(name for word in denied for name in _meant(word)[0])


def denies(denied: Iterable[str], name: str) -> bool:
    """Whether ``name``, of a head's column or of a mechanism, is about what is denied."""
    denied = tuple(denied)
    return category(name, also=denied) == SITE or bool(denied_names(denied) & denied_names([name]))


def check_denied(denied: Iterable[str], besides: Iterable[str] = ()) -> None:
    """Raises ``ConfigError`` for a word that denies nothing because it means nothing here.

    ``besides`` are words that mean something to whoever asks.
    """
    besides = tuple(besides)
    for word in denied:
        meant, whole = _meant(word)
        if word.strip() in besides or category(word) is not None or (meant and whole):
            continue
        known = (*read_toml(TOPICS), *names(), *besides)
        near = difflib.get_close_matches(word.strip().lower(), known, n=1)
        instead = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        if not near:
            instead += f", other words for them, {', '.join(CATEGORIES)}"
        raise ConfigError(
            f"denied_attributes: {word!r} means nothing here and would deny nothing; {instead}"
        )


@functools.lru_cache(maxsize=256)
def _meant(word: str) -> tuple[frozenset[str], bool]:
    """The names that ``word`` is about, and whether all of it is understood."""
    spoken = tuple(_singular(one) for one in words(word))
    if spoken in _topics():
        return _topics()[spoken], True
    found: set[str] = set()
    unnamed: list[str] = []
    for piece in pieces(" ".join(spoken)):
        told = piece.entry.names if piece.entry else ()
        found |= {name for name, _ in told}
        unnamed += ["."] if told or _claimed(piece) else piece.phrase
    about, rest = _without_topics(tuple(unnamed))
    found |= about
    try:
        column = canonical(word.strip())
    except ForbiddenError:  # nobody says that of anybody
        column = None
    if column is not None:
        return _with_gender({*found, column[0]}), True
    strange = any(piece.entry is None for piece in pieces(" ".join(rest)))
    return _with_gender(found), not strange


def _with_gender(found: set[str]) -> frozenset[str]:
    return frozenset(found | ({GENDER} if FEMALE in found else set()))


def _claimed(piece: Piece) -> bool:
    """Whether it is the word for hair, of which something is said: "grey hair" is not all hair."""
    return piece.role is Role.SKIPPED and lexicon()[piece.phrase].role is Role.HAIR


def _without_topics(spoken: Phrase) -> tuple[set[str], Phrase]:
    """What the topics amid ``spoken`` are about, and what is left of it."""
    found: set[str] = set()
    left: list[str] = []
    place = 0
    while place < len(spoken):
        ends = range(len(spoken), place, -1)
        end = next((end for end in ends if spoken[place:end] in _topics()), None)
        if end is None:
            left.append(spoken[place])
        else:
            found |= _topics()[spoken[place:end]]
        place = place + 1 if end is None else end
    return found, tuple(left)


@functools.cache
def _topics() -> Mapping[Phrase, frozenset[str]]:
    """What each word for a topic is about."""
    whole = {ATTRIBUTES: frozenset({ATTRIBUTES, *names()})}
    return {
        words(word): whole.get(topic, frozenset(table["names"]))
        for topic, table in read_toml(TOPICS).items()
        for word in (topic, *table["words"])
    }


@functools.cache
def _single() -> frozenset[str]:
    """Every word that is part of a phrase known here."""
    return frozenset(word for phrase in (*lexicon(), *_topics()) for word in phrase)


def _singular(word: str) -> str:
    """``word`` as it is known here: without the ending of a plural where only that is."""
    ways = (word, word.removesuffix("s"), word.removesuffix("es"))
    return next((way for way in ways if way in _single()), word)
