"""`mascaron-lab measure`: one embedder, one set of faces, every figure there is of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from common.console import result
from common.errors import RunError, ScenarioError
from common.faces.faceset import FaceSet
from common.faces.splits import parse_folds
from common.metrics.pairs import PairList, read_pairs
from common.models.cache import FeatureCache
from common.models.studio import Lens, Studio
from common.outputs import check_file, check_folder
from simulations.figures import Asked, Embedded, Figures, figures_of, pair_figures, rate_key
from simulations.material import AS_IT_IS, Labels
from simulations.pieces import write_json
from simulations.progress import Bars, stderr_console
from simulations.scenario import Invented, Scenario
from simulations.sites import report_pictures
from simulations.sources import Sources

MOST = 10_000  # pictures: their 50 million pairs take about 4 GB

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """Everything ``mascaron-lab measure`` may be told.

    ``folds`` are the people measured and ``threshold_folds`` those who fix thresholds; ``camera``
    names cameras, which see the pictures in turns; ``pictures`` of a person count at most.
    """

    faces: Path | None = None
    people: int = Invented().people
    trunk: Path | None = None
    camera: str = "none"
    folds: str = "1-6,8"
    threshold_folds: str = "7"
    pictures: int = 8
    pairs: Path | None = None
    fmr: float = 1e-3
    seed: int = 0
    out: Path | None = None
    cache: Path | None = None
    aligned: bool = False
    detector: Path | None = None
    keep_going: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """Which pictures of a face set are measured, which fix thresholds, which are in pairs."""

    tested: Indices
    others: Indices
    pairs: PairList | None

    def all(self) -> Indices:
        """Every picture that is needed at all."""
        paired = [] if self.pairs is None else [self.pairs.pictures()]
        return np.unique(np.concatenate([self.tested, self.others, *paired]))


def measure_command(**options: Any) -> None:
    """Measures; prints a table to stderr and all figures as JSON to stdout."""
    given = MeasureOptions(**options)
    if given.out is not None:
        check_file(given.out)
    if given.cache is not None:
        check_folder(given.cache, "--cache")
    console = stderr_console()
    figures = measure(given, console)
    print_figures(figures, console)
    if given.out is not None:
        try:
            given.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(figures, given.out)
        except OSError as error:
            raise RunError(f"cannot write {given.out}: {error.strerror}") from error
    result(figures)


def measure(given: MeasureOptions, console: Console) -> Figures:
    """All figures, with what they were measured on; holds counts and digests, no name."""
    asked = Asked(fmr=given.fmr, seed=given.seed)
    scenario = Scenario(
        name="measure", sites=1, cameras=given.camera, report_pictures=given.pictures
    )
    scenario.camera_list()
    sources = Sources(
        faces=given.faces,
        public=given.faces,  # nobody public is needed, and none is loaded
        trunk=given.trunk,
        aligned=given.aligned,
        detector=given.detector,
        keep_going=given.keep_going,
    )
    trunk, tail = sources.load_trunk()
    with Bars(console) as bars, TemporaryDirectory() as scratch:
        faces, skipped = sources.load_faces(Invented(people=given.people), bars)
        chosen = _choose(given, scenario, faces)
        studio = Studio(trunk, FeatureCache(given.cache or Path(scratch)), bars)
        wanted, cameras = chosen.all(), scenario.camera_list()
        lens = Lens(cameras=cameras, chosen=wanted % len(cameras) if cameras else None)
        embeddings = np.zeros((len(faces), tail.embedding_dim), np.float32)
        embeddings[wanted] = tail.embed(studio.shoot(faces.subset(wanted), lens, "pictures"))
    tested, others = (
        Embedded(embeddings[part], faces.person[part]) for part in (chosen.tested, chosen.others)
    )
    measured = {
        "faces": {"pictures": len(tested.person), "people": tested.people, "skipped": skipped},
        "trunk": trunk.hash,
        "camera": given.camera,
        "seed": given.seed,
        **figures_of(tested, others, asked),
    }
    pairs = None if chosen.pairs is None else pair_figures(embeddings, chosen.pairs)
    return {"schema": 1, **measured, "pairs": pairs}


def _choose(given: MeasureOptions, scenario: Scenario, faces: FaceSet) -> Chosen:
    folds = parse_folds(given.folds)
    fixing = parse_folds(given.threshold_folds) if given.threshold_folds.strip() else frozenset()
    both = sorted(folds & fixing)
    if both:
        default = MeasureOptions().threshold_folds
        hint = f" ({default} by default)" if given.threshold_folds == default else ""
        told = f"--folds and --threshold-folds{hint} must not overlap"
        raise ScenarioError(f"{told}: both have {', '.join(map(str, both))}")
    if faces.fold is None:
        raise ScenarioError("faces need folds")
    labels = Labels(types=(AS_IT_IS,), person=faces.person, fold=faces.fold)
    tested = report_pictures(labels, scenario, folds)
    if len(tested) > MOST:
        raise ScenarioError(
            f"{len(tested)} pictures have too many pairs (at most {MOST} pictures): "
            "name fewer --folds, or fewer --pictures a person"
        )
    nobody = np.empty(0, np.int64)
    return Chosen(
        tested=tested,
        others=report_pictures(labels, scenario, fixing) if fixing else nobody,
        pairs=None if given.pairs is None else read_pairs(given.pairs, faces),
    )


def print_figures(figures: Figures, console: Console) -> None:
    """Prints the figures that people quote; the JSON has them all."""
    faces, plain = figures["faces"], not console.is_terminal
    table = Table(
        title=f"{faces['pictures']:,} pictures of {faces['people']:,} people",
        title_justify="left",
        title_style="" if plain else "bold",
        header_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
    )
    table.add_column("figure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 %", no_wrap=True)
    table.add_column("", style="" if plain else "dim")
    parts = (_verified, _classified, _identified, _clustered, _paired)
    for number, part in enumerate(parts):
        if number and not plain:
            table.add_section()
        for name, value, note in part(figures):
            table.add_row(name, *_cells(value), note)
    console.print(table)


Row = tuple[str, Any, str]  # figure, a number or {value, ci95} or None, and a note


def _verified(figures: Figures) -> Iterator[Row]:
    part = figures["verification"]
    note = f"{part['genuine_pairs']:,} genuine, {part['impostor_pairs']:,} impostor pairs"
    for rate, tar in part["tar_at_far"].items():
        if tar is not None:
            yield f"TAR at FAR {rate}", tar, note
            note = ""
    yield "equal error rate", part["eer"], ""
    yield "area under ROC", part["area_under_roc"], ""


def _classified(figures: Figures) -> Iterator[Row]:
    part = figures["classification"]
    rate, people = rate_key(part["fmr"]), part["people_of_threshold"]
    if part["threshold"] is None:
        yield f"accuracy at FMR {rate}", None, f"{people} people are too few to fix a threshold"
        return
    note = f"threshold {part['threshold']:.3f}, fixed on {people} other people"
    yield f"accuracy at FMR {rate}", part["accuracy"], note
    yield "balanced accuracy", part["balanced_accuracy"], ""
    genuine = figures["verification"]["genuine_pairs"]
    yield "precision", part["precision"], f"one pair in {part['pairs'] / genuine:,.0f} is genuine"
    yield "recall", part["recall"], ""
    yield "F1", part["f1"], ""


def _identified(figures: Figures) -> Iterator[Row]:
    part = figures["identification"]
    if part is None:
        return
    note = f"{part['enrolled']:,} people enrolled, {part['mated']:,} searches"
    for k, rate in part["rank"].items():
        yield f"rank-{k}", rate, note
        note = ""
    note = f"{part['non_mated']:,} searches by strangers"
    for fpir, fnir in part["fnir_at_fpir"].items():
        yield f"FNIR at FPIR {fpir}", fnir, note
        note = ""


def _clustered(figures: Figures) -> Iterator[Row]:
    part = figures["clustering"]
    if part is None:
        return
    note = f"{part['clusters']:,} clusters found, {part['people']:,} people"
    yield "clustering, B-cubed F1", part["bcubed_f1"], note
    yield "clustering, pairwise F1", part["pairwise_f1"], ""


def _paired(figures: Figures) -> Iterator[Row]:
    part = figures["pairs"]
    if part is None:
        return
    note = f"+- {part['standard_error']:.4f}, {part['pairs']:,} pairs in {part['folds']} folds"
    yield "accuracy on given pairs", part["accuracy"], note
    yield "area under ROC", part["area_under_roc"], ""


def _cells(value: Any) -> tuple[str, str]:
    if value is None:
        return "-", ""
    if not isinstance(value, dict):
        return f"{value:.4f}", ""
    low, high = value["ci95"]
    return f"{value['value']:.4f}", f"[{low:.4f}, {high:.4f}]"
