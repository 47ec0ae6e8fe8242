"""Detectors on real pictures: photographs whose faces were counted by hand, and aligned crops.

The counts are by eye. Where the faces are is told by YuNet, whose boxes at its own threshold were
all looked at and are all faces; what it misses of the count is there too, nobody says where.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from simulations.benchmarks.detect import Contender

COUNTED = {
    "crowd_1": 52,
    "crowd_2": 19,
    "crowd_3": 26,
    "crowd_4": 5,
    "crowd_5": 2,
    "crowd_6": 16,
    "crowd_7": 9,
    "crowd_9": 6,
    "crowd_10": 6,
    "crowd_11": 7,
    "one_person_1": 1,
    "one_person_2": 1,
    "one_person_3": 1,
    "one_person_4": 1,
    "two_people_1": 3,
}
"""Faces by eye. ``crowd_8`` shows hundreds, of which nobody can say how many."""

_FRAME = 40  # pixels around a crop


def photographs(found: "dict[str, Contender]", folder: Path) -> dict[str, Any]:
    """How many of the counted faces each detector finds; needs YuNet among the contenders."""
    from common.faces.pictures import read_picture
    from simulations.benchmarks.detect import Truth, judged

    if "yunet" not in found:
        return {"skipped": "where the faces are is told by YuNet: give --yunet"}
    truths = []
    for name, count in COUNTED.items():
        picture = read_picture(folder / f"{name}.jpg")
        faces = found["yunet"].working.find(picture)
        assert len(faces) <= count, f"{name}: YuNet finds more faces than were counted"
        boxes = np.array([face.box for face in faces]).reshape(-1, 4)
        points = np.array([face.landmarks for face in faces], np.float64).reshape(-1, 5, 2)
        truths.append(Truth(picture, boxes, points, count - len(faces)))
    report: dict[str, Any] = {"pictures": len(truths), "faces": sum(COUNTED.values())}
    for name, contender in found.items():
        one = judged(contender, truths)
        error = one.pop("landmark_error")
        one["landmarks_from_yunet"] = error if name != "yunet" else None
        report[name] = one
    return report


def crops(found: "dict[str, Contender]", pack: Path, number: int) -> dict[str, Any]:
    """Aligned crops in a frame: the share with a face in the middle, and its landmarks.

    The truth is the pack's landmarks of the whole photograph, taken through the alignment that
    made the crop.
    """
    from common.faces.align import TEMPLATE, similarity
    from common.faces.load import load_faces
    from common.metrics.detection import landmark_error

    faces = load_faces(pack)[0]
    known = faces.landmarks
    assert known is not None, "the pack has no landmarks"
    chosen = np.linspace(0, len(faces) - 1, number).astype(int)
    errors: dict[str, list[float]] = {name: [] for name in found}
    for index in chosen.tolist():
        matrix = similarity(known[index], TEMPLATE)
        true = known[index] @ matrix[:, :2].T + matrix[:, 2] + _FRAME
        framed = np.pad(faces.crop(index), ((_FRAME, _FRAME), (_FRAME, _FRAME), (0, 0)), "edge")
        for name, contender in found.items():
            seen = [face.landmarks for face in contender.working.find(framed)]
            off = [float(landmark_error(p[None], true[None])[0]) for p in seen if p is not None]
            errors[name] += [least for least in [min(off, default=9.0)] if least < 1]
    return {
        name: {
            "found": round(len(off) / number, 4),
            "landmark_error": round(float(np.median(off)), 4) if off else None,
        }
        for name, off in errors.items()
    }
