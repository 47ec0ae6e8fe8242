"""What can be said of a face: one name an attribute, with words in English and Chinese.

Attributes are physical and can be seen. What is forbidden has no phrase here, so it can be neither
said nor searched; shapes of nose, lips and eyes, judgements (``Attractive``) and flushed cheeks,
which stand in for it, have none either.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.config import read_toml
from common.errors import ConfigError
from common.text.forbidden import refuse

LISTED = Path(__file__).with_name("vocabulary.toml")
FEMALE = "female"  # of the gender head: no attribute, and off unless asked for

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

EXCLUSIVE: tuple[tuple[str, ...], ...] = (  # at most one of each is true
    ("glasses", "sunglasses"),
    ("black_hair", "brown_hair", "blond_hair", "red_hair", "grey_hair", "bald"),
    ("curly_hair", "wavy_hair", "straight_hair", "bald"),
    ("long_hair", "bald"),
    ("bangs", "bald"),
    ("young", "elderly"),
)

_INVENTED = {"under_35": "young", "over_60": "elderly"}  # the others bear their canonical name
_PUBLIC: dict[str, tuple[str, bool] | None] = {
    "5_o_Clock_Shadow": ("stubble", True),
    "Arched_Eyebrows": ("arched_eyebrows", True),
    "Attractive": None,
    "Bags_Under_Eyes": ("bags_under_eyes", True),
    "Bald": ("bald", True),
    "Bangs": ("bangs", True),
    "Black_Hair": ("black_hair", True),
    "Blond_Hair": ("blond_hair", True),
    "Blurry": ("blurred", True),
    "Brown_Hair": ("brown_hair", True),
    "Bushy_Eyebrows": ("bushy_eyebrows", True),
    "Eyeglasses": ("glasses", True),
    "Goatee": ("goatee", True),
    "Gray_Hair": ("grey_hair", True),
    "Heavy_Makeup": ("makeup", True),
    "High_Cheekbones": ("high_cheekbones", True),
    "Male": (FEMALE, False),
    "Mouth_Slightly_Open": ("mouth_open", True),
    "Mustache": ("moustache", True),
    "No_Beard": ("beard", False),
    "Oval_Face": ("oval_face", True),
    "Pointy_Nose": None,
    "Receding_Hairline": ("receding_hairline", True),
    "Rosy_Cheeks": None,
    "Sideburns": ("sideburns", True),
    "Smiling": ("smiling", True),
    "Straight_Hair": ("straight_hair", True),
    "Wavy_Hair": ("wavy_hair", True),
    "Wearing_Earrings": ("earrings", True),
    "Wearing_Hat": ("hat", True),
    "Wearing_Lipstick": ("lipstick", True),
    "Wearing_Necklace": ("necklace", True),
    "Wearing_Necktie": ("necktie", True),
    "Young": ("young", True),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Phrases:
    """The words of one attribute in one language."""

    present: str
    absent: str
    words: tuple[str, ...] = ()  # understood besides
    of_hair: tuple[str, ...] = ()  # understood beside the word for hair

    def says(self, present: bool) -> str:
        """What is said of somebody who has it, or has not."""
        return self.present if present else self.absent


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribute:
    """A ``thing`` is had ("with glasses"), a ``state`` is not ("smiling")."""

    name: str
    form: Literal["thing", "state"]
    en: Phrases
    zh: Phrases

    def phrases(self, language: Language) -> Phrases:
        return self.en if language == "en" else self.zh


@functools.cache
def vocabulary() -> Mapping[str, Attribute]:
    """Every attribute by its name, in the order in which they are said."""
    return {
        name: Attribute(
            name=name,
            form=table["form"],
            en=_phrases(table, "en"),
            zh=_phrases(table, "zh"),
        )
        for name, table in read_toml(LISTED).items()
    }


@functools.cache
def names() -> tuple[str, ...]:
    """The names of all attributes, in the order in which they are said."""
    return tuple(vocabulary())


def canonical(label: str) -> tuple[str, bool] | None:
    """What a column of labels is called here, and whether a 1 in it means that it is so.

    Understands the names here, those of invented people and the columns of public_attributes.csv.
    None for a column that has no phrase; ``ForbiddenError`` for one that is not to be labelled.
    """
    refuse(label)
    if label in _PUBLIC:
        return _PUBLIC[label]
    name = _INVENTED.get(label, label)
    return (name, True) if name == FEMALE or name in vocabulary() else None


def known(wanted: Mapping[str, bool]) -> Mapping[str, bool]:
    """``wanted`` itself; ``ConfigError`` if it names an attribute that has no phrase."""
    strange = [name for name in wanted if name not in vocabulary() and name != FEMALE]
    if strange:
        raise ConfigError(f"no attribute {strange[0]!r}; there are {', '.join(names())}")
    return wanted


def contradiction(wanted: Mapping[str, bool]) -> tuple[str, str] | None:
    """Two attributes of ``wanted`` that nobody has at once; None where there are none."""
    for group in EXCLUSIVE:
        found = [name for name in group if wanted.get(name)]
        if len(found) > 1:
            return found[0], found[1]
    return None


def _phrases(table: dict[str, dict[str, list[str]]], language: str) -> Phrases:
    present, absent = table[language]["says"]
    return Phrases(
        present=present,
        absent=absent,
        words=tuple(table[language]["words"]),
        of_hair=tuple(table.get("of_hair", {}).get(language, ())),
    )
