"""What a site's operator denies besides what is forbidden everywhere, whatever they call it.

An operator writes words: names of the vocabulary, columns of labels, phrases in English or Chinese.
A denied word stands for everything that it is about, so that one who denies `age` is not told that
somebody is young, and one who denies "Eyeglasses" is not told of glasses.

Leaks: a word that nobody here knows denies its own letters alone, in queries and in names.
"""

import functools
from collections.abc import Iterable

from common.errors import ForbiddenError
from common.text.pieces import pieces
from common.text.vocabulary import FEMALE, canonical
from common.text.words import plain

AGE, GENDER = "age", "gender"
_TOPICS = {
    AGE: frozenset({AGE, "young", "elderly"}),
    GENDER: frozenset({GENDER, FEMALE}),
    FEMALE: frozenset({GENDER, FEMALE}),
    "male": frozenset({GENDER, FEMALE}),
}


def denied_names(denied: Iterable[str]) -> frozenset[str]:
    """Names of the vocabulary, and ``age`` and ``gender``, that ``denied`` words are about."""
    return frozenset(name for word in denied for name in _meant(word))


@functools.lru_cache(maxsize=256)
def _meant(word: str) -> frozenset[str]:
    spoken = plain(word.replace("_", " "))
    if spoken in _TOPICS:
        return _TOPICS[spoken]
    try:
        column = canonical(word)
    except ForbiddenError:  # nobody says that of anybody
        return frozenset()
    names = {column[0]} if column else set()
    for piece in pieces(spoken):
        if piece.entry is not None:
            names |= {name for name, _ in piece.entry.names}
    return frozenset(names | (_TOPICS[GENDER] if FEMALE in names else set()))
