"""One network for all of it: one body that sees, and heads for faces, identity and what is seen.

The detector's body reads whole pictures for the one and aligned crops for the others; what is
learned of faces for one task is there for the next. A network of a single task is the same with
fewer heads.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from common.detection.network import Body, FaceHeads
from common.heads.head import Head
from common.models.embedder import channels, conv_norm, depth_norm

Task = Literal["detection", "identity", "labels"]
TASKS: tuple[Task, ...] = ("detection", "identity", "labels")
EMBEDDING = 128
_FEATURE = 192
_MAP = 7  # cells of the middle map along a crop of 112 pixels


class JointNetwork(nn.Module):
    """``detect`` (B, 3, H, W) -> cells; ``feature`` (B, 3, 112, 112) -> (B, D), for all the rest.

    ``heads`` say what is read from the feature besides who it is; their arrays are ``arrays``.
    BatchNorm is for public training.
    """

    def __init__(self, tasks: Sequence[Task], heads: Sequence[Head] = (), width: float = 1) -> None:
        super().__init__()
        self.tasks, self.heads, self.width = tuple(tasks), tuple(heads), width
        self.body = Body(width)
        if "detection" in tasks:
            self.faces = FaceHeads(self.body.sizes, width)
        else:
            self.body.coarse = nn.Sequential()  # only faces in whole pictures fill that map
        if "identity" in tasks or "labels" in tasks:
            self.seen = _reading(self.body.sizes[3], channels(_FEATURE, width))
        if "identity" in tasks:
            inputs = channels(_FEATURE, width)
            self.projection = nn.Sequential(
                nn.Linear(inputs, EMBEDDING, bias=False), nn.BatchNorm1d(EMBEDDING)
            )
        drawn: dict[str, Tensor] = {}
        if "labels" in tasks:
            for head in self.heads:
                drawn |= head.arrays(channels(_FEATURE, width), torch.Generator().manual_seed(0))
        self.lines = nn.ParameterDict(
            {name.replace(".", "_"): nn.Parameter(array) for name, array in drawn.items()}
        )
        self._names = tuple(drawn)

    @property
    def arrays(self) -> dict[str, Tensor]:
        """The arrays of the heads, by the names they have everywhere else."""
        return {name: self.lines[name.replace(".", "_")] for name in self._names}

    def detect(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, ANSWERS, N), as ``DetectorNetwork``."""
        answers: Tensor = self.faces(*self.body(x))
        return answers

    def feature(self, x: Tensor) -> Tensor:
        """(B, 3, 112, 112) in [-1, 1] -> (B, D): what identity and labels are read from."""
        seen: Tensor = self.seen(self.body.middle(self.body.fine(x)))
        return seen

    def embed(self, feature: Tensor) -> Tensor:
        """(B, D) -> (B, EMBEDDING), not normalised."""
        embedded: Tensor = self.projection(feature)
        return embedded

    def forward(self, x: Tensor) -> Tensor:
        """The embedding of crops where there is one, else the feature, else cells."""
        if self.tasks == ("detection",):
            return self.detect(x)
        return self.embed(self.feature(x)) if "identity" in self.tasks else self.feature(x)


def build_joint(
    tasks: Sequence[Task], heads: Sequence[Head] = (), seed: int = 0, width: float = 1.0
) -> JointNetwork:
    """A new network, the same for the same seed; the global random state is left as it was."""
    if not tasks or not set(tasks) <= set(TASKS):
        raise ValueError(f"tasks are some of {', '.join(TASKS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return JointNetwork(tasks, heads, width)


def _reading(inputs: int, outputs: int) -> nn.Sequential:
    """The middle map of a crop -> its feature: a convolution of each channel over all of it."""
    layers = [*conv_norm(inputs, outputs, 1), nn.ReLU()]
    return nn.Sequential(*layers, *depth_norm(outputs, _MAP, padded=False), nn.Flatten())
