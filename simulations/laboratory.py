"""The one way from a scenario to its figures: run, demo, sweep and the Python API all go here.

Faces, public people and trunk are loaded once; features are made once for all scenarios that look
through the same cameras one after the other. Everything is checked before a picture is shot.
"""

import dataclasses
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from common.errors import DataSetError, ScenarioError
from common.faces.faceset import FaceSet
from common.faces.splits import parse_folds
from common.models.cache import FeatureCache
from common.models.studio import Progress, Studio
from common.models.tail import Tail
from common.models.trunk import Trunk
from common.outputs import check_folder
from common.privacy.plan import SHIPPED_OBJECTIVES
from common.wire import digest
from simulations.material import Material, labels_of, prepare
from simulations.runner import Measured, Run, check_run_folder, told_turns
from simulations.scenario import Invented, Scenario
from simulations.sites import Folds, check_people, open_sites, rotation
from simulations.sources import Sources

# Fields that say what is done with features, not which there are. A field that is not listed
# costs at worst a second look into the cache.
AFTER_FEATURES = frozenset(
    {
        "name",
        "sites",
        "people",
        "partition",
        "alpha",
        "strategy",
        "malicious",
        "selected",
        "trim",
        "server_rate",
        "tau",
        "proximal",
        "learning_rate",
        "gradient_clip",
        "gradient_rate",
        "ridge",
        "mean_share",
        "own_shrink",
        "scatter_clip",
        "own_tuning",
        "local_steps",
        "pooling",
        "judged",
        "public_steps",
        "delta",
        "epsilon",
        "seeds",
        "panel",
        "gradient_share",
        "gradient_rounds",
        "objective",
        "report_pictures",
        "draws",
        "upper_bound",
    }
)


class Reporter(Progress, Protocol):
    """Progress that can also say a line, and forget what was told of one part."""

    def say(self, text: str) -> None: ...

    def inside(self) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, kw_only=True)
class Given(Sources):
    """What a measurement is told besides its scenario: sources, who trains, which entropy."""

    train_folds: str = "1-6"
    choose_folds: str = "7"
    report_folds: str = "8"
    cross_fit: str | None = None
    entropy: Literal["seeded", "os"] = "seeded"
    cache: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.turns()  # whatever is wrong with the folds is told before faces are read

    def turns(self) -> list[Folds]:
        """Which people train, choose and report, once or in rotation."""
        if self.cross_fit:
            return rotation(parse_folds(self.cross_fit))
        choose = parse_folds(self.choose_folds) if self.choose_folds.strip() else frozenset()
        folds = {
            "train": parse_folds(self.train_folds),
            "choose": choose,
            "report": parse_folds(self.report_folds),
        }
        try:
            return [Folds(**folds)]
        except ScenarioError as error:
            raise ScenarioError(f"{error}{self._left(folds)}") from None

    def _left(self, folds: Mapping[str, frozenset[int]]) -> str:
        """The usual cause of folds that clash: an option that was left as it is by default."""
        defaults = {entry.name: entry.default for entry in dataclasses.fields(self)}
        left = [
            f"--{part}-folds is {defaults[f'{part}_folds']}"
            for part, mine in folds.items()
            if getattr(self, f"{part}_folds") == defaults[f"{part}_folds"]
            and any(mine & theirs for other, theirs in folds.items() if other != part)
        ]
        return f" (by default {' and '.join(left)}: name others)" if left else ""


@dataclass(frozen=True, eq=False)
class People:
    """The faces of an experiment: those who train and report, and the public ones."""

    faces: FaceSet
    public: FaceSet
    turns: list[Folds]

    @cached_property
    def judges(self) -> str:
        """A digest of whose pictures there are and who may report: the same, the same people."""
        arrays = [self.faces.person, self.faces.fold, self.faces.site]
        kept = [array.tobytes() for array in arrays if array is not None]
        return digest(self.faces.digest, *kept)


@dataclass(eq=False)
class Laboratory:
    """Measures scenarios on what was ``given``; ``cache`` is where features are kept."""

    given: Given
    cache: Path
    reporter: Reporter
    _people: tuple[Invented | None, People] | None = field(default=None, init=False)
    _material: tuple[str, Material] | None = field(default=None, init=False)

    def check(self, scenario: Scenario) -> None:
        """Raises one of our errors if ``scenario`` cannot be measured; touches no picture.

        That every site finds people is looked at by ``sites``.
        """
        faces = self.people(scenario).faces
        if scenario.cameras != "none" and faces.site is not None:
            raise ScenarioError(
                "the pack declares its sites; use --camera none, or a pack without a site array"
            )
        labels_of(scenario, faces)
        scenario.public_camera()
        if scenario.objective not in SHIPPED_OBJECTIVES:
            from simulations.objectives import use_objective  # torch and Opacus, where needed

            use_objective(scenario.objective)

    def sites(self, scenario: Scenario) -> list[int]:
        """How many people each site of the first repetition has.

        Raises ``ScenarioError`` if in some turn a site would have too few, or nobody reports.
        """
        people = self.people(scenario)
        labels = labels_of(scenario, people.faces)
        check_people(labels, scenario, people.turns)
        sites = open_sites(labels, scenario, people.turns[0], 0)
        return [len(np.unique(labels.person[site.pictures])) for site in sites]

    def measure(self, scenario: Scenario, folder: Path) -> Measured:
        """Measures whatever of ``scenario`` is missing in ``folder``."""
        return self.run(scenario, folder).everything()

    def run(self, scenario: Scenario, folder: Path) -> Run:
        """``scenario`` with its features, ready to be measured into ``folder``."""
        check_run_folder(folder, scenario, entropy=self.given.entropy)
        check_folder(self.cache, "--cache")
        self.check(scenario)
        self.sites(scenario)
        people = self.people(scenario)
        told = {"trunk": self._trunk[0].hash, "judges": people.judges}
        check_run_folder(folder, scenario, turns=told_turns(people.turns), **told)
        return Run(
            scenario=scenario,
            material=self._prepared(scenario),
            turns=people.turns,
            folder=folder,
            progress=self.reporter,
            entropy=self.given.entropy,
            judges=people.judges,
        )

    def identity(self, scenario: Scenario) -> str:
        """A digest of everything that decides what ``scenario`` measures here, but for the code."""
        people, (trunk, tail) = self.people(scenario), self._trunk
        turns = [[sorted(part) for part in dataclasses.astuple(folds)] for folds in people.turns]
        return digest(
            repr(scenario),
            repr((scenario.camera_list(), scenario.public_camera(), turns)),
            repr((trunk.hash, tail.hash, self.given.entropy)),
            repr((people.judges, people.faces.camera_type, people.public.digest)),
            people.public.person.tobytes(),
            *_attributes(people.faces),
        )

    def people(self, scenario: Scenario) -> People:
        """The faces for ``scenario``; only the last ones are kept."""
        key = None if self.given.faces and self.given.public else scenario.invented
        if self._people is None or self._people[0] != key:
            self._people = None
            _ = self._trunk  # the quickest to be wrong is loaded first
            self._people = key, self._loaded(scenario.invented)
        return self._people[1]

    def _loaded(self, invented: Invented) -> People:
        faces, skipped = self.given.load_faces(invented, self.reporter)
        public, public_skipped = self.given.load_public(invented, self.reporter)
        if skipped or public_skipped:
            self.reporter.say(
                f"skipped {skipped} pictures of faces and {public_skipped} public ones"
            )
        if public.digest == faces.digest:
            raise ScenarioError(
                "--public has the pictures of --faces: public people must be others, or the people"
                " who judge are known to every arm"
            )
        if len(public.people) < 2:
            raise DataSetError("the public faces need at least two people")
        turns = self.given.turns()  # a pack that declares its sites leaves one of them
        return People(faces, public, turns if faces.site is None else turns[:1])

    def _prepared(self, scenario: Scenario) -> Material:
        """The scenario's material; only the last one is kept, for it fills the memory."""
        key = features_key(scenario)
        if self._material is None or self._material[0] != key:
            self._material = None
            people, (trunk, tail) = self.people(scenario), self._trunk
            studio = Studio(trunk, FeatureCache(self.cache), self.reporter)
            made = prepare(scenario, people.faces, people.public, tail, studio)
            self._material = key, made
        return self._material[1]

    @cached_property
    def _trunk(self) -> tuple[Trunk, Tail]:
        return self.given.load_trunk()


def _attributes(faces: FaceSet) -> list[bytes]:
    """What people may be dealt to sites by."""
    if faces.attributes is None:
        return []
    return [repr(faces.attribute_names).encode(), faces.attributes.tobytes()]


def features_key(scenario: Scenario) -> str:
    """Equal for scenarios that need the same features."""
    told = dataclasses.fields(scenario)
    used = [(f.name, getattr(scenario, f.name)) for f in told if f.name not in AFTER_FEATURES]
    return repr(used)
