"""Faces from templates and from updates, with and without protection: a section of evidence.

Every row says how often a reconstruction is taken for the person (``decoded``: least squares,
``descended``: gradients from there on), and for updates also how often the recovered embedding
itself is (``linked``). A row that fails says something only because others succeed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.attacks.decoder import Decoder, numbers, signs
from common.attacks.inversion import Descent, Victims, descend, embedded
from common.errors import ScenarioError
from common.metrics.verification import Floats, unit_rows
from common.models.studio import Progress
from simulations.entropy import SeededEntropy
from simulations.evidence.prey import Prey, choose_prey
from simulations.evidence.releases import Protection, Wire
from simulations.evidence.sealed import Kept, keep
from simulations.evidence.subject import Subject

SLACK = 0.02  # above the FMR that sealed templates may reach
SITES = 10  # of a secure sum
CROWDS = (5, 50)  # people of larger sites


@dataclass(frozen=True, kw_only=True, slots=True)
class InversionOptions:
    """``people`` are attacked at most, the first ``descended`` of them by gradients too."""

    fmr: float = 1e-2
    people: int = 100
    descended: int = 20
    steps: int = 40
    epsilon: tuple[float, ...] = (8.0, 2.0)
    delta: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fmr < 1 or not 0 < self.delta < 1:
            raise ScenarioError("--fmr and --delta must be in (0, 1)")
        if self.people < 2 or self.descended < 2 or self.steps < 1:
            raise ScenarioError("two people or more are attacked, in one step or more")
        if not self.epsilon or any(not 0 < epsilon < float("inf") for epsilon in self.epsilon):
            raise ScenarioError("--epsilon must be positive")


@dataclass(eq=False, repr=False)
class Inverted:
    """What came out: figures, and pictures of the first people, (P, 3, S, S) a column."""

    prey: Prey
    figures: dict[str, Any]
    failed: tuple[str, ...]
    columns: dict[str, Tensor] = field(default_factory=dict)


class Inversion:
    """Runs the attacks on ``prey``; ``done`` is told of rows finished."""

    def __init__(self, prey: Prey, given: InversionOptions, done: Callable[[int], None]) -> None:
        self.prey, self.given, self._done = prey, given, done
        self.face, self.victims = prey.subject.face, prey.victims
        self.crops = prey.subject.others.crops(prey.teachers)
        self.plain = Decoder.fit(prey.taught, self.crops)
        self.columns: dict[str, Tensor] = {}

    def templates(self) -> dict[str, Any]:
        """Rows of what is stored: as it is in memory, and as it is on the disk."""
        subject, prey = self.prey.subject, self.prey
        features, taught = subject.features[prey.own], subject.other_features[prey.teachers]
        embeddings = subject.embeddings[prey.own]
        kept = keep(np.concatenate([taught, features]), subject.trunk.hash)
        by_feature = Decoder.fit(taught, self.crops)
        opened = kept.opened[len(taught) :]
        code = Decoder.fit(signs(prey.taught), self.crops)
        of_bytes, sealed = self._sealed(kept)
        first = Kept(kept.sealed[len(taught) :], opened)
        read = by_feature.decode(first.as_if_plain(taught))
        rows = {
            "embedding": self._row(self.plain.decode(unit_rows(embeddings)), embeddings, "ridge"),
            "feature": self._row(by_feature.decode(features), None),
            "sign_code": self._row(code.decode(signs(embeddings)), signs(embeddings)),
            "opened_with_key": self._row(by_feature.decode(opened), None),
        }
        protected = {
            "sealed_learnt": self._row(of_bytes.decode(sealed), None, "sealed"),
            "sealed_as_if_plain": self._row(read, None),
        }
        return {"without": rows, "with": protected}

    def updates(self) -> dict[str, Any]:
        """Rows of what leaves: mean releases and gradient rounds, alone and in secure sums."""
        public = self.prey.subject.other_features
        wire = Wire(self.prey.subject.tail, public, SeededEntropy(self.given.seed, 5))
        delta = self.given.delta
        rows: dict[str, dict[str, Any]] = {"without": {}, "with": {}}
        ways = {"mean": wire.mean, "gradient": wire.gradient}
        for name, way in ways.items():
            shown = {"mean": ("mean", "mean_noised"), "gradient": ("update", "noised")}[name]
            off, crowd = rows["without"], CROWDS if name == "mean" else CROWDS[:1]
            off[f"{name}_1"] = self._update(way, Protection(), 1, shown[0])
            off[f"{name}_1_clipped"] = self._update(way, Protection(clipped=True), 1)
            for people in crowd:
                off[f"{name}_{people}"] = self._update(way, Protection(), people)
            off[f"{name}_sum_of_{SITES}"] = self._update(way, Protection(summed=True), SITES)
            for number, epsilon in enumerate(self.given.epsilon):
                noised = Protection(epsilon=epsilon, delta=delta)
                summed = Protection(epsilon=epsilon, delta=delta, summed=True)
                key = f"{name}_1_epsilon_{epsilon:g}"
                rows["with"][key] = self._update(way, noised, 1, "" if number else shown[1])
                key = f"{name}_sum_of_{SITES}_epsilon_{epsilon:g}"
                rows["with"][key] = self._update(way, summed, SITES)
        return rows

    def controls(self, rng: torch.Generator) -> dict[str, Any]:
        """What is accepted of who knows nothing: the mean face, and noise."""
        mean = self.plain.mean_face().expand(len(self.prey), -1, -1, -1)
        noise = torch.rand(mean.shape, generator=rng)
        self.columns["nothing"] = mean[: self.given.descended]
        return {
            "mean_face": self._row(mean, None),
            "noise": self._row(noise, None),
        }

    def _sealed(self, kept: Kept) -> tuple[Decoder, NDArray[np.float32]]:
        """A decoder that knows the pictures of some sealed templates, and the others."""
        blobs = numbers(list(kept.sealed))
        teachers = len(self.crops)
        return Decoder.fit(blobs[:teachers], self.crops), blobs[teachers:]

    def _update(
        self,
        way: Callable[[list[list[Floats]], Protection], NDArray[np.float64]],
        protection: Protection,
        people: int,
        column: str = "",
    ) -> dict[str, Any]:
        """Releases of ``people`` at a time: of one site, or of so many sites of one person."""
        found: list[NDArray[np.float64]] = []
        for start in range(0, len(self.prey), people):
            stop = min(start + people, len(self.prey))
            bags = [self.prey.bag(number) for number in range(start, stop)]
            sites = [[bag] for bag in bags] if protection.summed else [bags]
            found += [way(sites, protection)] * len(bags)
        aims = unit_rows(np.array(found, np.float32))
        row = self._row(self.plain.decode(aims), aims if column else None, column)
        return row | {"linked": self.victims.judged(aims)}

    def _row(self, decoded: Tensor, aims: Floats | None, column: str = "") -> dict[str, Any]:
        """Figures of the ridge decoder's pictures, and of what gradients make of the first.

        ``aims`` (P, E) is where gradients may go; without it there is no such way.
        """
        row: dict[str, Any] = {"decoded": self.victims.judged(embedded(self.face, decoded))}
        few = self.given.descended
        shown = decoded[:few]
        if aims is not None:
            how = Descent(steps=self.given.steps)
            made = descend(self.face, shown, unit_rows(aims[:few]), how)
            row["descended"] = self._few.judged(embedded(self.face, made))
            if column == "ridge":
                self.columns["descended"] = made
            elif column:
                shown = made
        if column:
            self.columns[column] = shown
        self._done(1)
        return row

    @property
    def _few(self) -> Victims:
        return self.victims.first(self.given.descended)


def rows_of(given: InversionOptions) -> int:
    """How many rows there will be, for a progress bar."""
    return 8 + 2 * 3 + len(CROWDS) + 1 + 4 * len(given.epsilon)


def invert(subject: Subject, given: InversionOptions, progress: Progress) -> Inverted:
    """All attacks on people of ``subject.tested``, taught by its ``others``."""
    rng = np.random.default_rng([given.seed, 11])
    prey = choose_prey(subject, given.people, given.fmr, rng)
    inversion = Inversion(prey, given, progress.start("inverting", rows_of(given)))
    figures = {
        "fmr": given.fmr,
        "threshold": prey.threshold,
        "people": len(prey),
        "descended": min(given.descended, len(prey)),
        "steps": given.steps,
        "teachers": {"people": len(subject.others.people), "pictures": len(prey.teachers)},
        "epsilon": list(given.epsilon),
        "delta": given.delta,
        "genuine": prey.victims.genuine(),
        "template": inversion.templates(),
        "update": inversion.updates(),
        "controls": inversion.controls(torch.Generator().manual_seed(given.seed)),
    }
    return Inverted(prey, figures, tuple(verdicts(figures)), inversion.columns)


def verdicts(figures: Mapping[str, Any]) -> list[str]:
    """What does not hold: sealed templates that open, and attacks too weak to say anything."""
    found, allowed = [], figures["fmr"] + SLACK
    for name, row in figures["template"]["with"].items():
        for kind in ("type_1", "type_2"):
            share = row["decoded"][kind]
            if share["ci95"][0] > allowed:  # more than chance explains
                found.append(
                    f"inversion: {name} is taken for the person in {share['value']:.1%} of cases "
                    f"({kind}), surely more than FMR + {SLACK:.0%}"
                )
    plain = figures["template"]["without"]["embedding"]
    if plain["descended"]["type_1"]["ci95"][0] <= allowed:
        found.append("inversion: plaintext was not inverted either, so the attack shows nothing")
    return found
