"""`mascaron-lab run`: material, arms, table, summary."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from common.errors import DataSetError, ScenarioError
from common.faces.splits import parse_folds
from common.models.cache import FeatureCache
from simulations.material import Material, Studio, labels_of, prepare
from simulations.progress import Bars
from simulations.runner import SUMMARY, Measured, Run
from simulations.scenario import Scenario, load_scenario, override
from simulations.sites import Folds, check_people, rotation
from simulations.sources import Sources
from simulations.table import WIDTH, print_summary


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Everything ``mascaron-lab run`` may be told besides the scenario."""

    faces: Path | None = None
    public: Path | None = None
    trunk: Path | None = None
    train_folds: str = "1-6"
    choose_folds: str = "7"
    report_folds: str = "8"
    cross_fit: str | None = None
    camera: str | None = None
    epsilon: tuple[float, ...] = ()
    delta: float | None = None
    seeds: int | None = None
    sites: int | None = None
    out: Path | None = None
    cache: Path | None = None
    entropy: str = "seeded"
    keep_going: bool = False
    aligned: bool = False
    detector: Path | None = None

    def scenario(self, name: str) -> Scenario:
        """The scenario called ``name`` with what the command line overrides."""
        return override(
            load_scenario(name),
            cameras=self.camera,
            epsilon=self.epsilon or None,
            delta=self.delta,
            seeds=self.seeds,
            sites=self.sites,
        )

    def turns(self) -> list[Folds]:
        """Which people train, choose and report, once or in rotation."""
        if self.cross_fit:
            return rotation(parse_folds(self.cross_fit))
        choose = parse_folds(self.choose_folds) if self.choose_folds.strip() else frozenset()
        return [
            Folds(
                train=parse_folds(self.train_folds),
                choose=choose,
                report=parse_folds(self.report_folds),
            )
        ]


def run_command(name: str, **options: Any) -> None:
    """Runs scenario ``name``; prints the table to stderr and the summary's path to stdout."""
    given = RunOptions(**options)
    console = stderr_console()
    scenario = given.scenario(name)
    turns = given.turns()
    folder = given.out or Path("runs") / scenario.name
    summary = measure(scenario, turns, given, folder, console).summary
    print_summary(summary, console)
    click.echo(json.dumps({"summary": str(folder / SUMMARY)}))


def stderr_console() -> Console:
    """Where progress and tables go; as wide as the table where nobody looks at it."""
    console = Console(stderr=True)
    return console if console.is_terminal else Console(stderr=True, width=WIDTH)


def measure(
    scenario: Scenario, turns: list[Folds], given: RunOptions, folder: Path, console: Console
) -> Measured:
    """Measures ``scenario`` into ``folder``."""
    logging.getLogger("flwr").setLevel(logging.ERROR)  # its progress lines are not ours
    with Bars(console) as bars:
        material = _material(scenario, turns, given, folder, bars)
        run = Run(
            scenario=scenario,
            material=material,
            turns=turns if material.site is None else turns[:1],
            folder=folder,
            progress=bars,
            entropy=given.entropy,
        )
        return run.everything()


def _material(
    scenario: Scenario, turns: list[Folds], given: RunOptions, folder: Path, bars: Bars
) -> Material:
    sources = Sources(
        faces=given.faces,
        public=given.public,
        trunk=given.trunk,
        aligned=given.aligned,
        detector=given.detector,
        keep_going=given.keep_going,
    )
    trunk, tail = sources.load_trunk()
    faces, skipped = sources.load_faces(scenario.invented)
    public, public_skipped = sources.load_public(scenario.invented)
    if skipped or public_skipped:
        bars.say(f"skipped {skipped} pictures of faces and {public_skipped} public ones")
    if len(public.people) < 2:
        raise DataSetError("the public faces need at least two people")
    if scenario.cameras != "none" and faces.site is not None:
        raise ScenarioError(
            "the pack declares its sites; use --camera none, or a pack without a site array"
        )
    labels = labels_of(scenario, faces)  # whatever cannot work fails before a picture is shot
    check_people(labels, scenario, turns if labels.site is None else turns[:1])
    scenario.public_camera()
    studio = Studio(trunk, FeatureCache(given.cache or folder / "features"), bars)
    return prepare(scenario, faces, public, tail, studio)
