"""What a piece says beside its rates: bytes, rounds, spend and people of every site, judged or not.

Written by the runner into ``Piece.notes``, gathered here for the summary. Counts only.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulations.pieces import Piece

if TYPE_CHECKING:
    from simulations.arms import Arm
    from simulations.sites import SimulatedSite

Bytes = dict[str, list[int]]  # by site: sent, received


def notes_of(
    sites: "Sequence[SimulatedSite]", person: NDArray[np.int64], arm: "Arm"
) -> dict[str, Any]:
    """The notes of one arm; ``person`` (N,) is whose the pictures are."""
    people = {site.name: len(np.unique(person[site.pictures])) for site in sites}
    notes: dict[str, Any] = {"people": people}
    if arm.outcome is not None:
        sent, received = arm.outcome.uploaded, arm.outcome.downloaded
        notes["bytes"] = {site: [sent[site], received[site]] for site in sent}
        notes["rounds"] = arm.outcome.history
    if arm.outcome is not None and arm.spent is not None:
        notes["spent"] = arm.outcome.spent
    return notes


def spent_of(piece: Piece) -> dict[str, float]:
    """Epsilon of every site, or of the judged ones where no more is known; empty: no release."""
    if "spent" in piece.notes:
        return dict(piece.notes["spent"])
    return dict(zip(piece.sites, piece.epsilon_spent or (), strict=piece.epsilon_spent is not None))


def bytes_of(pieces: Iterable[Piece]) -> Bytes | None:
    """The most that each site sent and received in any repetition; None where nobody counted."""
    most: Bytes = {}
    for piece in pieces:
        for site, (sent, received) in piece.notes.get("bytes", {}).items():
            known = most.setdefault(site, [0, 0])
            most[site] = [max(known[0], sent), max(known[1], received)]
    return most or None


def people_of(pieces: Iterable[Piece]) -> dict[str, int] | None:
    """The median over repetitions of how many people train at each site."""
    seen: dict[str, list[int]] = {}
    for piece in pieces:
        for site, people in piece.notes.get("people", {}).items():
            seen.setdefault(site, []).append(people)
    return {site: int(np.median(counts)) for site, counts in seen.items()} or None


def rounds_of(pieces: Iterable[Piece]) -> list[dict[str, Any]] | None:
    """Every round: its mechanism, the mean number of sites that answered, the mean public score."""
    by_round: dict[int, list[Mapping[str, Any]]] = {}
    for piece in pieces:
        for entry in piece.notes.get("rounds", ()):
            by_round.setdefault(int(entry["round"]), []).append(entry)
    return [_mean_round(number, by_round[number]) for number in sorted(by_round)] or None


def _mean_round(number: int, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    told = {
        "round": number,
        "mechanism": str(entries[0]["mechanism"]),
        "sites": round(float(np.mean([entry["sites"] for entry in entries])), 2),
    }
    scores = [entry["public"] for entry in entries if "public" in entry]
    return told | ({"public": round(float(np.mean(scores)), 6)} if scores else {})
