"""What is said of one picture of a person: sealed beside its template, however much it is.

Names are those of the vocabulary (``common.text.vocabulary``); whether one may be said of anybody
is decided where it is taken in, and again where it is learnt from (``SitePolicy.check_label``).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NoReturn

from client.vault.handles import DataKey, framed
from client.vault.identity import PersonId, TemplateId
from common.errors import LabelError, VaultError
from common.faces.labels import OLDEST

PURPOSE = "labels"  # of a consent
AGE = "age"
SIZE = 1024  # bytes of every record before it is sealed
MOST = 64  # names
SCHEMA = 1
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")

Told = Mapping[str, bool | int]  # what is said by its name; ``age`` in years
NOTHING: Told = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Labels:
    """``shown`` says whether the picture shows what is named; ``age`` is in whole years, or None.

    ``LabelError`` for names that are none, for an age that nobody has, and where nothing is said.
    """

    shown: Mapping[str, bool] = field(default_factory=dict)
    age: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shown", dict(sorted(self.shown.items())))
        if not self.shown and self.age is None:
            raise LabelError("labels that say nothing are none")
        if len(self.shown) > MOST or AGE in self.shown:
            raise LabelError(f"at most {MOST} things are said of a picture, each by its own name")
        if not all(_NAME.fullmatch(name) for name in self.shown):
            raise LabelError("a label is named by 1-48 of a-z, 0-9 and '_', a letter first")
        if not all(type(said) is bool for said in self.shown.values()):
            raise LabelError("a picture shows what is named, or does not")
        if self.age is not None and not (type(self.age) is int and 0 <= self.age <= OLDEST):
            raise LabelError(f"an age is in whole years from 0 to {OLDEST}")
        if len(_plain(self)) > SIZE:
            raise LabelError("more is said of a picture than there is room for")

    def table(self) -> dict[str, bool | int]:
        """The same by name, for the person to read."""
        return {**self.shown, **({} if self.age is None else {AGE: self.age})}

    def __reduce__(self) -> NoReturn:
        raise TypeError("labels of people are not pickled")


def seal_labels(key: DataKey, labels: Labels, about: bytes) -> bytes:
    """``labels`` under the person's key.

    Leaks: that there are any of this template; not how many, for all records have one length.
    """
    return key.seal(_plain(labels).ljust(SIZE), about)


def open_labels(key: DataKey, sealed: bytes, about: bytes) -> Labels:
    """What was sealed; ``VaultError`` unless it is this record, in this place, by this key."""
    try:
        table = json.loads(key.open(sealed, about))
        return Labels(shown=table["shown"], age=table["age"])
    except (ValueError, TypeError, KeyError, AttributeError, LabelError):
        raise VaultError("a record of labels is not one") from None


def about_labels(site: str, person: PersonId, template: TemplateId) -> bytes:
    """What authenticates the labels of one template: they open beside it alone."""
    return framed("labels", SCHEMA, site, bytes(person), bytes(template))


def _plain(labels: Labels) -> bytes:
    table = {"age": labels.age, "shown": labels.shown}
    return json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
