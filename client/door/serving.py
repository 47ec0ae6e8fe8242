"""One release at work: the gallery of its trunk's templates, and the bands that answers are.

A feature becomes the same row, to the bit, whenever and in whatever company it is embedded: so a
release that comes back decides as it did.
"""

import weakref
from collections.abc import Collection, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from client.door.measures import PLAIN, Measure, Pictures
from client.door.thresholds import Band, Calibration
from client.door.wording import Brought
from client.vault.bitmap import Bitmap
from client.vault.gallery import TOP, Gallery
from client.vault.identity import PersonId, TemplateId
from common.errors import ModelError, NotReadyError, ReleaseError, UnknownPersonError
from common.matching.directions import affine
from common.metrics.verification import unit_rows
from common.models.tail import Tail

Floats = NDArray[np.float32]


class Serving:
    """What ``tail`` makes of the features of ``trunk``; safe among threads. ``brought`` are heads
    that came with it.

    Guarantee: no answer is more than a band. Without a calibration nothing is decided. When nobody
    holds the object any more its rows are zeroed.
    Leaks: a band tells on which side of a threshold a picture lies, to whoever may ask.
    """

    def __init__(
        self,
        trunk: str,
        tail: Tail,
        calibration: Calibration | None = None,
        measure: Measure = PLAIN,
        brought: Brought | None = None,
    ) -> None:
        self.trunk, self.tail, self.release = trunk, tail, tail.hash
        self.measure, self.brought = measure, brought
        self.gallery = Gallery(measure.dim(tail.embedding_dim))
        self._weight = tail.weight.T.astype(np.float64)  # (D, E)
        self._bias = tail.bias.astype(np.float64)
        self._calibration: Calibration | None = None
        self.decide_by(calibration)
        weakref.finalize(self, self.gallery.clear).atexit = False

    def __repr__(self) -> str:
        return f"Serving({self.release[:12]})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a gallery stays in the memory of its process")

    @property
    def name(self) -> tuple[str, str, str]:
        """Hashes of tail, trunk and file of heads: together they name a release."""
        return self.release, self.trunk, self.heads

    @property
    def heads(self) -> str:
        """SHA-256 of the file of the heads that it brought; empty where it brought none."""
        return "" if self.brought is None else self.brought.name

    @property
    def calibration(self) -> Calibration | None:
        """What decides, once there is one."""
        return self._calibration

    def decide_by(self, calibration: Calibration | None) -> None:
        """Takes other thresholds from now on; ``ReleaseError`` for those of another release, or of
        another measure."""
        if calibration and (calibration.release, calibration.trunk) != self.name[:2]:
            raise ReleaseError("a calibration decides for the release it was made for alone")
        if calibration and calibration.measure != self.measure.name:
            raise ReleaseError(
                "these thresholds are of another distance or pooling than [door] of site.toml says"
            )
        self._calibration = calibration

    def embed(self, features: ArrayLike) -> Floats:
        """(N, D) features -> (N, dim of the measure) unit rows, as the measure compares them; zero
        where nothing is left of a feature.

        ``ModelError`` for another D, and for numbers that are not finite.
        """
        return self.measure.rows(self._units(features))

    def extend(
        self,
        persons: Sequence[PersonId],
        templates: Sequence[TemplateId],
        features: ArrayLike,
        quality: NDArray[np.floating] | None = None,
    ) -> None:
        """Takes the features (N, D) of so many templates into the gallery: all of them, or none.

        Where the measure pools, what a person has comes at once, and weighs by ``quality`` (N,) in
        [0, 1] (None: all alike). ``ReleaseError`` where the release makes nothing of one of them.
        """
        if self.measure.pools:
            persons, templates, rows = self._pooled(persons, templates, features, quality)
        else:
            rows = self.embed(features)
        if not rows.any(axis=1).all():
            raise ReleaseError("this release makes nothing of some template: it cannot serve here")
        self.gallery.extend(persons, templates, rows)
        rows.fill(0)

    def drop(self, person: PersonId) -> int:
        """Zeroes all rows of a person; returns how many there were."""
        return self.gallery.remove_person(person)

    def verify(self, feature: ArrayLike, person: PersonId) -> Band:
        """Whether the feature (D,) is of ``person``, by the best of their templates.

        ``UnknownPersonError`` where they have none here; ``NotReadyError`` without a calibration.
        """
        decide = self._ready().decide
        probe = self._probe(feature)
        if probe is None and person in self.gallery:
            return Band.NO
        if probe is None:
            raise UnknownPersonError("no template of this person is in the gallery")
        return decide(self.gallery.best(probe, person))

    def search(
        self, feature: ArrayLike, top: int = TOP, allowed: Bitmap | None = None
    ) -> list[tuple[PersonId, Band]]:
        """Who the feature (D,) may be of, best first, at most ``top`` of TOP; nobody who is no.

        ``NotReadyError`` where searches are not calibrated.
        """
        found = self._found(feature, top, allowed)
        return [(person, band) for person, band in found if band != Band.NO]

    def resembles(self, feature: ArrayLike) -> bool:
        """Whether somebody enrolled looks so much like the feature (D,) that they may be the same.

        ``NotReadyError`` without a calibration.
        """
        return any(band == Band.MATCH for _, band in self._found(feature, 1, None, exact=True))

    def filter(self, persons: Collection[PersonId]) -> Bitmap:
        """These people alone, for ``search``."""
        return self.gallery.bitmap(persons)

    def _units(self, features: ArrayLike) -> Floats:
        wide = np.asarray(features)
        if wide.ndim != 2 or wide.shape[1] != self.tail.feature_dim:
            raise ModelError(f"features must be (N, {self.tail.feature_dim}), got {wide.shape}")
        return unit_rows(affine(wide, self._weight, self._bias))

    def _pooled(
        self,
        persons: Sequence[PersonId],
        templates: Sequence[TemplateId],
        features: ArrayLike,
        quality: NDArray[np.floating] | None,
    ) -> tuple[list[PersonId], list[TemplateId], Floats]:
        """Each person once, under the first of their templates, in whatever order those come."""
        units = self._units(features)
        if not units.any(axis=1).all():
            return list(persons), list(templates), units  # refused: nothing is left of one
        groups: dict[PersonId, list[int]] = {}
        for at in sorted(range(len(persons)), key=lambda one: templates[one]):
            groups.setdefault(persons[at], []).append(at)
        if any(person in self.gallery for person in groups):
            raise ValueError("the templates of a person are pooled all at once: drop them first")
        pictures = Pictures(features=np.asarray(features), embeddings=units, quality=quality)
        made = self.measure.together(pictures, list(groups.values()))
        rows = self.measure.rows(made)
        units.fill(0)
        return list(groups), [templates[group[0]] for group in groups.values()], rows

    def _found(
        self, feature: ArrayLike, top: int, allowed: Bitmap | None, exact: bool = False
    ) -> list[tuple[PersonId, Band]]:
        calibration = self._ready()
        decide = calibration.decide_search
        if exact and calibration.search is None:
            decide = calibration.decide
        elif calibration.search is None:
            decide(0.0)  # raises: whoever is not there is told the same as whoever is
        probe = self._probe(feature)
        if probe is None:
            return []
        hits = self.gallery.search(probe[None], top, allowed, exact)
        scores = hits.scores[0].tolist()
        return [(one, decide(score)) for one, score in zip(hits.persons[0], scores, strict=True)]

    def _probe(self, feature: ArrayLike) -> Floats | None:
        row: Floats = self.embed(np.asarray(feature)[None])[0]
        return row if row.any() else None

    def _ready(self) -> Calibration:
        if self._calibration is None:
            raise NotReadyError("nothing is decided before a calibration: run calibrate")
        return self._calibration
