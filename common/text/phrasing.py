"""The same thing said in many ways: what the built-in encoder learns from and is measured on.

Synonyms, orders, lists, negations of several kinds, two languages. ``parsing.parse`` reads each
of them back, so a text and what it means can never come apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from common.text.ages import AROUND, OLDEST, YOUNGEST, Ages, about, say_age
from common.text.vocabulary import (
    LANGUAGES,
    Attribute,
    Language,
    contradiction,
    names,
    vocabulary,
)

MOST = 6  # attributes of one text
_COMMA = "\uff0c"
_T = TypeVar("_T")
_SUBJECTS: Mapping[Language, tuple[str, ...]] = {
    "en": (
        *("a person", "person", "somebody", "a woman", "woman", "a man", "man", "an adult", ""),
        *("find a person", "show me people", "a lady", "a guy", "face", "someone"),
        *("", "", "", ""),
    ),
    "zh": (
        "一个人",
        "人",
        "女人",
        "一个男人",
        "男人",
        "一位女士",
        "",
        "",
        "",
        "找一个人",
        "某人",
        "先生",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Phrased:
    """A text and what it means."""

    text: str
    attributes: dict[str, bool]
    age: Ages | None


class Phrasing:
    """Draws texts. The same generator gives the same texts."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def meaning(self) -> tuple[dict[str, bool], Ages | None]:
        """What to say: up to ``MOST`` attributes that somebody may have at once, perhaps an age."""
        many = min(int(self._rng.geometric(0.35)), MOST) if self._rng.uniform() < 0.92 else 0
        drawn = self._rng.choice(len(names()), size=many, replace=False)
        wanted: dict[str, bool] = {}
        for place in drawn:
            name = names()[int(place)]
            present = bool(self._rng.uniform() < 0.6)
            if not present or contradiction({**wanted, name: True}) is None:
                wanted[name] = present
        return wanted, self._age() if not wanted or self._rng.uniform() < 0.4 else None

    def say(self, attributes: Mapping[str, bool], age: Ages | None, language: Language) -> str:
        """One way of saying it."""
        parts = self._english(attributes) if language == "en" else self._chinese(attributes)
        parts = [parts[int(place)] for place in self._rng.permutation(len(parts))]
        aged = [] if age is None else [self._aged(age, language)]
        subject = self._one(_SUBJECTS[language])
        if language == "zh":
            return _COMMA.join(filter(None, [*aged, subject, *parts]))
        ahead = [subject, *aged] if self._rng.uniform() < 0.5 else [subject]
        behind = [] if len(ahead) > 1 else aged
        return ", ".join(filter(None, [*ahead, *parts, *behind]))

    def draw(self, language: Language | None = None) -> Phrased:
        """A text of something."""
        attributes, age = self.meaning()
        spoken = self._one(LANGUAGES) if language is None else language
        text = self.say(attributes, age, spoken)
        return Phrased(text=text, attributes=attributes, age=age)

    def _one(self, choices: Sequence[_T]) -> _T:
        return choices[int(self._rng.integers(len(choices)))]

    def _age(self) -> Ages:
        kind = self._rng.uniform()
        years = 5.0 * int(self._rng.integers(3, 17))
        if kind < 0.6:
            return about(years)
        if kind < 0.75:
            return YOUNGEST, years + 10
        if kind < 0.9:
            return years, OLDEST
        return years, years + 5.0 * int(self._rng.integers(1, 4))

    def _aged(self, age: Ages, language: Language) -> str:
        low, high = age
        middle = int((low + high) / 2)
        if age != about(middle):
            return say_age(age, language)
        ways: tuple[str, ...]
        if language == "zh":
            ways = (say_age(age, "zh"), f"{middle}岁", f"大约{middle}岁", f"{middle}岁上下")
        else:
            word = say_age(age).removeprefix("about ")
            ways = (
                *(f"about {word}", f"around {middle}", f"aged {word}", f"{middle} years old"),
                *(f"roughly {word}", f"{word} years old", f"about {middle}"),
            )
        return self._one(ways)

    def _english(self, attributes: Mapping[str, bool]) -> list[str]:
        there = [vocabulary()[name] for name, present in attributes.items() if present]
        lacking = [vocabulary()[name] for name, present in attributes.items() if not present]
        parts = self._hair(there)
        things = [self._word(a, "en") for a in there if a.form == "thing" and not a.en.of_hair]
        if things:
            verbs = ("with ", "with ", "has ", "wearing ", *([] if lacking else [""]))
            parts.append(self._one(verbs) + self._list(things))
        parts += [
            self._one(("", "", "who is ")) + self._one((a.en.present, self._word(a, "en")))
            for a in there
            if a.form == "state"
        ]
        return parts + self._lacking(lacking)

    def _hair(self, there: Sequence[Attribute]) -> list[str]:
        """Colour and shape together, or each by itself."""
        words = [self._one(a.en.of_hair) for a in there if a.en.of_hair]
        if not words:
            return []
        begun = self._one(("with ", "has ", ""))
        if self._rng.uniform() < 0.7:
            return [f"{begun}{self._one((' ', ' ', ', ')).join(words)} hair"]
        return [f"{begun}{word} hair" for word in words]

    def _lacking(self, lacking: Sequence[Attribute]) -> list[str]:
        states = [a for a in lacking if a.form == "state" or a.name == "something_before_face"]
        parts = [a.en.absent for a in states]
        things = [self._word(a, "en") for a in lacking if a not in states]
        if len(things) > 1 and self._rng.uniform() < 0.6:
            whole = ", ".join(things[:-1])
            ways = (
                f"without {whole} or {things[-1]}",
                f"no {whole} or {things[-1]}",
                f"neither {whole} nor {things[-1]}",
                f"without {whole} and {things[-1]}",
            )
            return [*parts, self._one(ways)]
        kinds = (
            *("no ", "without ", "no ", "without ", "without any ", "not wearing "),
            *("does not have ", "lacking "),
        )
        return [*parts, *(self._one(kinds) + thing for thing in things)]

    def _chinese(self, attributes: Mapping[str, bool]) -> list[str]:
        there = [vocabulary()[name] for name, present in attributes.items() if present]
        lacking = [vocabulary()[name] for name, present in attributes.items() if not present]
        parts = [self._one((a.zh.present, self._word(a, "zh"))) for a in there]
        nouns = [a for a in lacking if a.form == "thing" and a.zh.words and not a.zh.of_hair]
        nouns = [a for a in nouns if "\u5634" not in a.zh.present and "\u8138" not in a.zh.present]
        if len(nouns) > 1 and self._rng.uniform() < 0.5:
            listed = self._one(("和", "、", "或者")).join(a.zh.words[0] for a in nouns)
            return [*parts, f"没有{listed}", *(a.zh.absent for a in lacking if a not in nouns)]
        return [
            *parts,
            *(
                self._one((a.zh.absent, f"没有{a.zh.words[0]}")) if a in nouns else a.zh.absent
                for a in lacking
            ),
        ]

    def _word(self, attribute: Attribute, language: Language) -> str:
        """Any word that means it."""
        phrases = attribute.phrases(language)
        if phrases.of_hair:
            head = " hair" if language == "en" else self._one(("头发", "的头发"))
            return self._one(phrases.of_hair) + head
        return self._one((phrases.present, *phrases.words))

    def _list(self, things: Sequence[str]) -> str:
        if len(things) == 1:
            return things[0]
        return ", ".join(things[:-1]) + self._one((" and ", ", ")) + things[-1]


def years_of(age: Ages) -> float:
    """One age that stands for a range: its middle, between adults of 15 and 85."""
    low, high = max(age[0], 15.0), min(age[1], 85.0)
    return (low + max(high, low + AROUND)) / 2
