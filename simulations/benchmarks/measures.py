"""What a distance and a pooling are worth at a door: claims judged by a threshold of others.

    mascaron-lab bench measures --faces lfw_112.npz --public public_112.npz --trunk model.onnx

People with enough pictures are dealt into two halves, and everybody else into strangers of either.
In each half people are enrolled with ``--templates`` pictures, and all other pictures are claims to
be each of them. A threshold met at the rate asked for in one half decides in the other. The whole
is dealt ``--repeats`` times; ``tar`` is the mean over them, ``sd`` how much it differs from deal to
deal, ``fmr`` the mean rate that was met. ``gain`` is against the best cosine, deal by deal, in
points, with its standard error over deals. The basis is of public people. One JSON line on stdout.
"""

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
from numpy.typing import NDArray

from client.door.eye import fused
from client.door.measures import COSINE, Likeness, Measure, measure_of
from common.faces.align import TEMPLATE
from common.faces.faceset import FaceSet
from common.faces.load import load_faces
from common.faces.quality import defects, quality_of
from common.matching.distances import NAMES
from common.matching.pooling import Pooling
from common.metrics.impostors import by_person
from common.metrics.verification import Floats, threshold_at_far, unit_rows
from common.models.tail import Tail
from common.models.trunk import Trunk, load_trunk
from simulations.benchmarks.arguments import at_least

WIDE = (10**6, 10**6)  # pixels: a pack does not tell how large its pictures were
BASIS = 2000  # public pictures, at most
_STEP = 64  # crops at a time

LIKENESSES = [
    Likeness(distance=distance, pooling=pooling)
    for distance, pooling in itertools.product(NAMES, get_args(Pooling))
]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Pictures:
    """Embeddings (N, E) of pictures, whose they are (N,), and their quality (N,)."""

    embeddings: Floats
    person: NDArray[np.int64]
    quality: NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Half:
    """Scores of the claims of one half: to be oneself, and to be somebody else."""

    genuine: Floats
    impostor: Floats  # ascending

    @classmethod
    def of(cls, pictures: Pictures, deal: "Deal", measure: Measure) -> "Half":
        """Every one of ``deal.claims`` to be each of the people enrolled with its templates."""
        at, claims = deal.templates, deal.claims
        enrolled = measure.enrolled(
            pictures.embeddings[at], pictures.person[at], pictures.quality[at]
        )
        rows = unit_rows(measure.rows(pictures.embeddings[claims]))
        scores = rows @ unit_rows(enrolled.embeddings).T
        groups = by_person(enrolled.person)
        best = np.stack([scores[:, group].max(axis=1) for group in groups], axis=1)
        own = pictures.person[claims][:, None] == np.unique(enrolled.person)
        return cls(best[own], np.sort(best[~own]))


@dataclass(frozen=True, eq=False, repr=False)
class Deal:
    """Which pictures are templates of one half, and which are its claims."""

    templates: NDArray[np.int64]
    claims: NDArray[np.int64]


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="measures", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="a pack, or a folder a person")
    parser.add_argument("--public", type=Path, required=True, help="public people, for the basis")
    parser.add_argument("--trunk", type=Path, required=True, help="what sees them")
    parser.add_argument("--templates", type=at_least(1), default=4, help="of a person")
    parser.add_argument("--pictures", type=at_least(2), default=10, help="of a person, at most")
    parser.add_argument("--fmr", type=float, nargs="+", default=[1e-3, 1e-4])
    parser.add_argument("--repeats", type=at_least(1), default=20)
    options = parser.parse_args(arguments)
    if options.pictures <= options.templates:
        parser.error("--pictures must be above --templates: something has to claim")
    trunk, tail = load_trunk(options.trunk)
    faces, public = (load_faces(path)[0] for path in (options.faces, options.public))
    pictures = seen(trunk, tail, faces.subset(_some(faces, options.pictures)))
    some = np.sort(np.random.default_rng(0).permutation(len(public))[:BASIS])
    basis = seen(trunk, tail, public.subset(some)).embeddings
    deals = [deal(pictures.person, options.templates, seed) for seed in range(options.repeats)]
    report = {
        "bench": "measures",
        "people": len(np.unique(pictures.person)),
        "enrolled": len(np.unique(pictures.person[deals[0][0].templates])),
        "pictures": len(pictures.person),
        "templates": options.templates,
        "repeats": options.repeats,
        "rows": table(pictures, basis, deals, options.fmr),
    }
    click.echo(json.dumps(report))


def seen(trunk: Trunk, tail: Tail, faces: FaceSet) -> Pictures:
    """``faces`` as the eye of a door sees crops: with their mirror images, and judged."""
    starts = range(0, len(faces), _STEP)
    rows, quality = [np.empty((0, tail.embedding_dim), np.float32)], []
    for start in starts:
        part = range(start, min(start + _STEP, len(faces)))
        crops = faces.crops(part)
        rows.append(tail.embed(fused(trunk, crops)))
        for number, crop in zip(part, crops, strict=True):
            points = TEMPLATE if faces.landmarks is None else faces.landmarks[number]
            quality.append(quality_of(defects(points, crop, WIDE)).score)
    return Pictures(embeddings=np.concatenate(rows), person=faces.person, quality=np.array(quality))


def deal(person: NDArray[np.int64], templates: int, seed: int) -> tuple[Deal, Deal]:
    """Everybody into two halves: who has more than ``templates`` pictures is enrolled in theirs."""
    rng = np.random.default_rng(seed)
    shown = [rng.permutation(group) for group in by_person(person)]
    able = [group for group in shown if len(group) > templates]
    others = [group for group in shown if len(group) <= templates]
    halves = []
    for half in (0, 1):
        order = np.random.default_rng([seed, 1]).permutation(len(able))[half::2]
        mine = [able[number] for number in order]
        claims = [group[templates:] for group in mine] + others[half::2]
        halves.append(
            Deal(
                np.concatenate([group[:templates] for group in mine]).astype(np.int64),
                np.concatenate(claims).astype(np.int64),
            )
        )
    return halves[0], halves[1]


def table(
    pictures: Pictures, basis: Floats, deals: Sequence[tuple[Deal, Deal]], fmrs: Sequence[float]
) -> list[dict[str, Any]]:
    """A row for each distance, pooling and rate."""
    found: dict[Likeness, NDArray[np.float64]] = {}
    for likeness in LIKENESSES:
        measure = measure_of(likeness, basis)
        found[likeness] = np.array([_judged(pictures, one, measure, fmrs) for one in deals])
        click.echo(f"{likeness.distance} {likeness.pooling}", err=True)
    rows = []
    for (likeness, each), number in itertools.product(found.items(), range(len(fmrs))):
        tar, fmr = each[:, number, 0], each[:, number, 1]
        gain = 100 * (tar - found[COSINE][:, number, 0])
        rows.append(
            {
                "distance": likeness.distance,
                "pooling": likeness.pooling,
                "at": fmrs[number],
                "tar": round(float(tar.mean()), 4),
                "sd": round(float(tar.std()), 4),
                "fmr": float(f"{fmr.mean():.3g}"),
                "gain": round(float(gain.mean()), 2),
                "gain_error": round(float(gain.std() / np.sqrt(len(gain))), 2),
            }
        )
    return rows


def _judged(
    pictures: Pictures, halves: tuple[Deal, Deal], measure: Measure, fmrs: Sequence[float]
) -> list[tuple[float, float]]:
    """TAR and FMR at each of ``fmrs``, of either half by the threshold of the other; the mean."""
    both = [Half.of(pictures, half, measure) for half in halves]
    told = []
    for fmr in fmrs:
        pairs = []
        for fixed, tested in (both, both[::-1]):
            threshold = threshold_at_far(fixed.impostor, fmr)
            if threshold is None:
                raise click.UsageError(f"too few claims for a rate of {fmr:g}: take more people")
            pairs.append([(part >= threshold).mean() for part in (tested.genuine, tested.impostor)])
        told.append((float(np.mean(pairs, axis=0)[0]), float(np.mean(pairs, axis=0)[1])))
    return told


def _some(faces: FaceSet, most: int) -> NDArray[np.int64]:
    """At most so many pictures of each person."""
    return np.sort(np.concatenate([group[:most] for group in by_person(faces.person)]))
