"""A trunk with fewer channels, taught to say again what it said: pruning and public re-training.

Any trunk will do, imported or of the registry; what is written is an ONNX file with trunk and tail,
BatchNorm folded where it was. It is another trunk, with a hash of its own.

Leaks: everything about the pictures shown; they must be public or invented.
"""

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import RunError
from common.faces.faceset import FaceSet
from common.models.cache import FeatureCache
from common.models.manifest import NAME, TrunkManifest
from common.models.onnx_graph import Graph, parse_graph
from common.models.onnx_import import GraphModule, build_module
from common.models.pruning import PruneOptions, pruned
from common.models.safetensors_import import write_whole
from common.models.split import joined
from common.models.trunk import Trunk, load_trunk
from common.wire import digest
from server.distilling.judging import Smaller, judged, part
from server.distilling.options import DistilOptions, Report
from server.distilling.standing import Keeper
from server.distilling.teaching import Lesson, Look, teach
from server.distilling.views import Views, said_by

FILE = "trunk.onnx"
_STATISTICS = (3, 4)  # inputs of BatchNormalization that nobody may train


@dataclass(frozen=True, kw_only=True, slots=True)
class PruneWork:
    """How a trunk is made smaller, how it is taught, and what is kept on the way."""

    pruning: PruneOptions = field(default_factory=PruneOptions)
    teaching: DistilOptions | None = field(default_factory=DistilOptions)  # None: not taught
    cache: FeatureCache | None = None
    checkpoint: Path | None = None
    more: FaceSet | None = None  # who are shown besides, and never judge


def prune_trunk(
    source: Path, faces: FaceSet, folder: Path, work: PruneWork, report: Report
) -> Smaller:
    """Writes the trunk and tail at ``source``, smaller, into ``folder``.

    Raises ``ModelError`` where so much cannot go, ``DataSetError`` for too few people.
    """
    trunk, tail = load_trunk(source)
    teaching = work.teaching or DistilOptions()
    parted = part(faces, teaching.held_out, teaching.seed, work.more)
    whole = joined(trunk.module.front.graph, tail)
    keeper = _keeper(work, trunk, parted.shown)
    small = _narrowed(whole, trunk, parted.shown, work, keeper)
    if work.teaching is not None and small is not whole:
        views = Views(parted.shown, work.teaching)
        said = said_by(trunk, tail, views, report, work.cache)
        pupil = learning(build_module(small, str(source)))
        lesson = Lesson(views, _looking(trunk), said)
        teach(pupil, lesson, work.teaching, report, keeper)
        small = taught(pupil)
    manifest, content = as_trunk(small, trunk, trunk.module.front.graph.output)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / manifest.file, content)
    write_whole(folder / NAME, manifest.to_toml().encode())
    return judged((trunk, tail), load_trunk(folder), parted.judges)


def learning(module: GraphModule) -> GraphModule:
    """``module`` with all weights free but the statistics of BatchNorm."""
    module.requires_grad_(True)
    for node in module.graph.nodes:
        if node.op == "BatchNormalization":
            for position in _STATISTICS:
                module.weight(node.inputs[position]).requires_grad_(False)
    return module


def taught(module: GraphModule) -> Graph:
    """The graph of ``module`` with the weights that it now has."""
    learned = {
        name: module.weight(name).detach().contiguous().numpy() for name in module.weight_names
    }
    graph = module.graph
    return dataclasses.replace(graph, tensors={**graph.tensors, **learned})


def as_trunk(small: Graph, trunk: Trunk, cut: str) -> tuple[TrunkManifest, bytes]:
    """The file of ``small``, which ends in the embedding, and the manifest that cuts it."""
    content = small.protobuf(1 if trunk.module.front.single else "batch")
    manifest = dataclasses.replace(
        trunk.manifest,
        file=FILE,
        sha256=hashlib.sha256(content).hexdigest(),
        cut=cut,
        feature_shape=(),
        architecture="",
    )
    return manifest, content


def _narrowed(
    whole: Graph, trunk: Trunk, shown: FaceSet, work: PruneWork, keeper: Keeper | None
) -> Graph:
    """Before teaching; read from the checkpoint where it lies there, by what it is made of."""
    options = work.pruning
    terms = (repr(options), trunk.hash, shown.digest)
    start = keeper.folder / f"narrowed-{digest(*terms)[:16]}.onnx" if keeper else None
    if start is not None and start.exists():
        return parse_graph(start.read_bytes(), str(start))
    chosen = np.random.default_rng(options.seed).permutation(len(shown))[: options.pictures]
    planes = trunk.normalised(shown.crops(chosen.tolist()))
    small = pruned(whole, planes, options, single=trunk.module.front.single)
    if start is not None:
        try:
            start.parent.mkdir(parents=True, exist_ok=True)
            write_whole(start, small.protobuf())
        except OSError as error:
            raise RunError(f"{start.parent}: cannot be written ({error.strerror})") from None
    return small


def _keeper(work: PruneWork, trunk: Trunk, shown: FaceSet) -> Keeper | None:
    if work.checkpoint is None:
        return None
    terms = {**dataclasses.asdict(work.pruning), "trunk": trunk.hash, "pictures": shown.digest}
    if work.teaching is not None:
        terms |= dataclasses.asdict(work.teaching)
    return Keeper(work.checkpoint, terms)


def _looking(trunk: Trunk) -> Look:
    def look(crops: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(trunk.normalised(crops))

    return look
