"""What can be said of a rendered picture: attributes, age, and a sentence.

Attributes are physical and can be seen; nothing is said of who somebody is or what they feel. A
picture is labelled by what it was made from, so a label is right even where the picture is dark.
Skin and headscarves are labelled for audits of what leaks, and never said.
"""

import functools
from dataclasses import dataclass

from common.synthetic.people import Person
from common.synthetic.variation import Variation, on_the_day
from common.text.forbidden import category
from common.text.grammar import sentence
from common.text.vocabulary import canonical


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """``attributes`` are true or false in the order of ``ATTRIBUTES``."""

    attributes: tuple[bool, ...]
    age: float  # years
    text: str


def label(person: Person, variation: Variation) -> Label:
    """What is to be seen in the picture of ``person`` that ``variation`` describes."""
    today = on_the_day(person, variation)
    found = _bare(today, variation) | _worn(variation)
    return Label(
        attributes=tuple(found[name] for name in ATTRIBUTES),
        age=round(today.years, 1),
        text=_sentence(today, found),
    )


def _bare(today: Person, variation: Variation) -> dict[str, bool]:
    """Hair, skin, age, expression."""
    h, skin, expression = today.hair, today.skin, variation.expression
    grey = h.grey > 0.55
    shown = variation.looks.hat != "headscarf" and h.style != "bald"
    colour = "grey" if grey else h.colour_name
    return {
        "beard": h.beard in ("goatee", "full"),
        "moustache": h.beard == "moustache",
        "stubble": h.beard == "stubble",
        "bald": h.style == "bald",
        "black_hair": shown and colour == "black",
        "brown_hair": shown and colour in ("brown", "dark brown"),
        "blond_hair": shown and colour == "blond",
        "red_hair": shown and colour == "red",
        "grey_hair": shown and grey,
        "long_hair": shown and h.style in ("long", "bob"),
        "curly_hair": shown and h.style == "curly",
        "light_skin": skin.melanin < 1 / 3,
        "medium_skin": 1 / 3 <= skin.melanin < 2 / 3,
        "dark_skin": skin.melanin >= 2 / 3,
        "freckles": skin.freckles > 0.15 and skin.melanin < 2 / 3,
        "under_35": today.years < 35,
        "over_60": today.years >= 60,
        "smiling": expression.smile > 0.3,
        "mouth_open": expression.open > 0.25,
        "eyes_closed": expression.lids < 0.3,
    }


def _worn(variation: Variation) -> dict[str, bool]:
    """What is put on or held, how the head is turned, how the light falls."""
    looks, obstacle = variation.looks, variation.obstacle
    return {
        "glasses": looks.eyewear == "glasses",
        "sunglasses": looks.eyewear == "sunglasses",
        "hat": looks.hat in ("beanie", "cap"),
        "headscarf": looks.hat == "headscarf",
        "mask": obstacle == "mask",
        "mouth_covered": obstacle in ("mask", "scarf"),
        "something_before_face": obstacle in ("hand", "microphone", "telephone"),
        "turned_away": abs(variation.pose.yaw) > 0.45,
        "cut_off": variation.cut != 0,
    }


def _sentence(today: Person, found: dict[str, bool]) -> str:
    """What is there and can be seen; an age stands for being young or old."""
    hidden = {"young", "elderly"}
    if found["mouth_covered"]:
        hidden |= {"beard", "moustache", "stubble", "smiling", "mouth_open"}
    if found["sunglasses"]:
        hidden |= {"eyes_closed"}
    names = _sayable()
    shown = {names[name]: True for name, so in found.items() if so and name in names}
    return sentence({name: so for name, so in shown.items() if name not in hidden}, today.years)


@functools.cache
def _sayable() -> dict[str, str]:
    """The canonical names of attributes that may be said."""
    allowed = (name for name in ATTRIBUTES if category(name) is None)
    named = ((name, canonical(name)) for name in allowed)
    return {name: meant[0] for name, meant in named if meant is not None}


ATTRIBUTES: tuple[str, ...] = (
    "glasses",
    "sunglasses",
    "beard",
    "moustache",
    "stubble",
    "bald",
    "black_hair",
    "brown_hair",
    "blond_hair",
    "red_hair",
    "grey_hair",
    "long_hair",
    "curly_hair",
    "light_skin",
    "medium_skin",
    "dark_skin",
    "freckles",
    "under_35",
    "over_60",
    "smiling",
    "mouth_open",
    "eyes_closed",
    "hat",
    "headscarf",
    "mask",
    "mouth_covered",
    "something_before_face",
    "turned_away",
    "cut_off",
)
