"""Which phrases of a query mean what: the longest that is known at a place wins."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from common.config import read_toml
from common.text.vocabulary import FEMALE, Attribute, vocabulary
from common.text.words import chinese, words

LISTED = Path(__file__).with_name("lexicon.toml")

Phrase = tuple[str, ...]


class Role(Enum):
    """What a phrase does in a query."""

    ATTRIBUTE = "names what is to be seen"
    OF_HAIR = "an attribute where hair is spoken of"
    HAIR = "the word for hair"
    GENDER = "names a gender"
    NEGATION = "turns round what follows"
    AND = "and"
    OR = "or"
    BUT = "ends a negation"
    STOP = "a comma"
    ANEW = "begins anew after a negation took hold"
    SKIPPED = "means nothing here"
    AGE = "an age stood here"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """``names`` and whether each is so; ``carries`` for negations that an "and" goes on with."""

    role: Role
    names: tuple[tuple[str, bool], ...] = ()
    state: bool = False  # stands alone, as "smiling" does
    carries: bool = False


_FIXED = {
    "@": Entry(role=Role.AGE),
    ",": Entry(role=Role.STOP),
    "、": Entry(role=Role.AND),
    "/": Entry(role=Role.OR),
    "&": Entry(role=Role.AND),
    **dict.fromkeys(".;!?:()\u3002", Entry(role=Role.BUT)),
}


@functools.cache
def lexicon() -> Mapping[Phrase, Entry]:
    """All phrases; later ones win over the same phrase before."""
    listed = read_toml(LISTED)
    known: dict[Phrase, Entry] = {(mark,): entry for mark, entry in _FIXED.items()}
    _add(known, _both(listed["skipped"]), Entry(role=Role.SKIPPED))
    _add(known, _both(listed["anew"]), Entry(role=Role.ANEW))
    _add(known, _both(listed["hair"]), Entry(role=Role.HAIR))
    for carries, name in ((True, "carries_and"), (False, "ends_at_and")):
        _add(known, listed["negations"][name], Entry(role=Role.NEGATION, carries=carries))
    joints = listed["joints"]
    for role, name in ((Role.AND, "and"), (Role.OR, "or"), (Role.OR, "nor"), (Role.BUT, "but")):
        _add(known, joints[name], Entry(role=role))
    for name in ("female", "male"):
        female = ((FEMALE, name == "female"),)
        _add(known, _both(listed[name]), Entry(role=Role.GENDER, names=female))
    short = Entry(role=Role.OF_HAIR, names=(("long_hair", False),))
    _add(known, _both(listed["short"]), short)
    for attribute in vocabulary().values():
        _add_attribute(known, attribute)
    for phrase, meant in listed["phrases"].items():
        _add(known, [phrase], Entry(role=Role.ATTRIBUTE, names=tuple(meant.items()), state=True))
    return known


@functools.cache
def longest() -> int:
    """Words of the longest phrase."""
    return max(map(len, lexicon()))


def _add_attribute(known: dict[Phrase, Entry], attribute: Attribute) -> None:
    """Its words, and what is said where it is absent unless that begins with a negation."""
    state = attribute.form == "state"
    present = Entry(role=Role.ATTRIBUTE, names=((attribute.name, True),), state=state)
    absent = Entry(role=Role.ATTRIBUTE, names=((attribute.name, False),), state=state)
    for phrases in (attribute.en, attribute.zh):
        of_hair = Entry(role=Role.OF_HAIR, names=((attribute.name, True),))
        _add(known, phrases.of_hair, of_hair)
        _add(known, phrases.words, present)
        if not phrases.of_hair:
            _add(known, [_core(known, phrases.present)], present)
            if not _negated(known, words(phrases.absent)):
                _add(known, [phrases.absent], absent)


def _add(known: dict[Phrase, Entry], phrases: Iterable[str], entry: Entry) -> None:
    for phrase in phrases:
        known[words(phrase)] = entry


def _core(known: Mapping[Phrase, Entry], phrase: str) -> str:
    """``phrase`` without its article, or the Chinese verb, which keeps its own meaning."""
    first, *others = words(phrase)
    verb = chinese(first) and (first,) in known and known[first,].role is Role.ANEW
    idle = verb or first in ("a", "an")
    return ("" if verb else " ").join(others) if idle and others else phrase


def _negated(known: Mapping[Phrase, Entry], spoken: Phrase) -> bool:
    beginnings = (spoken[:length] for length in range(1, 3))
    return any(b in known and known[b].role is Role.NEGATION for b in beginnings)


def _both(table: Mapping[str, Any]) -> list[str]:
    return [*table["en"], *table["zh"]]
