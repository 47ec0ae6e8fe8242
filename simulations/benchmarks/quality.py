"""Whether quality sorts pictures by how well they match their own person; what a defect costs.

    mascaron-lab bench quality [--people 70] [--unseen 50] [--trunk FILE]

Invented people, each picture as it is, through a randomised camera, and shrunk. The weights of
``common.faces.quality`` are fitted on the first people (non-negative least squares of the likeness
to one's own other pictures, a level of its own for everyone), and judged on people of another seed:
FNMR among what is left when the worst pictures are discarded. The last line on stdout is one JSON
object; ``ratio_edc`` is the area under that curve (to 20 % discarded) divided by the area without
discarding: 1 is what a random order gives.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from common.faces.align import align
from common.faces.cameras import RANDOMISED, load_cameras
from common.faces.quality import DEFECTS, WEIGHTS, defects
from common.metrics.verification import unit_rows
from common.synthetic.generate import numbered_person, numbered_variation
from common.synthetic.renderer import shoot
from simulations.benchmarks.arguments import at_least

STARTER = Path(__file__).parents[1] / "starter"
SEEDS = 9100, 9200
PICTURES = 6  # of a person
DISCARDED = 0.2  # the most
MISSED = 0.1  # FNMR before anything is discarded

Floats = NDArray[np.float64]
Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """N pictures of invented people: whose, what is wrong with them, and which shot they show."""

    crops: NDArray[np.uint8]  # (N, 112, 112, 3)
    defects: Floats  # (N, 8)
    person: NDArray[np.int64]
    shot: NDArray[np.int64]


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="quality", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--people", type=at_least(2), default=70, help="to fit on")
    parser.add_argument("--unseen", type=at_least(2), default=50, help="to judge on")
    parser.add_argument("--trunk", type=Path, default=STARTER)
    options = parser.parse_args(arguments)
    embed = embedder(options.trunk)
    known = material(options.people, SEEDS[0])
    unseen = material(options.unseen, SEEDS[1])
    weights = fitted(known, embed(known.crops))
    embeddings = embed(unseen.crops)
    report: dict[str, Any] = {"bench": "quality", "people": options.people}
    report["fitted"] = dict(zip(DEFECTS, np.round(weights, 3).tolist(), strict=True))
    for name, used in (("shipped", WEIGHTS), ("fitted", weights)):
        curve = discard_curve(embeddings, unseen, -unseen.defects @ used)
        key = "ratio_edc" if name == "shipped" else "ratio_edc_fitted"
        report[key] = round(float(curve.mean() / curve[0]), 3)
        report[f"fnmr_{name}"] = np.round(curve[:: len(curve) // 4], 4).tolist()
    click.echo(json.dumps(report))


def embedder(path: Path) -> Embed:
    """Unit embeddings (N, E) with flip fusion, by the network at ``path``."""
    from common.models.trunk import load_trunk

    trunk, tail = load_trunk(path)

    def embed(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        mirrored = np.ascontiguousarray(crops[:, :, ::-1])
        fused = (trunk.features(crops) + trunk.features(mirrored)) / np.float32(2)
        return unit_rows(tail.embed(fused))

    return embed


def material(people: int, seed: int) -> Material:
    """Every picture three times: as it is, through a camera of its own, and small."""
    camera = load_cameras(RANDOMISED)[0]
    rng = np.random.default_rng([seed, 1])
    rows: list[tuple[NDArray[np.uint8], Floats, int, int]] = []
    for number in range(people):
        someone = numbered_person(seed, number)
        for view in range(PICTURES):
            variation = numbered_variation(seed, number, view)
            taken = shoot(someone, variation)
            lost = round(taken.crop.shape[1] * abs(variation.cut))
            left, right = (lost, 0) if variation.cut < 0 else (0, lost)
            whole = np.ascontiguousarray(taken.crop[:, left : taken.crop.shape[1] - right])
            points = taken.landmarks - (left, 0)
            bad = dataclasses.replace(camera, seed=number).shoot(whole, view)
            shrunk, factor = _shrunk(whole, float(rng.uniform(0.2, 1)))
            for picture, scale in ((whole, 1.0), (bad, 1.0), (shrunk, factor)):
                crop = align(picture, points * scale)
                size = picture.shape[1], picture.shape[0]
                shot = PICTURES * number + view
                rows.append((crop, defects(points * scale, crop, size), number, shot))
    crops, measured, person, shots = zip(*rows, strict=True)
    return Material(np.stack(crops), np.stack(measured), np.array(person), np.array(shots))


def fitted(known: Material, embeddings: NDArray[np.float32]) -> Floats:
    """What a unit of each defect costs (8,), as a share of the likeness of flawless pictures."""
    from scipy.optimize import nnls

    cosine = embeddings @ embeddings[::3].T  # to the pictures as they are
    own = known.person[:, None] == known.person[None, ::3]
    other_shot = known.shot[:, None] != known.shot[None, ::3]
    likeness = np.where(own & other_shot, cosine, 0).sum(1) / (own & other_shot).sum(1)
    strangers = float(cosine[~own].mean())
    level = np.eye(int(known.person.max()) + 1)[known.person]  # a level for everyone
    found, _ = nnls(np.hstack([-known.defects, level]), likeness - strangers)
    split = len(DEFECTS)
    costs: Floats = found[:split] / np.median(found[split:])
    return costs


def discard_curve(embeddings: NDArray[np.float32], shown: Material, score: Floats) -> Floats:
    """FNMR (21,) when 0 to 20 % of the pictures, those of the lowest ``score`` (N,), are left out.

    At the threshold that misses 10 % of the genuine pairs of all (Grother & Tabassi 2007,
    doi:10.1109/TPAMI.2007.1019).
    """
    first, second = np.triu_indices(len(score), 1)
    genuine = shown.person[first] == shown.person[second]
    genuine &= shown.shot[first] != shown.shot[second]
    first, second = first[genuine], second[genuine]
    unit = unit_rows(embeddings)
    cosine = np.einsum("ne,ne->n", unit[first], unit[second])
    threshold = np.quantile(cosine, MISSED)
    worse = np.minimum(score[first], score[second])  # a pair is worth its worse picture
    ordered = np.sort(score)
    curve = []
    for share in np.linspace(0, DISCARDED, 21):
        bar = ordered[round(share * (len(score) - 1))]
        curve.append(float((cosine[worse >= bar] < threshold).mean()))
    return np.array(curve)


def _shrunk(picture: NDArray[np.uint8], factor: float) -> tuple[NDArray[np.uint8], float]:
    """The picture averaged down, and by how much exactly."""
    import cv2

    height, width = picture.shape[:2]
    size = round(width * factor), round(height * factor)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), size[0] / width
