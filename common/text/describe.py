"""What heads read of a face, as a sentence: each part as sure as it is, and the unsure left out.

Leaks: a description is personal data like the picture. It goes to whoever showed the picture, and
into no log, message or report.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import ConfigError
from common.heads.heads import Readings
from common.text.ages import Ages, about, nearest
from common.text.chances import read_chances
from common.text.grammar import LEAST, sentence
from common.text.vocabulary import EXCLUSIVE, FEMALE, Language

PLAIN = 0.95  # a gender that is less sure than this is not the subject of a sentence
WIDEST = 30.0  # years of the range of an age that is said
NOTED = ("glasses", "beard", "hat")  # whose absence is worth saying
_TELL_OF_AGE = ("young", "elderly")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stated:
    """One thing that is said of a face; ``probability`` that it is right, calibrated."""

    name: str
    present: bool
    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """``said`` holds all that is sure enough, ``sentence`` what is worth saying of it.

    ``age`` in years lies in ``age_range`` with a probability of 80 %.
    """

    sentence: str
    said: tuple[Stated, ...]
    age: float | None
    age_range: Ages | None


def describe(
    readings: Readings, row: int = 0, *, least: float = LEAST, language: Language = "en"
) -> Description:
    """What is said of picture ``row``: nothing whose probability to be right is below ``least``.

    Of attributes that exclude each other the likeliest alone is said to be there. An age is said
    where 80 % of it lies within ``WIDEST`` years.
    """
    if not 0.5 <= least <= 1:
        raise ConfigError(f"what is as likely wrong as right is never said: least {least} < 0.5")
    said = tuple(one for one in _stated(readings, row) if one.probability >= least)
    said = _consistent(said)
    age, age_range = _age(readings, row)
    worth = {
        one.name: one.present
        for one in said
        if (one.present or one.name in NOTED) and not (age is not None and one.name in _TELL_OF_AGE)
    }
    if worth.get("sunglasses"):
        worth.pop("glasses", None)
    for one in said:
        if one.name == FEMALE and one.probability >= PLAIN:
            worth[FEMALE] = one.present
        elif one.name == FEMALE:
            worth.pop(FEMALE, None)
    return Description(
        sentence=sentence(
            worth,
            _spoken(age, age_range),
            confidence={one.name: one.probability for one in said},
            language=language,
        ),
        said=said,
        age=age,
        age_range=age_range,
    )


def _stated(readings: Readings, row: int) -> list[Stated]:
    """Everything that is read of a picture and has a phrase, each as what is likelier."""
    chances = {name: float(values[row]) for name, values in read_chances(readings).items()}
    return [
        Stated(name=name, present=chance >= 0.5, probability=max(chance, 1 - chance))
        for name, chance in chances.items()
    ]


def _consistent(said: Sequence[Stated]) -> tuple[Stated, ...]:
    """Without what contradicts something likelier."""
    dropped: set[str] = set()
    for group in EXCLUSIVE:
        there = [one for one in said if one.present and one.name in group]
        there = [one for one in there if one.name not in dropped]
        dropped |= {one.name for one in sorted(there, key=lambda one: -one.probability)[1:]}
    return tuple(one for one in said if not (one.present and one.name in dropped))


def _age(readings: Readings, row: int) -> tuple[float | None, Ages | None]:
    if readings.age is None or readings.age_range is None:
        return None, None
    low, high = readings.age_range[row].tolist()
    if not high - low <= WIDEST:  # nor where the heads read no number
        return None, None
    return float(readings.age[row]), (low, high)


def _spoken(age: float | None, age_range: Ages | None) -> float | Ages | None:
    """The age where "about" it holds the whole range; else from and to, in whole years."""
    if age is None or age_range is None:
        return None
    low, high = age_range
    least, most = about(nearest(age))
    if least <= low and high <= most:
        return age
    return float(max(round(low), 10)), float(max(round(high), round(low) + 1, 11))
