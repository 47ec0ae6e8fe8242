"""Every site's tail on report people seen through that site's camera: one piece of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.metrics.intervals import Estimate, estimate, person_weights
from common.metrics.verification import Pairs, Scores, threshold_at_far
from common.models.tail import Tail
from simulations.material import Material
from simulations.pieces import FMR_GRID, Piece
from simulations.sites import SimulatedSite

Doubles = NDArray[np.float64]


@dataclass(eq=False)
class Jury:
    """The report people of one fold. The same resamples of them judge every arm, site and seed."""

    material: Material
    pictures: NDArray[np.int64]
    draws: int
    fold: int
    _pairs: dict[int, tuple[NDArray[np.int64], Pairs, NDArray[np.float64]]] = field(
        default_factory=dict
    )
    _known: dict[tuple[int, str], tuple[Estimate, Doubles]] = field(default_factory=dict)

    def judge(
        self,
        sites: Sequence[SimulatedSite],
        tails: Sequence[Tail],
        spent: tuple[float, ...] | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> Piece:
        """The piece of one arm: ``tails[i]`` is what site i would match with."""
        found = [self._estimate(s.camera, tail) for s, tail in zip(sites, tails, strict=True)]
        pairs = [self._bench(site.camera)[1] for site in sites]
        return Piece(
            sites=tuple(site.name for site in sites),
            camera_types=tuple(self.material.types[site.camera] for site in sites),
            tar=np.stack([estimate.tar for estimate, _ in found]),
            draws=np.stack([estimate.draws for estimate, _ in found]),
            people=tuple(p.people for p in pairs),
            pairs=tuple(len(p) for p in pairs),
            epsilon_spent=spent,
            fnmr=np.stack([fnmr for _, fnmr in found]),
            notes=notes or {},
        )

    def tar(self, camera: int, tail: Tail) -> NDArray[np.float64]:
        """TAR at the three rates, without an interval being looked at."""
        return self._estimate(camera, tail)[0].tar

    def _estimate(self, camera: int, tail: Tail) -> tuple[Estimate, Doubles]:
        key = (camera, tail.hash)
        if key not in self._known:
            pictures, pairs, weights = self._bench(camera)
            scores = pairs.score(tail.embed(self.material.features[camera][pictures]))
            self._known[key] = estimate(scores, pairs, weights), fnmr_on_grid(scores)
        return self._known[key]

    @property
    def _person(self) -> NDArray[np.int64]:
        return self.material.person[self.pictures]

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        """Of all report people: sites that see some of them share the same resamples."""
        return person_weights(len(np.unique(self._person)), self.draws, (self.fold, 2))

    def _bench(self, camera: int) -> tuple[NDArray[np.int64], Pairs, NDArray[np.float64]]:
        if camera not in self._pairs:
            pictures = self.material.seen(self.pictures, camera)
            person = self.material.person[pictures]
            weights = self._weights[:, np.isin(np.unique(self._person), person)]
            self._pairs[camera] = (pictures, Pairs.of(person), weights)
        return self._pairs[camera]


def fnmr_on_grid(scores: Scores) -> Doubles:
    """FNMR at each FMR of ``FMR_GRID``: points of the DET curve; NaN where too few pairs say it."""
    fnmr = np.full(len(FMR_GRID), np.nan)
    genuine, impostor = np.sort(scores.genuine), np.sort(scores.impostor)
    for index, fmr in enumerate(FMR_GRID if len(genuine) else ()):
        threshold = threshold_at_far(impostor, fmr)
        if threshold is not None:
            refused = np.searchsorted(genuine, np.float32(threshold), side="left")
            fnmr[index] = refused / len(genuine)
    return fnmr
