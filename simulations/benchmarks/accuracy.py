"""What an embedder is worth on faces that were not used to make it: every distance, int8, pairs."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.door.eye import fused
from common.faces.faceset import FaceSet
from common.faces.load import load_faces
from common.matching.distances import NAMES, make_distance
from common.metrics.pairs import lfw_protocol, read_pairs
from common.metrics.verification import threshold_at_far
from common.models.quantise import QuantiseOptions, quantised
from common.models.tail import Tail
from common.models.trunk import Trunk, load_trunk

FMRS = (1e-2, 1e-3)
_STEP = 64  # crops decoded at a time
_PICTURES = 4  # of one person, at most
_PEOPLE = 600  # who have two pictures or more, at most
_RANGES = 256  # public crops

Floats = NDArray[np.float32]


def accuracy(
    path: Path, faces_at: Path, public_at: Path | None, pairs_at: Path | None
) -> dict[str, Any]:
    """TAR of the network at ``path`` by every distance; in int8 too, with ``public_at``.

    With ``pairs_at`` the protocol of LFW as well, on its pairs among the faces.
    """
    trunk, tail = load_trunk(path)
    faces, _ = load_faces(faces_at)
    report: dict[str, Any] = {}
    chosen = _chosen(faces)
    embeddings = _embeddings(trunk, tail, faces.subset(chosen))
    public = small = None
    if public_at is not None:
        people, _ = load_faces(public_at)
        some = np.random.default_rng(0).permutation(len(people))[: 4 * _RANGES]
        public = _embeddings(trunk, tail, people.subset(some))
        small = _small(trunk, tail, people.crops(some[:_RANGES].tolist()))
    person = faces.person[chosen]
    for name in NAMES:
        if name != "whitened" or public is not None:
            report[f"tar_{name}"] = _tar(name, embeddings, person, public)
    if small is not None:
        after = _tar("cosine", _embeddings(*small, faces.subset(chosen)), person, None)
        report["tar_int8"] = after
        report["drop_int8_points"] = _points(report["tar_cosine"], after)
    if pairs_at is not None:
        report |= _protocol(trunk, tail, faces, pairs_at)
    return report


def _protocol(trunk: Trunk, tail: Tail, faces: FaceSet, path: Path) -> dict[str, Any]:
    pairs = read_pairs(path, faces)
    scores = pairs.score_by(lambda used: _embeddings(trunk, tail, faces.subset(used)))
    found = lfw_protocol(scores, pairs.same, pairs.fold)
    return {
        "lfw_accuracy": round(found.accuracy, 5),
        "lfw_standard_error": round(found.standard_error, 5),
        "lfw_folds": len(found.by_fold),
    }


def _small(trunk: Trunk, tail: Tail, crops: NDArray[np.uint8]) -> tuple[Trunk, Tail]:
    """The same network in int8, through a file as an operator would have it."""
    import tempfile

    content, manifest, _ = quantised(trunk, tail, crops, QuantiseOptions())
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / manifest.file).write_bytes(content)
        return load_trunk(Path(folder) / manifest.file, manifest)


def _chosen(faces: FaceSet) -> NDArray[np.int64]:
    several = faces.people[faces.counts() >= 2]
    people = np.random.default_rng(0).permutation(several)[:_PEOPLE]
    return np.concatenate([faces.pictures_of(int(p))[:_PICTURES] for p in people])


def _embeddings(trunk: Trunk, tail: Tail, faces: FaceSet) -> Floats:
    """(N, E) with flip fusion, of any norm."""
    starts = range(0, len(faces), _STEP)
    batches = (range(start, min(start + _STEP, len(faces))) for start in starts)
    return np.concatenate([tail.embed(fused(trunk, faces.crops(batch))) for batch in batches])


def _tar(
    name: str, embeddings: Floats, person: NDArray[np.int64], public: Floats | None
) -> dict[str, float | None]:
    distance = make_distance(name, public)
    rows = distance.prepare(embeddings)
    table = distance.table(rows, rows) * (1 if distance.higher_is_better else -1)
    first, second = np.triu_indices(len(rows), 1)
    scores, same = table[first, second], person[first] == person[second]
    ordered = np.sort(scores[~same])
    found: dict[str, float | None] = {}
    for fmr in FMRS:
        threshold = threshold_at_far(ordered, fmr)
        tar = None if threshold is None else round(float((scores[same] >= threshold).mean()), 4)
        found[f"{fmr:g}"] = tar
    return found


def _points(before: dict[str, float | None], after: dict[str, float | None]) -> float | None:
    """How many points of TAR at the lowest FMR were lost."""
    left, right = before[f"{FMRS[-1]:g}"], after[f"{FMRS[-1]:g}"]
    return None if left is None or right is None else round(100 * (left - right), 2)
