"""A trunk in 8-bit integers: smaller, faster, and another trunk, with a hash of its own.

Static quantisation by onnxruntime's own tool: weights in int8 per channel, activations in uint8
with ranges seen on public crops (QuantizeLinear and DequantizeLinear nodes, which the runtime fuses
into integer kernels; a ReLU vanishes into the range of its layer). Channels are made alike before
and means put back after (``levelling``). A last convolution stays in float32: its output is not
rounded, so the runtime would compute it in float32 all the same. Where embeddings still change too
much, the layers that suffer most stay in float32 as well: one, two, four, until they do not. The
tail stays what it was. The result is judged on other public people before anything is written.

Guarantee: only the crops given enter the trunk, and they must be public; nothing of them is kept
but a tensor's smallest and largest value, a channel's largest, and a channel's mean in its bias. A
trunk that loses more than allowed is refused.
"""

import dataclasses
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, DataSetError, DegradedError, ModelError
from common.faces.faceset import FaceSet
from common.metrics.verification import LEAST_IMPOSTORS, Floats, tar_at_far, unit_rows
from common.models.levelling import levelled, recentred
from common.models.manifest import NAME, TrunkManifest
from common.models.onnx_graph import Graph, parse_graph
from common.models.runtime import SILENT, Runtime
from common.models.safetensors_import import write_whole
from common.models.split import joined
from common.models.tail import Tail
from common.models.trunk import Trunk, load_trunk

FILE = "trunk.onnx"
LAYERS = ["Conv", "Gemm", "MatMul"]
ACTIVATIONS = ("Relu", "Clip")  # become the lower and upper bound of what is rounded
OPERATORS = [*LAYERS, *ACTIVATIONS, "Add", "Mul"]
_SHAPING = ("Flatten", "Reshape", "Squeeze", "Identity")
_BATCH = 8  # crops at a time while ranges are looked for
_PROBES = 24  # crops whose embeddings are compared with those in float32
_MEANS = 64  # crops that means are taken of
_PICTURES = 6  # of one person who judges, at most


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantiseOptions:
    """How much is looked at, and how much may be lost."""

    crops: int = 256  # whose ranges are taken, at most
    likeness: float = 0.997  # mean cosine to the embeddings in float32, at least (0: any will do)
    judges: float = 0.5  # share of the people who judge and give no ranges
    fmr: float = 1e-3
    drop: float = 0.003  # of TAR at ``fmr``, at most: 0.3 points
    seed: int = 0

    def __post_init__(self) -> None:
        if self.crops < 1 or not 0 < self.judges < 1:
            raise ConfigError("crops must be positive and judges in (0, 1)")
        if not (0 < self.fmr < 1 and 0 <= self.drop <= 1 and 0 <= self.likeness < 1):
            raise ConfigError("fmr must be in (0, 1), drop in [0, 1] and likeness in [0, 1)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantised:
    """What was written, and what it cost: TAR before and after, on the people who judged."""

    manifest: TrunkManifest
    trunk: str  # its hash
    tar_before: float
    tar_after: float
    people: int  # who judged
    kept: int  # layers that stayed in float32


def quantise(
    source: Path, public: FaceSet, folder: Path, options: QuantiseOptions | None = None
) -> Quantised:
    """Writes the trunk and tail at ``source`` into ``folder`` with its trunk in int8.

    Raises ``DegradedError`` where TAR falls by more than ``options.drop`` on ``public`` people
    whose crops gave no range; ``DataSetError`` where they are too few to tell; nothing is written
    then. ``ModelError`` for a network that cannot be quantised.
    """
    asked = options or QuantiseOptions()
    trunk, tail = load_trunk(source)
    seen, judges = _parted(public, asked)
    content, manifest, kept = quantised(trunk, tail, seen, asked)
    with tempfile.TemporaryDirectory() as place:
        made = Path(place)
        (made / manifest.file).write_bytes(content)
        smaller, its_tail = load_trunk(made / manifest.file, manifest)
    before, after = (_tar(*one, judges, asked) for one in ((trunk, tail), (smaller, its_tail)))
    if before - after > asked.drop:
        raise DegradedError(
            f"in int8 TAR at FMR {asked.fmr:g} falls from {before:.4f} to {after:.4f}, by more "
            f"than {asked.drop:g}; nothing was written"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / manifest.file, content)
    write_whole(folder / NAME, manifest.to_toml().encode())
    return Quantised(
        manifest=manifest,
        trunk=smaller.hash,
        tar_before=before,
        tar_after=after,
        people=len(judges.people),
        kept=kept,
    )


def quantised(
    trunk: Trunk, tail: Tail, crops: NDArray[np.uint8], options: QuantiseOptions
) -> tuple[bytes, TrunkManifest, int]:
    """The ONNX file of ``trunk`` in int8 and ``tail`` as it is, its manifest, and the number of
    layers that stayed in float32.

    ``crops`` (B, S, S, 3) give the ranges of the activations. Raises ``ModelError``.
    """
    work = _Work(trunk, tail, crops)
    graph, kept = work.alike_enough(options.likeness)
    small = joined(graph, tail)
    data = small.protobuf(1 if work.single else "batch")
    told = dataclasses.replace(
        trunk.manifest,
        file=FILE,
        sha256=hashlib.sha256(data).hexdigest(),
        cut=graph.output,
        architecture="",
    )
    return data, told, kept


class _Work:
    """One trunk on its way to int8."""

    def __init__(self, trunk: Trunk, tail: Tail, crops: NDArray[np.uint8]) -> None:
        front = trunk.module.front
        self.single = front.single
        self._tail, self._planes = tail, trunk.normalised(crops)
        self._probe = self._planes[:_PROBES]
        self._exact = self._embed(front.graph)
        self.graph = levelled(front.graph, self._planes, single=self.single)
        self._last = _last_convolution(self.graph)
        self._weighing = _without_weights(self.graph)

    def alike_enough(self, likeness: float) -> tuple[Graph, int]:
        """The graph in int8, and how many layers stay in float32 so that embeddings are alike."""
        made = self._mended(self._last)
        if self._likeness(made) >= likeness:
            return made, len(self._last)
        names = [node.name for node in self.graph.nodes if node.op in LAYERS]
        layers = [name for name in names if name not in (*self._last, *self._weighing)]
        alone = {name: self._likeness(self._static(self._probe, only=name)) for name in layers}
        suffering = sorted(layers, key=lambda name: alone[name])
        count = 1
        while count < len(layers):
            kept = [*self._last, *suffering[:count]]
            made = self._mended(kept)
            if self._likeness(made) >= likeness:
                return made, len(kept)
            count *= 2
        raise ModelError(f"in int8 no embedding stays as alike as {likeness:g}")

    def _mended(self, kept: Sequence[str]) -> Graph:
        """In int8 but for the layers ``kept``, with every layer's mean where it was."""
        made = self._static(self._planes, kept=kept)
        return recentred(made, self.graph, self._planes[:_MEANS], single=self.single)

    def _likeness(self, graph: Graph) -> float:
        return float((self._embed(graph) * self._exact).sum(axis=1).mean())

    def _embed(self, graph: Graph) -> Floats:
        runtime = Runtime(graph, single=self.single, threads=1)
        return unit_rows(self._tail.embed(runtime.run(self._probe).reshape(len(self._probe), -1)))

    def _static(
        self, planes: NDArray[np.float32], kept: Sequence[str] = (), only: str | None = None
    ) -> Graph:
        """After onnxruntime's static quantisation over ``planes`` (B, 3, S, S)."""
        os.environ.update(SILENT)
        import onnxruntime
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

        onnxruntime.disable_telemetry_events()
        batches = _Batches(self.graph.input, planes, 1 if self.single else _BATCH)
        root, before = logging.getLogger(), logging.getLogger().level
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "whole.onnx", Path(folder) / "small.onnx"
            source.write_bytes(self.graph.protobuf(1 if self.single else "batch"))
            root.setLevel(logging.ERROR)  # it warns of a preprocessing that we do not need
            try:
                quantize_static(
                    source,
                    target,
                    batches,
                    quant_format=QuantFormat.QDQ,
                    op_types_to_quantize=OPERATORS,
                    nodes_to_quantize=self._with_activations([only]) if only else None,
                    nodes_to_exclude=self._with_activations([*kept, *self._weighing]),
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                )
            except Exception as error:  # its errors share no base class of their own
                raise ModelError(f"the network cannot be quantised: {error}") from error
            finally:
                root.setLevel(before)
            content = target.read_bytes()
        return _open_ended(parse_graph(content, "the network in int8"))

    def _with_activations(self, layers: Sequence[str]) -> list[str]:
        """``layers`` and the activations that read them: they are rounded together or not."""
        made = {node.outputs[0] for node in self.graph.nodes if node.name in layers}
        after = [
            node.name
            for node in self.graph.nodes
            if node.op in ACTIVATIONS and node.inputs[0] in made
        ]
        return [*layers, *after]


class _Batches:
    """Planes as onnxruntime's calibration wants to be handed them (it asks for no more)."""

    def __init__(self, name: str, planes: NDArray[np.float32], batch: int) -> None:
        self._rest: Iterator[dict[str, Any]] = iter(
            [{name: planes[start : start + batch]} for start in range(0, len(planes), batch)]
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._rest, None)


def _open_ended(graph: Graph) -> Graph:
    """``graph`` without the rounding of what becomes its output: a feature keeps its float32."""
    made = {node.outputs[0]: node for node in graph.nodes}
    renamed: dict[str, str] = {}
    at = graph.output
    while at in made and made[at].op in ("DequantizeLinear", *_SHAPING):
        source = made[at].inputs[0]
        if made[at].op == "DequantizeLinear" and source in made:
            renamed[at] = made[source].inputs[0]
            source = renamed[at]
        at = source
    nodes = tuple(
        dataclasses.replace(node, inputs=tuple(_end(renamed, name) for name in node.inputs))
        for node in graph.nodes
    )
    return dataclasses.replace(graph, nodes=nodes).before(_end(renamed, graph.output))


def _last_convolution(graph: Graph) -> list[str]:
    """The name of the convolution that gives the output, if one does."""
    made = {node.outputs[0]: node for node in graph.nodes}
    at = made[graph.output]
    while at.op in _SHAPING and at.inputs[0] in made:
        at = made[at.inputs[0]]
    return [at.name] if at.op == "Conv" else []


def _without_weights(graph: Graph) -> list[str]:
    """Products of two maps, as attention makes them: rounding them costs much and saves little."""
    products = [node for node in graph.nodes if node.op in ("Gemm", "MatMul")]
    return [n.name for n in products if not any(name in graph.tensors for name in n.inputs[:2])]


def _end(renamed: dict[str, str], name: str) -> str:
    while name in renamed:
        name = renamed[name]
    return name


def _parted(public: FaceSet, options: QuantiseOptions) -> tuple[NDArray[np.uint8], FaceSet]:
    """Crops of some people to take ranges from, and other people to judge by."""
    rng = np.random.default_rng(options.seed)
    people = rng.permutation(public.people)
    number = round(options.judges * len(people))
    if not 2 <= number < len(people):
        raise DataSetError(f"{len(people)} public people are too few to part")
    judges = public.of_people(people[:number])
    kept = np.concatenate([judges.pictures_of(int(p))[:_PICTURES] for p in judges.people])
    needed = LEAST_IMPOSTORS / options.fmr
    if len(kept) * (len(kept) - 1) / 2 < needed:
        raise DataSetError(
            f"{len(kept)} pictures of {number} people make too few pairs to judge at FMR "
            f"{options.fmr:g}: about {needed:.0f} of two people are needed"
        )
    others = public.of_people(people[number:])
    chosen = rng.permutation(len(others))[: options.crops]
    return others.crops(chosen.tolist()), judges.subset(np.sort(kept))


def _tar(trunk: Trunk, tail: Tail, faces: FaceSet, options: QuantiseOptions) -> float:
    embeddings = tail.embed(trunk.features(faces.crops(range(len(faces)))))
    tar = tar_at_far(embeddings, faces.person, (options.fmr,))[options.fmr]
    if tar is None:
        raise DataSetError(f"too few pairs of two people to judge at FMR {options.fmr:g}")
    return tar
