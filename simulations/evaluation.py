"""Every site's tail on report people seen through that site's camera: one piece of a run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from common.metrics.intervals import Estimate, estimate, person_weights
from common.metrics.verification import Pairs
from common.models.tail import Tail
from simulations.material import Material
from simulations.pieces import Piece
from simulations.sites import SimulatedSite


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
    _known: dict[tuple[int, str], Estimate] = field(default_factory=dict)

    def judge(
        self,
        sites: Sequence[SimulatedSite],
        tails: Sequence[Tail],
        spent: tuple[float, ...] | None = None,
    ) -> Piece:
        """The piece of one arm: ``tails[i]`` is what site i would match with."""
        estimates = [self._estimate(s.camera, t) for s, t in zip(sites, tails, strict=True)]
        pairs = [self._bench(site.camera)[1] for site in sites]
        return Piece(
            sites=tuple(site.name for site in sites),
            camera_types=tuple(self.material.types[site.camera] for site in sites),
            tar=np.stack([e.tar for e in estimates]),
            draws=np.stack([e.draws for e in estimates]),
            people=tuple(p.people for p in pairs),
            pairs=tuple(len(p) for p in pairs),
            epsilon_spent=spent,
        )

    def tar(self, camera: int, tail: Tail) -> NDArray[np.float64]:
        """TAR at the three rates, without an interval being looked at."""
        return self._estimate(camera, tail).tar

    def _estimate(self, camera: int, tail: Tail) -> Estimate:
        key = (camera, tail.hash)
        if key not in self._known:
            pictures, pairs, weights = self._bench(camera)
            embedded = tail.embed(self.material.features[camera][pictures])
            self._known[key] = estimate(embedded, pairs, weights)
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
