"""What decides at one moment: the active release, and beside it that of an older trunk.

A person who was enrolled again under the new trunk is judged there, anybody else by the old one.
Nothing is ever compared across trunks: a picture is seen by both, and each looks at its own.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.door.serving import Serving
from client.door.thresholds import Band
from client.vault.gallery import TOP
from client.vault.identity import PersonId
from common.errors import ModelError, NotReadyError

Features = Mapping[str, NDArray[np.float32]]  # of one picture: (D,) by the hash of its trunk
Answers = list[tuple[PersonId, Band]]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class Galleries:
    """The releases that decide, and the one that may be next; replaced whole, never changed.

    Guarantee: who is in ``active`` is judged there alone. An answer is a band.
    Leaks: while two trunks serve, a search is two searches: a stranger is taken for somebody at
    most as often as both rates allow together.
    """

    active: Serving | None = None
    beside: Serving | None = None
    staged: Serving | None = None

    @property
    def all(self) -> tuple[Serving, ...]:
        """Every one there is."""
        return tuple(one for one in (self.active, self.beside, self.staged) if one is not None)

    @property
    def trunks(self) -> tuple[str, ...]:
        """By which a picture has to be seen; that of the active release first."""
        return tuple(dict.fromkeys(one.trunk for one in self.all))

    def lead(self) -> Serving:
        """The active release; ``NotReadyError`` if there is none."""
        if self.active is None:
            raise NotReadyError("no release decides here yet: stage one, then calibrate")
        return self.active

    def verify(self, seen: Features, person: PersonId) -> Band:
        """Whether the picture shows ``person``; raises as ``Serving.verify``."""
        serving = self.lead()
        if self.beside is not None and person not in serving.gallery:
            serving = self.beside if person in self.beside.gallery else serving
        return serving.verify(_of(seen, serving), person)

    def search(
        self, seen: Features, top: int = TOP, allowed: Collection[PersonId] | None = None
    ) -> Answers:
        """Who of ``allowed`` (None: of all) the picture may show; best first, no NO among them.

        Raises as ``Serving.search``.
        """
        lead = self.lead()
        chosen = None if allowed is None else lead.filter(allowed)
        found = lead.search(_of(seen, lead), top, chosen)
        if self.beside is not None:
            others = self.beside.gallery.people - lead.gallery.people
            others = others if allowed is None else others.intersection(allowed)
            if others:
                old = self.beside
                found += old.search(_of(seen, old), top, old.filter(others))
        return sorted(found, key=lambda one: one[1] != Band.MATCH)[:top]

    def resembles(self, seen: Features) -> bool:
        """Whether somebody enrolled may be who the picture shows; raises as ``Serving``."""
        lead = self.lead()
        if lead.resembles(_of(seen, lead)):
            return True
        return self.beside is not None and self.beside.resembles(_of(seen, self.beside))


def _of(seen: Features, serving: Serving) -> NDArray[np.float32]:
    if serving.trunk not in seen:
        raise ModelError("the picture was not seen by a trunk whose release decides here")
    return seen[serving.trunk]
