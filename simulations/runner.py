"""Runs a scenario: every fold, seed and arm, piece by piece, so that it can stop and go on."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import ScenarioError
from common.models.studio import Progress
from common.models.tail import Tail
from common.moments.reference import Reference
from common.outputs import check_folder
from common.privacy.plan import NoiseModel
from common.privacy.statement import statement
from common.wire import digest
from simulations.arms import Arm, Experiment
from simulations.evaluation import Jury
from simulations.journal import JOURNAL
from simulations.material import Material
from simulations.notes import notes_of
from simulations.origin import Origin, check_same
from simulations.pieces import PIECES, SUMMARY, PieceKey, Pieces, epsilon_key, write_json
from simulations.results import Meta, summarise
from simulations.scenario import Scenario
from simulations.sites import Folds, check_people, open_sites, pictures_of_folds, report_pictures

Row = tuple[str, float | None, Callable[[Experiment], Arm]]


@dataclass(frozen=True, eq=False, slots=True)
class Measured:
    """The summary of a run, and its first experiment for whoever wants to look closer."""

    summary: dict[str, Any]
    first: Experiment


@dataclass(frozen=True, kw_only=True)
class Run:
    """One scenario on given material. ``folder`` receives pieces and summary."""

    scenario: Scenario
    material: Material
    turns: list[Folds]
    folder: Path
    progress: Progress
    entropy: str = "seeded"
    judges: str = ""  # digest of who may report: runs with the same one can be paired
    origin: Origin = field(default_factory=Origin.of_process)

    def everything(self) -> "Measured":
        """Measures whatever is missing; the summary is also written to the folder."""
        check_people(self.material, self.scenario, self.turns)
        pieces, asked = Pieces(self.folder / PIECES, self.identity), []
        rows = list(self._rows())
        total = len(self.turns) * self.scenario.seeds * len(rows)
        told = {"scenario": self.scenario.name, "entropy": self.entropy, "pieces": total}
        told |= {"delta": self.scenario.delta, "arms": len(rows)}
        told |= {"judges": self.judges, "turns": told_turns(self.turns)}
        self.origin.begin(self.folder, told | self._told)
        step = self.progress.start("arms", total)
        public, reference = self._opening()
        first: Experiment | None = None
        for number, folds in enumerate(self.turns):
            pictures = report_pictures(self.material, self.scenario, folds.report)
            fold = min(folds.report) if self.material.site is None else number
            jury = Jury(self.material, pictures, self.scenario.draws, fold)
            for seed in range(self.scenario.seeds):
                experiment = self._experiment(public, reference, folds, (fold, seed))
                first = first or experiment
                for name, epsilon, arm in rows:
                    key = PieceKey(fold, seed, name, epsilon)
                    asked.append(key)
                    if key not in pieces:
                        made = arm(experiment)
                        notes = notes_of(experiment.sites, self.material.person, made)
                        piece = jury.judge(experiment.judged, made.tails, made.spent, notes)
                        pieces.write(key, piece)
                    step(1)
        if first is None:
            raise ScenarioError("no folds to report")
        summary = summarise(pieces, self._meta(first), asked)
        write_json(summary, self.folder / SUMMARY)
        self.origin.end(self.folder)
        return Measured(summary, first)

    def opened(self) -> Experiment:
        """The first repetition, with nothing measured."""
        return next(self.repetitions())[1]

    def repetitions(self) -> Iterator[tuple[Folds, Experiment]]:
        """Every dealing of people, turn by turn and seed by seed, with nothing measured."""
        public, reference = self._opening()
        for folds in self.turns:
            for seed in range(self.scenario.seeds):
                cell = (min(folds.report), seed)
                yield folds, self._experiment(public, reference, folds, cell)

    @property
    def identity(self) -> str:
        """A digest of what decides the pieces; more seeds or epsilons may join the same folder."""
        scenario = dataclasses.replace(self.scenario, seeds=1, epsilon=(1.0,))
        material, public = self.material, self.material.public
        turns = [[sorted(part) for part in dataclasses.astuple(folds)] for folds in self.turns]
        parts = [repr(scenario), repr(turns), material.trunk, material.tail.hash, self.entropy]
        seen = (public.randomised, public.simulated)
        arrays = [f.sum(axis=-1) for f in (*material.features, *seen)]
        arrays += [public.camera, public.person, material.person, material.fold]
        arrays += [a for a in (material.taken, material.site, material.attribute) if a is not None]
        return digest(*parts, *(array.tobytes() for array in arrays))

    def _rows(self) -> Iterator[Row]:
        yield "base", 0.0, lambda e: e.base()
        yield "public", 0.0, lambda e: e.tuned()
        if self.scenario.panel:
            yield "panel", None, lambda e: e.panel()
        yield "local", 0.0, lambda e: e.local()
        for epsilon in self.scenario.epsilon:
            yield "private", epsilon, lambda e, x=epsilon: e.federated("local", x)  # type: ignore[misc]
            if self.scenario.sums_only:
                yield "private_secagg", epsilon, lambda e, x=epsilon: e.federated("distributed", x)  # type: ignore[misc]
        yield "nonprivate", None, lambda e: e.federated("none", None)
        if self.scenario.upper_bound:
            yield "upper_bound", None, lambda e: e.upper_bound()

    def _opening(self) -> tuple[Tail, Reference]:
        opening = self.material.opening(self.scenario.public_steps)
        return opening.tail, self.scenario.trusting(opening.reference)

    def _experiment(
        self, public: Tail, reference: Reference, folds: Folds, seed: tuple[int, int]
    ) -> Experiment:
        return Experiment(
            scenario=self.scenario,
            material=self.material,
            reference=reference,
            public=public,
            sites=open_sites(self.material, self.scenario, folds, seed[1]),
            seed=seed,
            entropy=self.entropy,
        )

    @property
    def _told(self) -> dict[str, Any]:
        """What a reader needs to know of the scenario, whether or not the run ever ends."""
        told = {
            **told_settings(self.scenario),
            "epsilons": list(self.scenario.epsilon),
            "trunk": self.material.trunk,
        }
        plain: dict[str, Any] = json.loads(json.dumps(told))  # as a reader of the file sees it
        return plain

    def _meta(self, experiment: Experiment) -> Meta:
        extra: dict[str, Any] = {
            **self._told,
            "turns": [] if self.material.site is not None else told_turns(self.turns),
            "judges": self.judges,
            "draws": self.scenario.draws,
            "statements": self._statements(experiment),
        }
        return Meta(
            scenario=self.scenario.name,
            entropy=self.entropy,
            delta=self.scenario.delta,
            extra=extra,
        )

    def _statements(self, experiment: Experiment) -> dict[str, Any]:
        """What the private arms cost, in plain words, by row and epsilon."""
        declared = self.material.site is not None  # then nobody was set apart to choose by
        chosen = pictures_of_folds(self.material, self.turns[-1].choose)
        development = 0 if declared else len(np.unique(self.material.person[chosen]))
        told: dict[str, Any] = {}
        noises: list[tuple[str, NoiseModel]] = [("private", "local")]
        if self.scenario.sums_only:
            noises.append(("private_secagg", "distributed"))
        for row, noise in noises:
            for epsilon in self.scenario.epsilon:
                plan = experiment.plan(noise, epsilon)
                spent = {site.name: plan.events() for site in experiment.sites}
                told.setdefault(row, {})[epsilon_key(epsilon)] = statement(
                    plan, spent, entropy=self.entropy, development_people=development
                )
        return told


def told_settings(scenario: Scenario) -> dict[str, Any]:
    """What ``scenario`` says, and what the cameras it names do."""
    cameras = [dataclasses.asdict(camera) for camera in scenario.camera_list()]
    return {"settings": dataclasses.asdict(scenario), "cameras": cameras}


def told_turns(turns: Sequence[Folds]) -> list[dict[str, list[int]]]:
    """Who trains, chooses and reports in every turn, by fold."""
    parts = ("train", "choose", "report")
    return [{key: sorted(getattr(folds, key)) for key in parts} for folds in turns]


def check_run_folder(folder: Path, scenario: Scenario, **more: Any) -> None:
    """Raises ``RunError`` if ``folder`` cannot take a run of ``scenario``, as far as is seen early.

    ``more`` is what a run folder also says of itself, as soon as it is known. Only a first look:
    the features decide, once they are there.
    """
    check_folder(folder, foreign={JOURNAL: "a sweep"})
    check_folder(folder / PIECES)
    if (folder / PIECES).is_dir():
        asked = told_settings(scenario)
        for free in ("seeds", "epsilon"):  # more of them may join the same folder
            del asked["settings"][free]
        check_same(folder, asked | more)
