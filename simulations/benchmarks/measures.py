"""What a distance and a pooling are worth at a door: claims judged by a threshold of others.

    mascaron-lab bench measures --faces lfw_112.npz --public public_112.npz --trunk model.onnx
                                [--weights x.pooling.safetensors] [--spoilt SHARE]

People with enough pictures are dealt into two halves, and everybody else into strangers of either.
In each half people are enrolled with ``--templates`` pictures, and all other pictures are claims to
be each of them. A threshold met at the rate asked for in one half decides in the other. The whole
is dealt ``--repeats`` times; ``tar`` is the mean over them, ``sd`` how much it differs from deal to
deal, ``fmr`` the mean rate that was met. ``gain`` is against the best cosine, deal by deal, in
points, with its standard error over deals. The basis is of public people.

With ``--weights`` people are pooled as it was learnt, too, and ``over_quality`` says what that
gains, claim by claim, with a 95 % interval over people. ``--spoilt`` is the share of all pictures
that a randomised camera took; those that a door does not enrol are left out. One JSON line on
stdout.
"""

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from client.door.eye import fused
from client.door.measures import COSINE, Likeness, Measure, Pictures, measure_of
from client.door.rules import DoorRules
from common.faces.align import TEMPLATE
from common.faces.cameras import RANDOMISED, load_cameras
from common.faces.faceset import FaceSet
from common.faces.load import load_faces
from common.faces.quality import defects, quality_of
from common.matching.distances import NAMES
from common.matching.learnt import Learnt
from common.matching.pooling import LEARNT, Pooling
from common.matching.set_file import read_set
from common.metrics.impostors import by_person
from common.metrics.intervals import interval, person_weights
from common.metrics.verification import Floats, threshold_at_far, unit_rows
from common.models.tail import Tail
from common.models.trunk import Trunk, load_trunk
from simulations.benchmarks.arguments import at_least

WIDE = (10**6, 10**6)  # pixels: a pack does not tell how large its pictures were
BASIS = 2000  # public pictures, at most
DRAWS = 500
_STEP = 64  # crops at a time
_VIEW = 11  # of the randomised camera

POOLINGS: tuple[Pooling, ...] = ("best", "quality")

Found = dict[Likeness, "Judged"]


def likenesses(learnt: Learnt | None = None) -> list[Likeness]:
    """Every distance with every pooling."""
    made = [Likeness(distance=d, pooling=p) for d, p in itertools.product(NAMES, POOLINGS)]
    if learnt is not None:
        made += [Likeness(distance=d, pooling=LEARNT, weights=(learnt,)) for d in NAMES]
    return made


@dataclass(frozen=True, eq=False, repr=False)
class Shown:
    """Pictures of people, and whose they are (N,)."""

    pictures: Pictures
    person: NDArray[np.int64]

    def of(self, rows: NDArray[np.integer]) -> "Shown":
        """These of them."""
        return Shown(self.pictures.of(rows), self.person[rows])


@dataclass(frozen=True, eq=False, repr=False)
class Judged:
    """TAR and FMR (R, F, 2) of each deal at each rate; accepted (F, P) and all (P,) claims of
    everybody to be themselves."""

    rates: NDArray[np.float64]
    accepted: NDArray[np.float64]
    claims: NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Half:
    """Scores of the claims of one half: to be oneself, and to be somebody else."""

    genuine: Floats
    person: NDArray[np.int64]  # of those to be oneself
    impostor: Floats  # ascending

    @classmethod
    def of(cls, shown: Shown, deal: "Deal", measure: Measure) -> "Half":
        """Every one of ``deal.claims`` to be each of the people enrolled with its templates."""
        at, claims = shown.of(deal.templates), shown.of(deal.claims)
        enrolled = measure.enrolled(at.pictures, at.person)
        rows = unit_rows(measure.rows(claims.pictures.embeddings))
        scores = rows @ unit_rows(enrolled.embeddings).T
        groups = by_person(enrolled.person)
        best = np.stack([scores[:, group].max(axis=1) for group in groups], axis=1)
        own = claims.person[:, None] == np.unique(enrolled.person)
        return cls(best[own], claims.person[own.any(axis=1)], np.sort(best[~own]))


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
    parser.add_argument("--weights", type=Path, help="learnt ones, to pool by too")
    parser.add_argument("--spoilt", type=float, default=0.0, help="share of the pictures")
    options = parser.parse_args(arguments)
    if options.pictures <= options.templates:
        parser.error("--pictures must be above --templates: something has to claim")
    if not 0 <= options.spoilt <= 1:
        parser.error("--spoilt must be a share")
    trunk, tail = load_trunk(options.trunk)
    learnt = None if options.weights is None else read_set(options.weights)
    if learnt is not None and learnt.trunk != trunk.hash:
        parser.error("--weights are of another trunk")
    faces, public = (load_faces(path)[0] for path in (options.faces, options.public))
    shown = seen(trunk, tail, faces.subset(_some(faces, options.pictures)), options.spoilt)
    some = np.sort(np.random.default_rng(0).permutation(len(public))[:BASIS])
    basis = seen(trunk, tail, public.subset(some)).pictures.embeddings
    deals = [deal(shown.person, options.templates, seed) for seed in range(options.repeats)]
    report = {
        "bench": "measures",
        "people": len(np.unique(shown.person)),
        "enrolled": len(np.unique(shown.person[deals[0][0].templates])),
        "pictures": len(shown.person),
        "templates": options.templates,
        "repeats": options.repeats,
        "spoilt": options.spoilt,
        "rows": table(shown, (basis, learnt), deals, options.fmr),
    }
    click.echo(json.dumps(report))


def seen(trunk: Trunk, tail: Tail, faces: FaceSet, spoilt: float = 0.0) -> Shown:
    """``faces`` as the eye of a door sees crops: with their mirror images, and judged.

    Where a share is ``spoilt``, without those of which it would make no template.
    """
    camera, chance = load_cameras(RANDOMISED)[0], np.random.default_rng(3).random(len(faces))
    rows, quality = [np.empty((0, trunk.feature_dim), np.float32)], []
    for start in range(0, len(faces), _STEP):
        part = range(start, min(start + _STEP, len(faces)))
        crops = faces.crops(part)
        for at, number in enumerate(part):
            if chance[number] < spoilt:
                crops[at] = camera.shoot(crops[at], _VIEW)
            points = TEMPLATE if faces.landmarks is None else faces.landmarks[number]
            quality.append(quality_of(defects(points, crops[at], WIDE)).score)
        rows.append(fused(trunk, crops))
    features, worth = np.concatenate(rows), np.array(quality)
    made = Pictures(features=features, embeddings=tail.embed(features), quality=worth)
    least = DoorRules().enrol_quality if spoilt else 0.0
    return Shown(made, faces.person).of(np.flatnonzero(worth >= least))


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
    shown: Shown,
    given: tuple[Floats, Learnt | None],
    deals: Sequence[tuple[Deal, Deal]],
    fmrs: Sequence[float],
) -> list[dict[str, Any]]:
    """A row for each distance, pooling and rate; ``given`` are public people for the basis, and
    learnt weights."""
    found: Found = {}
    for likeness in likenesses(given[1]):
        measure = measure_of(likeness, given[0])
        found[likeness] = _judged(shown, deals, measure, fmrs)
        click.echo(f"{likeness.distance} {likeness.pooling}", err=True)
    rows = []
    for (likeness, each), number in itertools.product(found.items(), range(len(fmrs))):
        tar, fmr = each.rates[:, number, 0], each.rates[:, number, 1]
        gain = 100 * (tar - found[COSINE].rates[:, number, 0])
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
                **_over_quality(found, likeness, number),
            }
        )
    return rows


def _over_quality(found: Found, likeness: Likeness, number: int) -> dict[str, Any]:
    """What learnt weights gain over quality at rate ``number``, in points of the claims."""
    if likeness.pooling != LEARNT:
        return {}
    own = found[likeness]
    other = found[Likeness(distance=likeness.distance, pooling="quality")]
    more = own.accepted[number] - other.accepted[number]
    weights = person_weights(len(more), DRAWS, 0)
    low, high = interval(100 * (weights @ more) / (weights @ own.claims))
    gain = 100 * more.sum() / own.claims.sum()
    return {
        "over_quality": round(float(gain), 2),
        "over_quality_ci": [round(low, 2), round(high, 2)],
    }


def _judged(
    shown: Shown, deals: Sequence[tuple[Deal, Deal]], measure: Measure, fmrs: Sequence[float]
) -> Judged:
    """Either half of every deal by the threshold of the other."""
    known = np.unique(shown.person)
    rates = np.zeros((len(deals), len(fmrs), 2))
    accepted, claims = np.zeros((len(fmrs), len(known))), np.zeros(len(known))
    for at, halves in enumerate(deals):
        both = [Half.of(shown, half, measure) for half in halves]
        for fixed, tested in (both, both[::-1]):
            whose = np.searchsorted(known, tested.person)
            np.add.at(claims, whose, 1)
            for number, fmr in enumerate(fmrs):
                threshold = threshold_at_far(fixed.impostor, fmr)
                if threshold is None:
                    raise click.UsageError(f"too few claims for a rate of {fmr:g}: more people")
                right, wrong = tested.genuine >= threshold, tested.impostor >= threshold
                rates[at, number] += np.array([right.mean(), wrong.mean()]) / 2
                np.add.at(accepted[number], whose[right], 1)
    enrolled = claims > 0
    return Judged(rates, accepted[:, enrolled], claims[enrolled])


def _some(faces: FaceSet, most: int) -> NDArray[np.int64]:
    """At most so many pictures of each person."""
    return np.sort(np.concatenate([group[:most] for group in by_person(faces.person)]))
