"""People nobody was shown tell whether a smaller network still tells people apart."""

from dataclasses import dataclass

import numpy as np

from common.errors import DataSetError
from common.faces.faceset import FaceSet
from common.faces.joining import joined_faces
from common.metrics.verification import tar_at_far
from common.models.channels import channels_of
from common.models.choosing import multiplications
from common.models.manifest import TrunkManifest
from common.models.split import joined
from common.models.tail import Tail
from common.models.trunk import Trunk

JUDGED_FMR = 1e-3
_PICTURES = 12  # of one person who judges, at most

Network = tuple[Trunk, Tail]


@dataclass(frozen=True, eq=False, slots=True)
class Parted:
    """Public people in two parts that share nobody."""

    shown: FaceSet
    judges: FaceSet


def part(faces: FaceSet, held_out: float, seed: int, more: FaceSet | None = None) -> Parted:
    """``held_out`` of the people judge; all of ``more`` are shown as well, and none of them judges.

    ``DataSetError`` where nobody of ``faces`` would be left to show.
    """
    people = np.random.default_rng(seed).permutation(faces.people)
    number = max(1, round(held_out * len(people)))
    if number >= len(people):
        raise DataSetError(
            f"{len(people)} public people are too few to show some and hold some out"
        )
    judges = faces.of_people(people[:number])
    few = np.concatenate([judges.pictures_of(int(p))[:_PICTURES] for p in judges.people])
    shown = faces.of_people(people[number:])
    shown = shown if more is None else joined_faces([shown, more])
    return Parted(shown, judges.subset(np.sort(few)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Smaller:
    """What was written, and what it cost on people who were never shown (None: too few to say)."""

    manifest: TrunkManifest
    trunk: str  # its hash
    multiplications: int
    multiplications_before: int
    tar_before: float | None
    tar_after: float | None
    judges: int


def judged(before: Network, after: Network, faces: FaceSet) -> Smaller:
    """What ``after``, which was written, is worth beside ``before`` on ``faces``."""
    counts = [
        multiplications(graph, channels_of(graph))
        for graph in (joined(trunk.module.front.graph, tail) for trunk, tail in (after, before))
    ]
    return Smaller(
        manifest=after[0].manifest,
        trunk=after[0].hash,
        multiplications=counts[0],
        multiplications_before=counts[1],
        tar_before=tar_of(*before, faces),
        tar_after=tar_of(*after, faces),
        judges=len(faces.people),
    )


def tar_of(trunk: Trunk, tail: Tail, faces: FaceSet) -> float | None:
    """TAR at FMR 1e-3 over all pairs; ``None`` where there are too few to tell."""
    embeddings = tail.embed(trunk.features(faces.crops(range(len(faces)))))
    return tar_at_far(embeddings, faces.person, (JUDGED_FMR,))[JUDGED_FMR]
