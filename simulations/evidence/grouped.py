"""A subject whose people are in groups: of an audit pack's column, or as they were invented."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ScenarioError
from common.faces.detect import make_detector
from common.faces.faceset import FaceSet
from common.faces.groups import Audited, load_audited
from common.models.studio import Progress
from common.synthetic.generate import numbered_person
from common.synthetic.people import Person
from simulations.evidence.subject import Subject, SubjectOptions, subject_of
from simulations.scenario import Invented
from simulations.sources import SYNTHETIC_SEED, Sources

Bands = tuple[tuple[float, ...], tuple[str, ...]]  # where one ends, and their names


def _skin(person: Person) -> float:
    return person.skin.melanin


def _years(person: Person) -> float:
    return person.years


# Melanin goes from 0 to 1 with its median near 0.43; years from 18 to 80, all as often.
INVENTED: dict[str, tuple[Callable[[Person], float], Bands]] = {
    "skin": (_skin, ((0.43,), ("lighter skin", "darker skin"))),
    "skin-thirds": (_skin, ((1 / 3, 2 / 3), ("light skin", "medium skin", "dark skin"))),
    "age": (_years, ((49,), ("under 49", "49 and over"))),
    "age-thirds": (_years, ((35, 60), ("under 35", "35 to 59", "60 and over"))),
}


@dataclass(frozen=True, eq=False, repr=False)
class GroupedSubject:
    """A subject, the group of each of its tested people (P,) ascending by id, and its name.

    ``identities`` and ``found`` as in ``Audited``.
    """

    subject: Subject
    group: NDArray[np.int64]
    names: tuple[str, ...]
    identities: bool = True
    found: NDArray[np.float64] | None = None


def group_invented(subject: Subject, groups: str, seed: int = SYNTHETIC_SEED) -> GroupedSubject:
    """``subject``, whose people are invented under ``seed``, by what they were invented with.

    ``ScenarioError`` for ``groups`` that nobody is invented with, or people who exist.
    """
    if not subject.invented:
        raise ScenarioError("only invented people are grouped by what they were invented with")
    group, names = _bands(subject.tested, groups, seed)
    return GroupedSubject(subject=subject, group=group[subject.tested.people], names=names)


def load_grouped(
    given: SubjectOptions, groups: str | None, progress: Progress, most_pictures: int
) -> GroupedSubject:
    """The subject with at most ``most_pictures`` of each person, grouped by ``groups``.

    ``groups`` names a column of the pack given as faces, or "skin" (the default) or "age" of
    invented people. ``ScenarioError`` or ``DataSetError`` where there are no groups.
    """
    audited: list[Audited] = []

    def read(sources: Sources) -> FaceSet:
        audited.append(_read(given, groups, sources, progress))
        return _limited(audited[0].faces, most_pictures)

    subject = subject_of(given, read, progress)
    (source,) = audited
    return GroupedSubject(
        subject=subject,
        group=source.group[subject.tested.people],
        names=source.names,
        identities=source.identities,
        found=source.found,
    )


def _read(
    given: SubjectOptions, groups: str | None, sources: Sources, progress: Progress
) -> Audited:
    if given.faces is None:
        faces, _ = sources.load_faces(Invented(people=given.people), progress)
        group, names = _bands(faces, groups or "skin", SYNTHETIC_SEED)
        return Audited(faces=faces, group=group, names=names, identities=True)
    if given.faces.is_dir():
        raise ScenarioError("--groups are a column of a pack (.npz); a folder of faces has none")
    detector = None if given.detector is None else make_detector(given.detector)
    return load_audited(given.faces, groups, detector, progress)


def _bands(faces: FaceSet, groups: str, seed: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The band of each of all people (P,), and their names."""
    if groups not in INVENTED:
        raise ScenarioError(f"--groups of invented people: {', '.join(INVENTED)}")
    measure, (ends, names) = INVENTED[groups]
    numbers = (int(name.rpartition("-")[2]) for name in faces.names)
    values = [measure(numbered_person(seed, number)) for number in numbers]
    return np.searchsorted(ends, values, side="right").astype(np.int64), names


def _limited(faces: FaceSet, most: int) -> FaceSet:
    """The first ``most`` pictures of each person: somebody famous is a person, not a rate."""
    order = np.argsort(faces.person, kind="stable")
    _, start, count = np.unique(faces.person[order], return_index=True, return_counts=True)
    nth = np.empty(len(order), np.int64)
    nth[order] = np.arange(len(order)) - np.repeat(start, count)
    return faces.subset(np.flatnonzero(nth < most))
