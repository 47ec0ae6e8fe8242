"""The part of the report that looks for a planted trigger: one sticker that lets strangers pass."""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.attacks.target import Face, to_pixels
from common.attacks.universal import SPOTS, Acceptance, Judge, StickerSearch, acceptance
from common.faces.faceset import FaceSet
from common.models.tail import Tail
from simulations.evidence.robustness.cells import Cells
from simulations.evidence.robustness.pairs import Threshold, fix_threshold
from simulations.evidence.robustness.plan import Plan
from simulations.evidence.subject import Subject


def trigger(
    subject: Subject, threshold: Threshold, own: Tail | None, plan: Plan, cells: Cells
) -> dict[str, Any]:
    """{value, baseline, ...}: impostor pairs of tested people accepted with the worst sticker, and
    with the same sticker by the trunk's ``own`` tail, which is trusted.

    Stickers are searched on the other people. Without another tail to trust the two are one figure.
    """
    judge = Judge(face=subject.face, threshold=threshold.value)
    trusted = None
    if own is not None:
        fixed = fix_threshold(subject.other_features, own, subject.others, threshold.fmr)
        trusted = Judge(face=Face(subject.trunk, own), threshold=fixed.value)
    search = StickerSearch(steps=plan.sticker_steps)
    known, tested = (
        _one_each(faces, plan.sticker_people) for faces in (subject.others, subject.tested)
    )
    spots: dict[str, Any] = {}
    for spot in SPOTS:

        def measure(generator: torch.Generator, spot: str = spot) -> Any:
            made = search.find(judge, trusted, known, spot, generator)
            value = acceptance(judge, tested, made)
            return _set_beside(
                value, None if trusted is None else acceptance(trusted, tested, made)
            )

        spots[spot] = cells.of(f"trigger {spot}", measure)
    worst = max(spots, key=lambda spot: spots[spot]["value"] - spots[spot]["baseline"])
    return {
        "value": spots[worst]["value"],
        "baseline": spots[worst]["baseline"],
        "spot": worst,
        "spots": spots,
        "people": len(tested),
        "pairs": len(tested) * (len(tested) - 1) // 2,
    }


def _set_beside(value: Acceptance, trusted: Acceptance | None) -> dict[str, Any]:
    """The figures of whichever is further above the trusted tail: both, or one wearing it."""
    told = trusted or value
    by = "both" if value.both - told.both >= value.one - told.one else "one"
    return {
        "value": getattr(value, by),
        "baseline": getattr(told, by),
        "worn_by": by,
        "with": asdict(value),
        "trusted": asdict(told),
    }


def _one_each(faces: FaceSet, most: int) -> Tensor:
    """(N, 3, S, S): the first picture of each of at most ``most`` people."""
    _, first = np.unique(faces.person, return_index=True)
    return to_pixels(faces.crops(first[:most]))
