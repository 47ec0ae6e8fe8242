"""How a joint network, or a part of one, does at each task on faces it has never seen."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.faces.faceset import FaceSet
from common.heads.age import AgeHead
from common.heads.judging import even
from common.metrics.intervals import estimate, person_weights
from common.metrics.verification import Pairs
from server.detecting.joint import allowed
from server.detecting.training import pixels

if TYPE_CHECKING:
    from common.detection.joint import JointNetwork

FAR = 1e-2
_STEP = 64
_DRAWS = 400
_LEAST = 8  # pictures of either side for an attribute to be judged
_SCENES = 12_000  # number of the first scene: those by which training is judged come before


def identity(network: "JointNetwork", faces: FaceSet) -> dict[str, Any]:
    """TAR at FAR 1e-2 over all pairs; ``draws`` is what it is with the people drawn again."""
    pairs = Pairs.of(faces.person)
    weights = person_weights(len(faces.people), _DRAWS, 0)
    found = estimate(embeddings(network, faces), pairs, weights, (FAR,))
    return {"tar": round(float(found.tar[0]), 4), "draws": found.draws[0].round(5).tolist()}


def protocol(network: "JointNetwork", faces_at: Path, pairs_at: Path) -> dict[str, Any]:
    """The protocol of LFW on the pairs among ``faces_at``, and TAR at FAR 1e-2 on them."""
    from common.faces.load import load_faces
    from common.metrics.pairs import lfw_protocol, read_pairs
    from common.metrics.verification import threshold_at_far

    faces, _ = load_faces(faces_at)
    pairs = read_pairs(pairs_at, faces)
    scores = pairs.score_by(lambda used: embeddings(network, faces.subset(used)))
    same = np.asarray(pairs.same, bool)
    threshold = threshold_at_far(np.sort(scores[~same]), FAR)
    tar = None if threshold is None else round(float((scores[same] >= threshold).mean()), 4)
    accuracy = lfw_protocol(scores, pairs.same, pairs.fold).accuracy
    return {"lfw_accuracy": round(accuracy, 4), "lfw_tar": tar}


def labels(network: "JointNetwork", faces: FaceSet) -> dict[str, Any]:
    """Mean balanced accuracy of attributes, and mean error of age in years."""
    feature = features(network, faces)
    truth, names = allowed(faces)
    about, aged = network.heads
    with torch.no_grad():
        said = about.logits(network.arrays, feature).numpy() > even(about)  # type: ignore[attr-defined]
        reached = aged.logits(network.arrays, feature).sigmoid().numpy()  # type: ignore[attr-defined]
    judged = [_balanced(said[:, i], truth[:, i]) for i in range(len(names))]
    known = [value for value in judged if value is not None]
    report = {"attributes": round(float(np.mean(known)), 4), "attributes_judged": len(known)}
    if faces.age is not None and isinstance(aged, AgeHead):
        years = aged.quantiles(reached, (0.5,))[:, 0]
        report["age_error"] = round(float(np.abs(years - faces.age).mean()), 2)
        middle = np.abs(np.median(faces.age) - faces.age).mean()
        report["age_error_of_the_median"] = round(float(middle), 2)
    return report


def detection(network: "JointNetwork", scenes: int) -> dict[str, Any]:
    """Recall at one false alarm in ten pictures, and the median error of landmarks."""
    from common.synthetic.scenes import draw_scene
    from server.detecting.material import CHECK_SIZE
    from server.detecting.options import CHECKED
    from server.detecting.training import check_scenes

    drawn = [draw_scene(_SCENES + index, CHECKED, CHECK_SIZE) for index in range(scenes)]
    found = check_scenes(_Detecting(network), drawn)
    return {"recall": round(found.recall, 4), "landmark_error": round(found.landmark_error, 4)}


class _Detecting(torch.nn.Module):
    """A joint network asked where faces are."""

    def __init__(self, network: "JointNetwork") -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.detect(x)


@torch.no_grad()
def features(network: "JointNetwork", faces: FaceSet) -> Tensor:
    """(N, D) of all crops."""
    parts = [
        network.feature(pixels(faces.crops(range(start, min(start + _STEP, len(faces))))))
        for start in range(0, len(faces), _STEP)
    ]
    return torch.cat(parts)


@torch.no_grad()
def embeddings(network: "JointNetwork", faces: FaceSet) -> NDArray[np.float32]:
    """(N, E) of all crops, not normalised."""
    found = network.embed(features(network, faces)).numpy()
    return np.asarray(found, np.float32)


def _balanced(said: NDArray[np.bool_], truth: NDArray[np.int8]) -> float | None:
    """The mean of both sides' shares that are right; None where a side is hardly seen."""
    sides = [(said[truth == value] == bool(value)) for value in (0, 1)]
    if min(len(side) for side in sides) < _LEAST:
        return None
    return float(np.mean([side.mean() for side in sides]))
