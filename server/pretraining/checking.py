"""Whether people are told apart better: held-out people, half of them through the camera."""

import numpy as np
import torch

from common.errors import DataSetError
from common.faces.faceset import FaceSet
from common.metrics.verification import Floats, tar_at_far
from common.models.embedder import Embedder
from server.pretraining.device import Place
from server.pretraining.feeding import pixels, shoot
from server.pretraining.options import PretrainOptions

CHECK_FAR = 1e-2
_PICTURES = 8  # of one person, at most
_ROWS = 64  # crops at a time


class CheckSet:
    """Pictures of ``faces``, the same at every check."""

    def __init__(self, faces: FaceSet, options: PretrainOptions, rng: np.random.Generator) -> None:
        chosen = [i for p in faces.people for i in faces.pictures_of(int(p))[:_PICTURES]]
        self.person = faces.person[chosen]
        self.crops = shoot(faces.crops(chosen), options, rng)

    @torch.no_grad()
    def embeddings(self, model: Embedder, place: Place) -> Floats:
        """(N, E) in float32, whatever the training computes in; the model is left in eval mode."""
        model.eval()
        rows = [torch.from_numpy(self.crops[i : i + _ROWS]) for i in self._starts()]
        return torch.cat([model(pixels(place.bring(row))).cpu() for row in rows]).numpy()

    def tar(self, model: Embedder, place: Place) -> float | None:
        """At FAR 1e-2; None where there are too few pairs to say."""
        return tar_at_far(self.embeddings(model, place), self.person, (CHECK_FAR,))[CHECK_FAR]

    def _starts(self) -> range:
        return range(0, len(self.crops), _ROWS)


def hold_out(faces: FaceSet, share: float, rng: np.random.Generator) -> tuple[FaceSet, FaceSet]:
    """The people to train on and the ``share`` to judge by, at least two of each."""
    people = rng.permutation(faces.people)
    number = max(2, round(share * len(people)))
    if len(people) - number < 2:
        raise DataSetError(f"{len(people)} people are too few to train on and hold some out")
    return faces.of_people(people[number:]), faces.of_people(people[:number])
