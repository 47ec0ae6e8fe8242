"""A sweep as a flat list: one gain for every point, noise model and epsilon."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulations.report.palette import Arm
from simulations.report.words import Gain, gains_of

Line = Mapping[str, Any]

NUMBERS = ("people", "sites", "epsilon")  # the axes that have charts of their own


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One gain, and where in the sweep it was measured. ``others`` are the remaining axes."""

    people: float
    sites: int
    gain: Gain
    others: str

    @property
    def arm(self) -> Arm:
        """Noise model and epsilon."""
        return self.gain.arm

    @property
    def epsilon(self) -> float:
        """As a number."""
        return float(self.gain.arm.epsilon)

    @property
    def where(self) -> str:
        """In words, for whoever hovers over it."""
        told = f"{self.people:g} people a site, {self.sites} sites, {self.arm.label}"
        return f"{told}, {self.others}" if self.others else told


def records_of(lines: Sequence[Line]) -> list[Record]:
    """All gains of the points that were measured."""
    found = []
    for line in lines:
        if line["status"] != "done":
            continue
        others = ", ".join(
            f"{key} {value}" for key, value in line["point"].items() if key not in NUMBERS
        )
        people = line["point"].get("people") or line.get("people", 0)
        sites = line.get("sites") or line["point"].get("sites", 0)
        for gain in gains_of(line.get("gain", {})):
            found.append(Record(people=people, sites=sites, gain=gain, others=others))
    return found


def values(records: Sequence[Record], of: Callable[[Record], Any]) -> list[Any]:
    """The different values of ``records``, ascending."""
    return sorted({of(record) for record in records})
