"""Which measure each release decides by, and that none decides by thresholds of another.

The site names one distance and one pooling, for whatever decides. Learnt weights are of one trunk:
where they pool, people of a trunk that has none are pooled by quality. Where that was changed since
thresholds were fixed, those do not count any more: they stay on the disk until others are found, so
a site that changes its mind has lost nothing. A release to go back to keeps the thresholds it had:
it comes back to the bit while the site names what they were fixed for, and else not at all.
"""

from dataclasses import replace

from client.door.building import Strangers
from client.door.measures import Likeness, Measure, measure_of
from client.door.shelf import Entry, Shelf, State
from common.models.tail import Tail


class Measuring:
    """``likeness`` for the releases on ``shelf``, by a basis of ``public`` people if it needs one.

    Guarantee: a basis is of public people alone. It is made once for a release and kept with it, so
    that it is the same to the bit ever after.
    """

    def __init__(self, likeness: Likeness, shelf: Shelf, public: Strangers) -> None:
        self._likeness, self._shelf, self._public = likeness, shelf, public

    def fresh(self, tail: Tail, trunk: str) -> Measure:
        """For a release that has none yet; ``ReleaseError`` where public people are too few."""
        likeness = self._likeness.at(trunk)
        if likeness.distance != "whitened":
            return Measure(likeness)
        return measure_of(likeness, tail.embed(self._public.of(trunk).astype("f4")))

    def of(self, entry: Entry) -> Measure:
        """The measure of a release that has its own."""
        whitened = self._shelf.basis(entry) if self._likeness.distance == "whitened" else None
        return Measure(self._likeness.at(entry.trunk), whitened)

    def fitting(self, state: State) -> State:
        """``state`` with a basis for every release that needs one, and without thresholds for
        another measure in what decides or may be next. Raises as ``fresh`` and ``Shelf``."""
        if self._likeness.distance == "whitened":
            state = state.each(self._based, also_before=True)
        return state.each(self._deciding)

    def _based(self, entry: Entry) -> Entry:
        if entry.basis is not None:
            return entry
        made = self.fresh(self._shelf.tail(entry), entry.trunk)
        return replace(entry, basis=self._shelf.put_basis(made.whitened))

    def _deciding(self, entry: Entry) -> Entry:
        calibration = self._shelf.calibration(entry)
        if calibration is None or calibration.measure == self.of(entry).name:
            return entry
        return replace(entry, calibration=None)
