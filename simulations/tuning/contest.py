"""One setting tried: a whole federation for each dealing of people, scored by development people.

Who trains, who chooses and who reports are three different groups; a score here never comes from
report people, and what report people say of the chosen setting is asked once, at the end.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ScenarioError
from common.metrics.repeats import Measured
from common.models.tail import Tail
from common.privacy.accountant import Event
from common.privacy.plan import PrivacyPlan
from simulations.arms import Experiment
from simulations.evaluation import Jury
from simulations.laboratory import Laboratory
from simulations.mechanisms import mechanisms
from simulations.results import FAR_KEYS, GAIN_AT
from simulations.sites import report_pictures
from simulations.tuning.asked import Asked
from simulations.tuning.space import Setting

Tails = Sequence[Sequence[Tail]]  # by repetition, by judged site


@dataclass(frozen=True, eq=False, slots=True)
class Rehearsal:
    """A setting on one dealing of people, not yet run."""

    experiment: Experiment
    jury: Jury
    plan: PrivacyPlan  # what running it releases
    asked: Asked

    def run(self) -> tuple[float, Sequence[Tail]]:
        """TAR at FAR 1e-2 of development people, a mean over judged sites, and the sites' tails.

        Raises ``ScenarioError`` where they are too few to tell.
        """
        arm = self.experiment.federated(self.asked.noise, self.asked.epsilon)
        pairs = zip(self.experiment.judged, arm.tails, strict=True)
        rates = [self.jury.tar(site.camera, tail)[GAIN_AT] for site, tail in pairs]
        known = [float(rate) for rate in rates if np.isfinite(rate)]
        if not known:
            raise ScenarioError(
                "too few development people to tell TAR at FAR 1e-2; give them more folds with "
                "--choose-folds"
            )
        return float(np.mean(known)), arm.tails


@dataclass(eq=False, kw_only=True)
class Contest:
    """Settings of one search, in one laboratory.

    Where its people are ``private``, tails are judged without the sites' own parts: those are made
    of exact moments of these people, which nothing was paid for, and a score would tell of them.
    """

    asked: Asked
    laboratory: Laboratory
    folder: Path
    private: bool = False
    _juries: dict[frozenset[int], Jury] = field(default_factory=dict, init=False)

    def check(self) -> None:
        """Raises one of our errors where nothing can be searched; no picture is shot."""
        scenario = self.asked.scenario
        self.laboratory.check(scenario)
        people = self.laboratory.people(scenario)
        if people.faces.site is not None:
            raise ScenarioError(
                "the pack declares its sites and who reports, so nobody is set apart to choose "
                "by; use a pack without a site array"
            )
        if len(people.turns) > 1:
            raise ScenarioError("--cross-fit lets everybody choose and report: leave it out")
        if not people.turns[0].choose:
            raise ScenarioError("a search chooses by development people: name --choose-folds")
        self.laboratory.sites(scenario)

    @property
    def repetitions(self) -> int:
        """Federations in one trial: each is run on the same people, and costs them again."""
        return self.asked.scenario.seeds

    def events(self) -> tuple[Event, ...]:
        """What a trial of the default setting releases of one person, as the accountant sees it."""
        parts = mechanisms(self.asked.scenario, 1.0, self.asked.epsilon)
        return tuple(
            Event(m.event.sigma, m.event.rate, m.event.steps * m.rounds * self.repetitions)
            for m in parts
        )

    def rehearsals(self, setting: Setting) -> Iterator[Rehearsal]:
        """The repetitions of ``setting``, one after the other."""
        run = self.laboratory.run(self.asked.space.at(setting), self.folder)
        for folds, dealt in run.repetitions():
            experiment = dataclasses.replace(dealt, own_parts=not self.private)
            plan = experiment.plan(self.asked.noise, self.asked.epsilon)
            yield Rehearsal(experiment, self._jury(experiment, folds.choose), plan, self.asked)

    def report(self, named: dict[str, tuple[Setting, Tails]]) -> dict[str, Any]:
        """TAR of report people under each of ``named``, from tails that are there already.

        ``{name: {far: {"value", "ci95"} | None}}`` and, under ``"gain"``, points at FAR 1e-2 of
        ``best`` over ``default``, paired by person, where both are named.
        """
        found = {name: self._judged(*one) for name, one in named.items()}
        told: dict[str, Any] = {name: _figures(tar, draws) for name, (tar, draws) in found.items()}
        if {"best", "default"} <= set(found):
            (tar, draws), (other, others) = found["best"], found["default"]
            gained = _figures(100 * (tar - other), 100 * (draws - others))
            told["gain"] = gained[FAR_KEYS[GAIN_AT]]
        return told

    def people(self) -> dict[str, int]:
        """How many people train, choose and report."""
        known = self.laboratory.people(self.asked.scenario)
        assert known.faces.fold is not None
        told = {}
        for part in ("train", "choose", "report"):
            mine = np.isin(known.faces.fold, sorted(getattr(known.turns[0], part)))
            told[part] = len(np.unique(known.faces.person[mine]))
        return told

    def _judged(self, setting: Setting, tails: Tails) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rates (F, 1, seeds) of the mean over sites, and resamples of them (F, 1, seeds, B)."""
        run = self.laboratory.run(self.asked.space.at(setting), self.folder)
        pieces = [
            self._jury(experiment, folds.report).judge(experiment.judged, mine)
            for (folds, experiment), mine in zip(run.repetitions(), tails, strict=True)
        ]
        tar = np.stack([piece.tar.mean(axis=0) for piece in pieces])  # (seeds, F)
        draws = np.stack([piece.draws.mean(axis=0, dtype=np.float64) for piece in pieces])
        return tar.T[:, None], draws.transpose(1, 0, 2)[:, None]

    def _jury(self, experiment: Experiment, folds: frozenset[int]) -> Jury:
        scenario, material = experiment.scenario, experiment.material
        if folds not in self._juries:
            pictures = report_pictures(material, scenario, folds)
            self._juries[folds] = Jury(material, pictures, scenario.draws, min(folds))
        return self._juries[folds]


def _figures(tar: NDArray[Any], draws: NDArray[Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for far, key in enumerate(FAR_KEYS):
        if not np.isfinite(tar[far]).all():
            told[key] = None
            continue
        measured = Measured.of(tar[far], draws[far])
        ends = [round(float(end), 4) for end in measured.interval()]
        told[key] = {"value": round(float(measured.value), 4), "ci95": ends}
    return told
