"""Smaller trunks beside the one they were made of: what each costs, and what each tells apart.

All run in turns, picture by picture, in one process on one thread; ``speedup`` is the median over
the turns of the first one's processor time over the other's. TAR is over all pairs of ``--faces``
at the threshold of each trunk's own FMR; nothing is chosen by it. Every trunk is measured in
float32 and in int8 (ranges from ``--public``). Judged pictures and int8 files are kept in ``--out``
by the trunk's hash, so that a run which was stopped goes on.
"""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, ModelError
from common.faces.faceset import FaceSet
from common.faces.load import load_faces
from common.metrics.pairs import lfw_protocol, read_pairs
from common.metrics.verification import tar_at_far, unit_rows
from common.models.cache import CacheKey, FeatureCache
from common.models.channels import channels_of
from common.models.choosing import multiplications
from common.models.manifest import NAME
from common.models.quantise import QuantiseOptions, quantised
from common.models.split import joined
from common.models.tail import Tail
from common.models.trunk import Trunk, load_trunk

FMR = 1e-3
BATCHES, THREADS = (1, 4, 16), (1, 2)
_RANGES = 256  # public crops

Floats = NDArray[np.float32]
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ParetoRequest:
    """Who is compared (``name=path``, the first is the reference), on whom, and what is kept."""

    trunks: tuple[str, ...]
    faces: Path
    public: Path
    out: Path
    pairs: Path | None = None
    repeats: int = 15
    judged: int = 0  # pictures that are judged, at most; 0: all

    def named(self) -> dict[str, Path]:
        """The paths by their names; ``ConfigError`` for what is no ``name=path``."""
        parts = [text.partition("=") for text in self.trunks]
        if not all(name and sign and path for name, sign, path in parts):
            raise ConfigError("--pareto: expected name=path")
        return {name: Path(path) for name, _, path in parts}


@dataclass(frozen=True, eq=False, slots=True)
class Contender:
    """One trunk with its tail, in float32 or int8 (``kept`` layers of which are in float32)."""

    name: str
    kind: str
    trunk: Trunk
    tail: Tail
    products: int
    kept: int | None = None

    @property
    def label(self) -> str:
        """Name and kind."""
        return f"{self.name} {self.kind}"


def pareto(asked: ParetoRequest) -> Row:
    """All rows, and the policy of threads and batches of the first and the fastest."""
    asked.out.mkdir(parents=True, exist_ok=True)
    public, _ = load_faces(asked.public)
    chosen = np.random.default_rng(0).permutation(len(public))[:_RANGES]
    crops = public.crops(chosen.tolist())
    contenders: list[Contender] = []
    for name, path in asked.named().items():
        trunk, tail = load_trunk(path)
        graph = joined(trunk.module.front.graph, tail)
        whole = Contender(name, "fp32", trunk, tail, multiplications(graph, channels_of(graph)))
        contenders += [whole, *_small(whole, crops, asked.out)]
    faces, _ = load_faces(asked.faces)
    speeds = _speeds(contenders, crops[:1], asked.repeats)
    rows = [
        {**_facts(one), **speeds[one.label], **_judged(one, faces, asked)} for one in contenders
    ]
    for row in rows:
        row["front"] = not any(_beats(other, row) for other in rows)
    fastest = max(contenders, key=lambda one: speeds[one.label]["speedup"])
    shown = (contenders[0], fastest)
    policies = {one.label: policy(one.trunk, crops, asked.repeats) for one in shown}
    report = {"fmr": FMR, "pictures": _count(faces, asked), "rows": rows, "policy": policies}
    (asked.out / "pareto.json").write_text(json.dumps(report, indent=1) + "\n")
    (asked.out / "pareto.md").write_text(table(rows))
    draw(rows, asked.out / "pareto.png")
    return report


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, the fastest last; those nobody beats in both are in bold."""
    lines = [
        "| trunk | kind | M products | ms | speedup | TAR@FMR 1e-3 | LFW pairs |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: float(row["speedup"])):
        told = "-" if row["tar"] is None else f"{100 * row['tar']:.2f} %"
        pairs = "-" if row.get("lfw_accuracy") is None else f"{100 * row['lfw_accuracy']:.2f} %"
        mark = "**" if row["front"] else ""
        lines.append(
            f"| {mark}{row['name']}{mark} | {row['kind']} | {row['products'] / 1e6:.0f} "
            f"| {row['ms']:.2f} | {row['speedup']:.2f} | {told} | {pairs} |"
        )
    return "\n".join(lines) + "\n"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Accuracy against time as a picture; the line joins those nobody beats in both."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    told = [row for row in rows if row["tar"] is not None]
    for kind, colour, marker in (("fp32", "#0b66bb", "o"), ("int8", "#c25204", "s")):
        some = [row for row in told if row["kind"] == kind]
        x, y = [row["ms"] for row in some], [100 * row["tar"] for row in some]
        axes.plot(x, y, marker, color=colour, label=kind)
        for row in some:
            at = (row["ms"], 100 * row["tar"])
            axes.annotate(row["name"], at, (4, 4), textcoords="offset points")
    front = sorted((row["ms"], 100 * row["tar"]) for row in told if row["front"])
    axes.plot([x for x, _ in front], [y for _, y in front], "-", color="#66727f", zorder=0)
    axes.set(
        xlabel="milliseconds of processor a picture, one thread",
        ylabel=f"TAR at FMR {FMR:g}, %",
        title="Accuracy against latency",
    )
    axes.margins(x=0.12, y=0.1)
    axes.legend(loc="lower right")
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(path, dpi=120)


def policy(trunk: Trunk, crops: NDArray[np.uint8], repeats: int) -> Row:
    """Wall milliseconds a picture for each number of threads and pictures at a time."""
    from simulations.benchmarks.embed import in_turns

    planes = trunk.normalised(crops[: max(BATCHES)])
    found = {}
    for threads in THREADS:
        runner = Trunk(trunk.manifest, trunk.module.front, threads)
        runs = {str(count): partial(runner.run, planes[:count]) for count in BATCHES}
        for batch, turns in in_turns(runs, repeats).items():
            wall = statistics.median(turn[0] for turn in turns)
            found[f"threads {threads}, batch {batch}"] = round(1e3 * wall / int(batch), 3)
    return found


def _speeds(
    contenders: Sequence[Contender], crop: NDArray[np.uint8], repeats: int
) -> dict[str, Row]:
    from simulations.benchmarks.embed import in_turns

    planes = [one.trunk.normalised(crop) for one in contenders]
    runs = {one.label: partial(one.trunk.run, x) for one, x in zip(contenders, planes, strict=True)}
    times = {label: [turn[1] for turn in turns] for label, turns in in_turns(runs, repeats).items()}
    base = times[contenders[0].label]
    return {
        label: {
            "ms": round(1e3 * statistics.median(spent), 3),
            "speedup": round(statistics.median(b / s for b, s in zip(base, spent, strict=True)), 3),
        }
        for label, spent in times.items()
    }


def _facts(one: Contender) -> Row:
    return {
        "name": one.name,
        "kind": one.kind,
        "hash": one.trunk.hash,
        "products": one.products,
        "layers_in_float32": one.kept,
    }


def _judged(one: Contender, faces: FaceSet, asked: ParetoRequest) -> Row:
    """TAR over all pairs, and the protocol of the pairs; kept by the trunk's hash."""
    cache = FeatureCache(asked.out / "features")
    some = faces.subset(range(_count(faces, asked)))
    crops = (some.crop(index) for index in range(len(some)))
    features = cache.features(one.trunk, crops, CacheKey(faces=some.digest))
    embeddings = unit_rows(one.tail.embed(features))
    told: Row = {"tar": tar_at_far(embeddings, some.person, (FMR,))[FMR]}
    if asked.pairs is not None and len(some) == len(faces):
        pairs = read_pairs(asked.pairs, faces)
        found = lfw_protocol(pairs.score(embeddings), pairs.same, pairs.fold)
        told["lfw_accuracy"] = round(found.accuracy, 5)
    return told


def _count(faces: FaceSet, asked: ParetoRequest) -> int:
    return min(len(faces), asked.judged or len(faces))


def _small(whole: Contender, crops: NDArray[np.uint8], out: Path) -> list[Contender]:
    """The same in int8, through a file as an operator would have it; none if int8 spoils it."""
    folder = out / "int8" / whole.trunk.hash
    told = folder / "kept.json"
    if not told.exists():
        try:
            content, manifest, kept = quantised(whole.trunk, whole.tail, crops, QuantiseOptions())
        except ModelError:
            return []
        folder.mkdir(parents=True, exist_ok=True)
        (folder / manifest.file).write_bytes(content)
        (folder / NAME).write_text(manifest.to_toml())
        told.write_text(json.dumps(kept))
    small, tail = load_trunk(folder)
    kept = json.loads(told.read_text())
    return [Contender(whole.name, "int8", small, tail, whole.products, kept)]


def _beats(other: Row, row: Row) -> bool:
    """Whether ``other`` is at least as fast and as good, and better in one."""
    if row["tar"] is None or other["tar"] is None:
        return False
    better = other["speedup"] > row["speedup"] or other["tar"] > row["tar"]
    return bool(better and other["speedup"] >= row["speedup"] and other["tar"] >= row["tar"])
