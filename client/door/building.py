"""From the vault: a release's gallery, and what its thresholds are fixed on. No picture is needed.

What is opened for either is zeroed once it was used.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from client.door.calibrating import Material, Target, calibrate
from client.door.galleries import Galleries
from client.door.serving import Serving
from client.door.thresholds import Calibration
from client.vault.identity import PersonId
from client.vault.loading import Loaded
from client.vault.store import Vault
from common.errors import GalleryFullError, ModelError, ReleaseError
from common.models.tail import Tail

MATCHED = ("verify", "identify")  # purposes for which people are compared with one another
PORTION = 4096  # templates embedded before the gallery takes them


class Strangers(Protocol):
    """Whom a release is calibrated against, besides the site's own people."""

    @property
    def person(self) -> NDArray[np.integer]:
        """Whose each feature is, (M,)."""

    def dim(self, trunk: str) -> int:
        """How many numbers ``trunk`` gives; ``ReleaseError`` for a trunk that is not here.

        Asked whenever a release is opened, so it takes no look at anybody.
        """

    def of(self, trunk: str) -> NDArray[np.floating]:
        """Their features (M, D) by ``trunk``; raises as ``dim``."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class PublicPeople:
    """Strangers to calibrate against: features (M, D) by trunk, of people ``person`` (M,).

    Its trunks are those that the site can see by.
    """

    features: Mapping[str, NDArray[np.floating]]
    person: NDArray[np.integer]

    def dim(self, trunk: str) -> int:
        """How many numbers ``trunk`` gives; ``ReleaseError`` for a trunk that is not here."""
        return int(self.of(trunk).shape[1])

    def of(self, trunk: str) -> NDArray[np.floating]:
        """What ``trunk`` makes of them; raises as ``dim``."""
        if trunk not in self.features:
            raise unknown(trunk)
        return self.features[trunk]


def unknown(trunk: str) -> ReleaseError:
    """What to raise for a trunk that is not at this site."""
    return ReleaseError(
        f"no trunk {trunk[:12]} at this site: put it there before a release that needs it"
    )


def check(tail: Tail, trunk: str, public: Strangers) -> None:
    """``ReleaseError`` for a tail that cannot follow ``trunk`` here."""
    dim = public.dim(trunk)
    if tail.feature_dim != dim:
        raise ReleaseError(f"the trunk gives {dim} numbers, and the tail takes {tail.feature_dim}")


def fill(serving: Serving, vault: Vault) -> None:
    """Embeds every template of the serving's trunk; ``ReleaseError`` where that cannot be."""
    loaded = vault.load(serving.trunk)
    try:
        for part in _portions(loaded.persons):
            serving.extend(
                loaded.persons[part],
                loaded.templates[part],
                loaded.features[part],
                loaded.quality[part],
            )
    except (ModelError, GalleryFullError) as error:
        raise ReleaseError(f"a gallery cannot be made for this release: {error}") from None
    finally:
        loaded.wipe()


def follow(galleries: Galleries, vault: Vault, persons: Collection[PersonId]) -> None:
    """Puts the templates that ``persons`` have now in the place of those the galleries have."""
    for serving in galleries.all:
        for person in persons:
            held = vault.held(person, serving.trunk)
            serving.drop(person)
            if held:
                features = np.stack([one.feature for one in held])
                quality = np.array([one.quality for one in held])
                templates = [one.template for one in held]
                serving.extend([person] * len(held), templates, features, quality)


def comparable(vault: Vault, now: float) -> frozenset[PersonId]:
    """Who agreed to be compared with somebody, for whatever question."""
    agreed = (vault.people(purpose=each, now=now) for each in MATCHED)
    return frozenset[PersonId]().union(*agreed)


def calibrated(
    serving: Serving, vault: Vault, public: Strangers, target: Target, now: float
) -> Calibration:
    """Thresholds for ``target``, from the people who agreed to be compared, and from strangers.

    Raises ``InsufficientCalibrationError``.
    """
    strangers = public.of(serving.trunk)
    agreed = comparable(vault, now)
    loaded = vault.load(serving.trunk)
    own, person, quality = _of(loaded, agreed, strangers.shape[1])
    loaded.wipe()
    material = Material(
        trunk=serving.trunk,
        own=own,
        own_person=person,
        public=strangers,
        public_person=public.person,
        own_quality=quality if serving.measure.pools else None,
    )
    try:
        return calibrate(material, serving.tail, target, now, serving.measure)
    finally:
        own.fill(0)


def _portions(persons: Sequence[PersonId]) -> Iterator[slice]:
    """Some PORTION templates at a time; nobody's are divided."""
    start = 0
    while start < len(persons):
        end = min(start + PORTION, len(persons))
        while end < len(persons) and persons[end] == persons[end - 1]:
            end += 1
        yield slice(start, end)
        start = end


def _of(
    loaded: Loaded, persons: frozenset[PersonId], dim: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]:
    chosen = [at for at, person in enumerate(loaded.persons) if person in persons]
    if not chosen:
        return np.zeros((0, dim), np.float32), np.zeros(0, np.int64), np.zeros(0)
    number = {person: at for at, person in enumerate(dict.fromkeys(loaded.persons))}
    whose = np.array([number[loaded.persons[at]] for at in chosen], np.int64)
    return loaded.features[chosen].astype(np.float32), whose, loaded.quality[chosen]
