"""Labels as they are typed, in words or in a labels.csv; and `mascaron-site labels`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from client.commands.asking import Asking, person_of
from client.vault.labels import AGE, NOTHING, Told
from common.errors import ConfigError
from common.faces.labels import MISSING, Labels, read_labels_file
from common.text.vocabulary import FEMALE, canonical, names

ENDING = ".csv"
_SAID = {"yes": True, "1": True, "no": False, "0": False}


def label_person(asking: Asking, person: str, typed: str) -> dict[str, Any]:
    """Says ``typed`` words of all pictures kept of ``person``; none of them: nothing any more.

    Nothing of it is told again. ``ConsentError`` unless they agreed to it.
    """
    told = words_of(typed) if typed else NOTHING
    with asking.door() as door:
        door.set_labels(person_of(person), told)
    return {"person": person, "labelled": bool(told)}


def labels_for(typed: str | None, pictures: Sequence[Path]) -> Mapping[Path, Told]:
    """What is said of each of ``pictures``: the same words, or their lines in a labels.csv.

    In the file a picture is called by its folder and name, as in a folder of people.
    ``ConfigError`` for words, ``DataSetError`` for a file, that cannot be understood;
    ``ForbiddenError`` for what is never said of anybody.
    """
    if typed is None:
        return {}
    if not typed.endswith(ENDING):
        return dict.fromkeys(pictures, words_of(typed))
    read = read_labels_file(Path(typed), [_called(picture) for picture in pictures])
    for name in read.attribute_names:
        _check(name)
    return {picture: _said(read, row) for row, picture in enumerate(pictures)}


def words_of(typed: str) -> Told:
    """Words such as ``glasses=yes,hat=no,age=40``, as they were typed."""
    told: dict[str, bool | int] = {}
    for number, part in enumerate(typed.split(","), 1):
        name, _, value = (word.strip() for word in part.partition("="))
        if name != AGE:
            _check(name)
        said = _SAID.get(value) if name != AGE else _whole(value)
        if said is None or name in told:
            raise ConfigError(f"label {number} is not like glasses=yes, hat=no or age=40")
        told[name] = said
    return told


def _check(name: str) -> None:
    if canonical(name) is None:
        raise ConfigError(
            f"of a picture can be said: {', '.join((*names(), FEMALE, AGE))}; one of the labels is "
            "called otherwise"
        )


def _whole(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 3 else None


def _called(picture: Path) -> str:
    whole = picture.absolute()
    return f"{whole.parent.name}/{whole.name}"


def _said(labels: Labels, row: int) -> Told:
    """One line; what its cells leave open is not said. Ages in whole years."""
    cells = [] if labels.attributes is None else labels.attributes[row].tolist()
    columns = zip(labels.attribute_names, cells, strict=True)
    told: dict[str, bool | int] = {name: bool(cell) for name, cell in columns if cell != MISSING}
    if labels.age is not None and not math.isnan(labels.age[row]):
        told[AGE] = round(float(labels.age[row]))
    return told
