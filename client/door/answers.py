"""What the reception answers: decisions, coarse bands and ids, never a score, a rate or a count.

Labels are the operator's own words for people. They are for a terminal, so nothing prints them.
"""

from dataclasses import dataclass, field
from typing import Literal

from client.door.thresholds import Band
from client.vault.identity import PersonId

State = Literal["confirmed", "pending", "unknown"]
Sureness = Literal["probable", "likely", "certain"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """Whether one picture of an enrolment is taken, else why not; and how many are by now.

    ``reasons`` are words of ``common.faces.quality``, ``unlike_the_others``,
    ``unlike_the_person``, ``too_many_pictures``, or the reason of an error in lower case.
    """

    accepted: bool
    reasons: tuple[str, ...]
    pictures: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolled:
    """Who was enrolled. ``checked`` is False where nothing was calibrated yet to find out whether
    they were enrolled already."""

    person: PersonId
    checked: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Identification:
    """Who somebody is: at most five, best first; nobody unless ``state`` is "confirmed".

    ``pending`` waits for two people at ``ticket``. To those two, ``persons`` are the candidates,
    with ``labels`` in the same order.
    """

    ticket: bytes
    state: State
    persons: tuple[tuple[PersonId, Band], ...] = ()
    labels: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """One thing about a face: an attribute of ``common.text.vocabulary``, and how sure it is."""

    name: str
    present: bool
    sureness: Sureness


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """What is to be seen of a face, in a sentence and one by one. No probability is told."""

    sentence: str
    said: tuple[Said, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LookedFor:
    """Who looks as a query says, best first: MATCH where all of it is more likely than not, NEAR
    where most of it is. ``unasked`` are parts that no head here can answer."""

    persons: tuple[tuple[PersonId, Band], ...]
    unasked: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One person enrolled. ``expires`` is in Unix seconds, ``trunks`` are hashes."""

    person: PersonId
    label: str = field(repr=False)
    expires: float
    templates: int
    trunks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationTold:
    """That ``release`` decides at these rates from now on: what was asked for, nothing found."""

    release: str
    fmr: float
    fpir: float | None
    made: float  # Unix seconds
