"""A sentence about a face: its age and what is to be seen, each as sure as it is.

``parsing.parse`` reads every sentence back to what it was made of. The words of confidence stand
for probabilities of calibrated heads and for nothing else; what is less sure than ``LEAST`` is
better left out by whoever asks.
"""

from collections.abc import Mapping, Sequence

from common.text.ages import Ages, say_age
from common.text.vocabulary import FEMALE, Language, known, vocabulary

LEAST = 0.7
_LEVELS = (  # from this probability on it is said so
    (0.95, {"en": "almost certainly", "zh": "几乎可以肯定"}),
    (0.85, {"en": "very likely", "zh": "很可能"}),
    (LEAST, {"en": "probably", "zh": "大概"}),
    (0.0, {"en": "perhaps", "zh": "可能"}),
)
_SUBJECT = {True: ("woman", "女人"), False: ("man", "男人"), None: ("person", "人")}


def sentence(
    attributes: Mapping[str, bool],
    age: float | Ages | None = None,
    *,
    confidence: Mapping[str, float] | None = None,
    language: Language = "en",
) -> str:
    """``A person of about forty with glasses and a beard, smiling, no hat.``

    ``attributes`` are canonical names and whether each is so (``female`` names the subject);
    ``confidence`` the probability that what is said of a name is right, without it everything is
    said plainly. The order is that of the vocabulary, whatever that of ``attributes``.
    """
    known(attributes)
    subject = _SUBJECT[attributes.get(FEMALE)]
    groups: dict[str, list[str]] = {}
    for name in (name for name in vocabulary() if name in attributes):
        word = sure(confidence[name], language) if confidence and name in confidence else ""
        groups.setdefault(word, []).append(name)
    ordered = sorted(groups, key=_rank)
    if language == "zh":
        return _chinese(subject[1], age, [(w, _phrases(groups[w], attributes)) for w in ordered])
    return _english(subject[0], age, [(w, groups[w]) for w in ordered], attributes)


def sure(probability: float, language: Language = "en") -> str:
    """How likely, in a word."""
    return next(words[language] for least, words in _LEVELS if probability >= least)


def _rank(word: str) -> int:
    """Said plainly first, then the surest."""
    listed = [words for _, words in _LEVELS]
    return next((place for place, words in enumerate(listed, 1) if word in words.values()), 0)


def _english(
    subject: str,
    age: float | Ages | None,
    groups: Sequence[tuple[str, Sequence[str]]],
    attributes: Mapping[str, bool],
) -> str:
    text = f"A {subject}" + (_aged(age) if age is not None else "")
    for word, names in groups:
        things = [name for name in names if attributes[name] and _is_thing(name)]
        others = [name for name in names if name not in things]
        spoken = f"{word} " if word else ""
        if things:
            listed = _list([vocabulary()[name].en.present for name in things])
            text += f"{', ' + word if word else ''} with {listed}"
        for name in others:
            text += f", {spoken}{vocabulary()[name].en.says(attributes[name])}"
    return text + "."


def _chinese(
    subject: str, age: float | Ages | None, groups: Sequence[tuple[str, Sequence[str]]]
) -> str:
    text = "一个" + (f"{say_age(age, 'zh')}的" if age is not None else "") + subject
    for word, phrases in groups:
        text += "\uff0c" + word + "\uff0c".join(phrases)
    return text + "\u3002"


def _phrases(names: Sequence[str], attributes: Mapping[str, bool]) -> list[str]:
    return [vocabulary()[name].zh.says(attributes[name]) for name in names]


def _is_thing(name: str) -> bool:
    return vocabulary()[name].form == "thing"


def _list(phrases: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(phrases[:-1]), phrases[-1])))


def _aged(age: float | Ages) -> str:
    said = say_age(age)
    return f" of {said}" if said.startswith("about") else f" aged {said}"
