"""Finding faces: our own detector beside the cascades and YuNet, on the same pictures.

    mascaron-lab bench detect [--pictures 24] [--own FOLDER] [--yunet FILE]
                              [--scenes FOLDER] [--faces PACK] [--repeats 7]

On scenes of invented people that no training saw: the share of faces found at one false alarm a
picture (``recall``), and at the threshold each detector works at (``found``, with ``alarms`` a
picture); the median distance of the landmarks from the truth over that of the eyes; milliseconds of
processor time a picture of 640x480, in turns in one process. A face is found by a box that overlaps
it by 0.3 (IoU): the three do not agree on how large a face is.

With ``--scenes`` the same on photographs whose faces were counted by hand (``counted``), with
``--faces`` on aligned crops of a pack with landmarks, in a frame of their own edge. The last line
on stdout is one JSON object.
"""

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from common.faces.detect import Detector, Face
from common.faces.pictures import Picture
from simulations.benchmarks.arguments import at_least

SEED = 515_151  # of people and scenes that nothing was trained or chosen by
OVERLAP = 0.3
LOW = 0.02  # score from which candidates are taken for the curves


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A detector as it works, and one that also tells what it is not sure of."""

    working: Detector
    eager: Detector


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The faces of one picture: boxes (F, 4) and landmarks (F, 5, 2), NaN where unknown."""

    picture: Picture
    boxes: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    unseen: int = 0  # faces that are there, nobody knows where


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="detect", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pictures", type=at_least(1), default=24)
    parser.add_argument("--crops", type=at_least(1), default=400)
    parser.add_argument("--repeats", type=at_least(1), default=7)
    for name in ("--own", "--yunet", "--scenes", "--faces"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args(arguments)
    found = contenders(options.own, options.yunet)
    truths = invented(options.pictures)
    report: dict[str, Any] = {"bench": "detect", "pictures": options.pictures}
    report["faces"] = sum(len(truth.boxes) for truth in truths)
    report["invented"] = {name: judged(one, truths) for name, one in found.items()}
    if options.scenes:
        from simulations.benchmarks.counted import photographs

        report["counted"] = photographs(found, options.scenes)
    if options.faces:
        from simulations.benchmarks.counted import crops

        report["crops"] = crops(found, options.faces, options.crops)
    report |= speed(found, truths, options.repeats)
    report["load"] = [round(load, 1) for load in os.getloadavg()]
    click.echo(json.dumps(report))


def contenders(own: Path | None, yunet: Path | None) -> dict[str, Contender]:
    """The cascades, and what weights there are for."""
    from common.detection.detector import OwnDetector
    from common.detection.weights import NAME, SHIPPED
    from common.faces.detect import HaarDetector, YuNetDetector

    cascades = HaarDetector()
    found = {"haar": Contender(cascades, cascades)}
    if own or (SHIPPED / NAME).is_file():
        source = own or SHIPPED
        found["own"] = Contender(OwnDetector(source), OwnDetector(source, LOW))
    if yunet:
        found["yunet"] = Contender(YuNetDetector(yunet), YuNetDetector(yunet, LOW))
    return found


def invented(number: int) -> list[Truth]:
    """Scenes of 640x480 with their truth."""
    from common.synthetic.scenes import SceneSize, draw_scene

    size = SceneSize(fewest=1, most=6, smallest=20, largest=200)
    truths = []
    for index in range(number):
        scene = draw_scene(index, SEED, size)
        boxes = np.array([face.box for face in scene.faces]).reshape(-1, 4)
        points = np.array([face.landmarks for face in scene.faces]).reshape(-1, 5, 2)
        truths.append(Truth(scene.picture, boxes, points))
    return truths


def judged(contender: Contender, truths: list[Truth]) -> dict[str, Any]:
    """How one detector does on pictures with truth."""
    from common.metrics.detection import landmark_error, recall_at

    curves = [_against(contender.eager.find(truth.picture), truth)[0] for truth in truths]
    hits, alarms, faces = 0, 0, 0
    errors: list[NDArray[np.floating]] = [np.empty(0)]
    for truth in truths:
        found = contender.working.find(truth.picture)
        one, points = _against(found, truth)
        rows = one.hit >= 0
        hits, alarms = hits + int(rows.sum()), alarms + int((one.hit == -1).sum())
        faces += len(truth.boxes) + truth.unseen
        errors.append(landmark_error(points[rows], truth.landmarks[one.hit[rows]]))
    known = sum(len(truth.boxes) for truth in truths)
    error = np.concatenate(errors)
    error = error[np.isfinite(error)]
    return {
        "recall": round(recall_at(curves, 1.0)[0] * known / faces, 4),
        "recall_at_tenth": round(recall_at(curves, 0.1)[0] * known / faces, 4),
        "found": round(hits / faces, 4),
        "alarms": round(alarms / len(truths), 3),
        "landmark_error": round(float(np.median(error)), 4) if len(error) else None,
    }


def speed(found: dict[str, Contender], truths: list[Truth], repeats: int) -> dict[str, Any]:
    """Milliseconds a picture of each, and ratios to the cascades'."""
    from simulations.benchmarks.embed import Run, in_turns

    pictures = [truth.picture for truth in truths[:3]]
    runs: dict[str, Run] = {
        name: partial(_search, one.working, pictures) for name, one in found.items()
    }
    times = in_turns(runs, repeats)
    taken = {name: [cpu / len(pictures) for _, cpu in turns] for name, turns in times.items()}
    report: dict[str, Any] = {
        "ms": {name: round(1e3 * statistics.median(turns), 2) for name, turns in taken.items()}
    }
    for name in sorted(set(taken) - {"haar"}):
        pairs = zip(taken[name], taken["haar"], strict=True)
        report[f"ratio_time_{name}"] = round(statistics.median(a / b for a, b in pairs), 3)
    return report


def _search(detector: Detector, pictures: list[Picture]) -> None:
    for picture in pictures:
        detector.find(picture)


def _against(found: tuple[Face, ...], truth: Truth) -> tuple[Any, NDArray[np.float64]]:
    """The detections judged, the surest first, and their landmarks (D, 5, 2) in that order."""
    from common.metrics.detection import judge

    score = np.array([face.score for face in found])
    boxes = np.array([face.box for face in found]).reshape(-1, 4)
    points = np.array([face.landmarks for face in found], np.float64).reshape(-1, 5, 2)
    doubtful = np.zeros(len(truth.boxes), np.bool_)
    one = judge(score, boxes, truth.boxes, doubtful, OVERLAP)
    return one, points[np.argsort(-score, kind="stable")]


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
