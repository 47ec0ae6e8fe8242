"""How people are dealt to sites: evenly, unevenly, by camera, or by what they look like.

Everybody goes to exactly one site with all that the site may see of them, and has two pictures
there: a scatter of one picture is zero. Each way of dealing gives every site its people in an
order that does not depend on how many it keeps, so with ``people`` a site the first so many stay
the same when there are to be more.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.errors import ScenarioError
from simulations.material import Labels
from simulations.settings import Dealing

Indices = NDArray[np.int64]
Dealt = dict[int, Indices]  # by number of the site


def seats(
    labels: Labels, pictures: Indices, sites: int, how: Dealing, rng: np.random.Generator
) -> Dealt:
    """The pictures of the people of each site; site s has camera type s modulo their number.

    Where each picture was taken at one camera type, its person is dealt among the sites of the
    type that has most of them, and brings those. Raises ``ScenarioError`` if they are too few.
    """
    kinds = len(labels.types)
    if labels.taken is not None:
        groups = _by_camera(labels, pictures)
        numbers: list[Sequence[int]] = [range(camera, sites, kinds) for camera in range(kinds)]
    elif how.partition == "camera":
        numbers = [range(camera, sites, kinds) for camera in range(min(kinds, sites))]
        groups = _skewed(labels, pictures, [len(mine) for mine in numbers], how.alpha, rng)
    else:
        groups, numbers = [pictures], [range(sites)]
    dealt: Dealt = {}
    for mine, to in zip(groups, numbers, strict=True):
        if to:
            dealt |= _dealt(labels, mine, to, how, rng)
    return dealt


def first_people(
    labels: Labels, pictures: Indices, people: int | None, rng: np.random.Generator
) -> Indices:
    """The pictures of ``people`` of the people behind ``pictures``, drawn at random; all if None.

    For sites that a pack declares: who comes first does not depend on how many come.
    """
    if people is None:
        return pictures
    order = rng.permutation(np.unique(labels.person[pictures]))
    _enough(len(order), people)
    return pictures[np.isin(labels.person[pictures], order[:people])]


def able(labels: Labels, pictures: Indices) -> Indices:
    """The people, ascending, who have two of ``pictures``."""
    people, counts = np.unique(labels.person[pictures], return_counts=True)
    return people[counts > 1]


def _dealt(
    labels: Labels,
    pictures: Indices,
    numbers: Sequence[int],
    how: Dealing,
    rng: np.random.Generator,
) -> Dealt:
    """``pictures`` of the people who have two, dealt to the sites ``numbers``."""
    people, sites = able(labels, pictures), len(numbers)
    if len(people) < sites * (how.people or 1):
        each = f" with {how.people} people each" if how.people else ""
        raise ScenarioError(
            f"{len(people)} people with two pictures cannot fill {sites} sites{each}"
        )
    if how.partition == "attribute":
        parts = _mixed(_groups(labels, pictures, people), sites, how, rng)
    elif how.partition == "dirichlet":
        parts = _cut(rng.permutation(people), drawn_sizes(len(people), [1] * sites, how.alpha, rng))
    else:
        parts = np.array_split(rng.permutation(people), sites)
    kept = _pictures_of(labels, pictures, [part[: how.people] for part in parts])
    return dict(zip(numbers, kept, strict=True))


def drawn_sizes(
    people: int, least: Sequence[int], alpha: float, rng: np.random.Generator
) -> list[int]:
    """How many of ``people`` each part gets: ``least`` each, the rest in Dirichlet(alpha) shares.

    Shares are rounded so that nobody is left over.
    """
    spare = people - sum(least)
    shares = np.cumsum(rng.dirichlet(np.full(len(least), alpha)))
    ends = np.round(spare * shares / shares[-1]).astype(int)
    return [low + int(more) for low, more in zip(least, np.diff(ends, prepend=0), strict=True)]


def _by_camera(labels: Labels, pictures: Indices) -> list[Indices]:
    """``pictures`` by camera type, each person in the one type that has most of them."""
    assert labels.taken is not None
    chosen = _majority(labels.person[pictures], labels.taken[pictures])[1]
    kinds = range(len(labels.types))
    return [labels.seen(pictures[chosen == camera], camera) for camera in kinds]


def _skewed(
    labels: Labels, pictures: Indices, sites: list[int], alpha: float, rng: np.random.Generator
) -> list[Indices]:
    """``pictures`` by camera type, where each type has people of its own, unevenly many."""
    people = able(labels, pictures)
    if len(people) < sum(sites):
        raise ScenarioError(
            f"{len(people)} people with two pictures cannot fill {sum(sites)} sites"
        )
    parts = _cut(rng.permutation(people), drawn_sizes(len(people), sites, alpha, rng))
    return _pictures_of(labels, pictures, parts)


def _groups(labels: Labels, pictures: Indices, people: Indices) -> list[Indices]:
    """``people`` by the attribute that most of their pictures show."""
    if labels.attribute is None:
        raise ScenarioError('partition = "attribute" needs faces with attributes')
    everybody, group = _majority(labels.person[pictures], labels.attribute[pictures])
    of_person = np.full(int(everybody.max()) + 1, -1)
    of_person[labels.person[pictures]] = group
    mine = of_person[people]
    return [people[mine == value] for value in np.unique(mine)]


def _mixed(
    groups: list[Indices], sites: int, how: Dealing, rng: np.random.Generator
) -> list[Indices]:
    """People of each site in order, after Hsu et al. 2019 (arXiv:1909.06335).

    Every site draws its shares of the groups from Dirichlet(alpha * shares of all people), and the
    sites take turns at drawing a person of a group so drawn. A group that has run out is drawn no
    more.
    """
    rng = rng.spawn(1)[0]  # so that others draw the same, however many are drawn here
    waiting = [rng.permutation(group).tolist() for group in groups]
    sizes = np.array([len(group) for group in groups], float)
    wishes = rng.dirichlet(np.maximum(how.alpha * sizes / sizes.sum(), 1e-3), size=sites)
    people = int(sizes.sum()) if how.people is None else sites * how.people
    parts: list[list[int]] = [[] for _ in range(sites)]
    for turn in range(people):
        left = np.array([len(group) > 0 for group in waiting])
        wish = wishes[turn % sites] * left
        shares = wish / wish.sum() if wish.sum() > 0 else left / left.sum()
        drawn = int(rng.choice(len(groups), p=shares))
        parts[turn % sites].append(waiting[drawn].pop())
    return [np.array(part, np.int64) for part in parts]


def _pictures_of(labels: Labels, pictures: Indices, parts: Sequence[Indices]) -> list[Indices]:
    """Those of ``pictures`` that show the people of each part, in their order."""
    people = labels.person[pictures]
    part_of = np.full(int(people.max(initial=0)) + 1, len(parts))
    for number, part in enumerate(parts):
        part_of[part] = number
    order = np.argsort(part_of[people], kind="stable")
    ends = np.searchsorted(part_of[people][order], np.arange(len(parts)), side="right")
    return np.split(pictures[order], ends)[: len(parts)]


def _majority(person: Indices, kind: Indices) -> tuple[Indices, Indices]:
    """The people, ascending, and for each entry of ``person`` the kind most of theirs are of."""
    people, at = np.unique(person, return_inverse=True)
    counts = np.zeros((len(people), int(kind.max(initial=0)) + 1), np.int64)
    np.add.at(counts, (at, kind), 1)
    return people, counts.argmax(axis=1)[at]


def _cut(people: Indices, sizes: Sequence[int]) -> list[Indices]:
    return np.split(people, np.cumsum(sizes)[:-1])


def _enough(there: int, wanted: int) -> None:
    if there < wanted:
        raise ScenarioError(f"a declared site has {there} people with two pictures, not {wanted}")
