"""What heads gain from a federation's people, and what they cost identity, at equal epsilon.

    mascaron-lab bench private-heads [--scenario demo] [--epsilon 8 2 none] [--seeds 2]

Invented people with labels, dealt to sites; heads start where public people left them. The same
plan is run twice at each epsilon: its gradient rounds train the tail, or tail and heads in the same
private steps. Identity is TAR at FAR 1e-2 on people nobody trained on, at sites without people of
their own; attributes are the balanced accuracy of the same people (a half is what the majority's
guess gets), each beside what cost nothing. Intervals are by person, 95 %, paired, averaged over
seeds. The last line on stdout is one JSON object.
"""

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from client.agent.labels import SiteLabels, labels_of
from common.attacks.attributes import cross_fit, inferred
from common.faces.faceset import FaceSet
from common.heads.attributes import AttributesHead
from common.heads.heads import Heads
from common.heads.judging import scores_of
from common.heads.labelled import labelled
from common.metrics.verification import FARS
from common.privacy.plan import NoiseModel
from server.heads import LEAST, HeadsRequest, Pupils, train_public
from server.runs.reading import Chosen, chosen_of, heads_after
from simulations.arms import Arm, Experiment
from simulations.benchmarks.arguments import at_least
from simulations.evaluation import Jury
from simulations.laboratory import Given, Laboratory
from simulations.material import Material
from simulations.progress import Told
from simulations.scenario import load_scenario, override
from simulations.sites import report_pictures

FAR = FARS.index(1e-2)
KINDS = ("attributes", "age")

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Arena:
    """What stays the same at every epsilon: dealings of people, who judges, public heads."""

    experiments: list[Experiment]
    jury: Jury
    faces: FaceSet  # the people of the experiments, with their labels
    chosen: Chosen  # of the public heads

    @property
    def judged_attributes(self) -> list[str]:
        """Those of which there are enough pictures to judge."""
        names = self.chosen.terms[0].names
        return [names[column] for column in self._told_of]

    def identity(self, arm: Arm, experiment: Experiment) -> Doubles:
        """TAR at ``FAR`` over the judged sites, and under each draw of people: (1 + B,)."""
        piece = self.jury.judge(experiment.judged, arm.tails)
        drawn = np.asarray(piece.draws[:, FAR], np.float64).mean(axis=0)
        return np.concatenate([[piece.tar[:, FAR].mean()], drawn])

    def attributes(self, by_camera: dict[int, Heads]) -> Doubles:
        """Balanced accuracy, the mean over attributes, and under each draw of people."""
        head = self.chosen.public.head("attributes")
        assert isinstance(head, AttributesHead)
        scores = np.concatenate([self._scores(head, c, heads) for c, heads in by_camera.items()])
        said, truth = scores[:, self._told_of] > 0, np.tile(self._truth, (len(by_camera), 1))
        found = inferred(said, truth, self._person(len(by_camera)), np.random.default_rng(5))
        return np.concatenate([[found.value.mean()], found.draws.mean(axis=1)])

    def age_error(self, by_camera: dict[int, Heads]) -> float:
        """Mean absolute error of the age, in years."""
        pictures, wrong = self.jury.pictures, []
        for camera, heads in by_camera.items():
            read = heads.read(self.jury.material.features[camera][pictures])
            assert read.age is not None
            assert self._labels.age is not None
            wrong.append(np.abs(read.age - self._labels.age))
        return float(np.mean(wrong))

    def leak(self, arm: Arm, experiment: Experiment) -> float:
        """Balanced accuracy of probes on embeddings at the first judged site: what they tell."""
        site, pictures = experiment.judged[0], self.jury.pictures
        vectors = arm.tails[0].embed(self.jury.material.features[site.camera][pictures])
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        person, rng = self.jury.material.person[pictures], np.random.default_rng(6)
        said = cross_fit(vectors, vectors, self._truth, person, rng)
        return float(inferred(said, self._truth, person, rng).value.mean())

    def _scores(self, head: AttributesHead, camera: int, heads: Heads) -> Doubles:
        seen = heads.scaling(self.jury.material.features[camera][self.jury.pictures])
        return scores_of(head, heads.arrays, seen)

    def _person(self, times: int) -> NDArray[np.int64]:
        return np.tile(self.jury.material.person[self.jury.pictures], times)

    @cached_property
    def _wanted(self) -> NDArray[np.int8]:
        head = self.chosen.public.head("attributes")
        assert isinstance(head, AttributesHead)
        wanted = self._labels.named(head.names)
        assert wanted is not None
        return wanted

    @cached_property
    def _told_of(self) -> NDArray[np.intp]:
        """The attributes that at least ``LEAST`` pictures of the judges show, and as many lack."""
        shown, absent = (self._wanted == 1).sum(axis=0), (self._wanted == 0).sum(axis=0)
        return np.flatnonzero(np.minimum(shown, absent) >= LEAST)

    @cached_property
    def _truth(self) -> NDArray[np.bool_]:
        return np.asarray(self._wanted[:, self._told_of] == 1)

    @cached_property
    def _labels(self) -> SiteLabels:
        found = labels_of(self.faces)
        assert found is not None
        return found.at(self.jury.pictures)


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(
        prog="private-heads", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--scenario", default="demo")
    parser.add_argument("--epsilon", nargs="+", type=_epsilon, default=[8.0, 2.0, None])
    parser.add_argument("--seeds", type=at_least(1), default=2)
    parser.add_argument("--noise", choices=("local", "distributed"), default="distributed")
    parser.add_argument("--share", type=float, default=0.3, help="of the budget, for gradients")
    parser.add_argument("--rounds", type=at_least(1), default=20)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--weight", type=float, default=1.0, help="times the public weights")
    parser.add_argument("--cache", type=Path, help="where features are kept")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        arena, judged = opened(options, Path(scratch))
        report = {
            "bench": "private-heads",
            "noise": options.noise,
            "settings": {k: str(v) for k, v in vars(options).items() if k != "cache"},
            "heads": {terms.kind: terms.weight for terms in arena.chosen.terms},
            "attributes": arena.judged_attributes,
            "public_heads": judged,
            "rows": [row(arena, options.noise, epsilon) for epsilon in options.epsilon],
        }
    click.echo(json.dumps(report))


def opened(options: argparse.Namespace, scratch: Path) -> tuple[Arena, dict[str, Any]]:
    """The arena of the options, and how right public heads are on public people."""
    scenario = override(
        load_scenario(options.scenario),
        seeds=options.seeds,
        gradient_share=options.share,
        gradient_rounds=options.rounds,
        learning_rate=options.learning_rate,
    )
    laboratory = Laboratory(Given(), options.cache or scratch / "cache", Told(_say))
    run = laboratory.run(scenario, scratch / "run")
    people = laboratory.people(scenario)
    made, judged = public_heads(people.public, run.material)
    weights = [f"{kind}:{options.weight * made.weights[kind]}" for kind in KINDS]
    chosen = chosen_of(made, weights)
    found = [
        dataclasses.replace(experiment, labels=labels_of(people.faces), own_parts=False)
        for _, experiment in run.repetitions()
    ]
    pictures = report_pictures(run.material, scenario, run.turns[0].report)
    jury = Jury(run.material, pictures, scenario.draws, min(run.turns[0].report))
    return Arena(experiments=found, jury=jury, faces=people.faces, chosen=chosen), judged


def public_heads(public: FaceSet, material: Material) -> tuple[Heads, dict[str, Any]]:
    """Heads of the public people, seen through randomised cameras."""
    views = material.public.randomised  # (N, V, D)
    said = labelled(public, KINDS)
    order = np.repeat(np.arange(len(views)), views.shape[1])
    pupils = Pupils(
        trunk=material.trunk,
        features=views.reshape(len(order), -1),
        person=material.public.person[order],
        labels=said.labels.of(torch.from_numpy(order)),
        names=said.names,
    )
    made, figures = train_public(pupils, HeadsRequest(kinds=KINDS))
    return made, {kind: figures["judged"].get(kind) for kind in KINDS}


def row(arena: Arena, noise: NoiseModel, epsilon: float | None) -> dict[str, Any]:
    """Everything at one epsilon (None: no noise at all)."""
    cells = [
        _cell(arena, e, "none" if epsilon is None else noise, epsilon) for e in arena.experiments
    ]
    told: dict[str, Any] = {"epsilon": epsilon}
    for name, scale in (("identity", 100), ("attributes", 100)):
        mean = {a: np.mean([cell[name][a] for cell in cells], axis=0) for a in cells[0][name]}
        told[name] = {arm: _told(scale * values) for arm, values in mean.items()}
        told[name] |= {
            f"with_less_{arm}": _told(scale * (mean["with"] - values))
            for arm, values in mean.items()
            if arm != "with"
        }
    for name in ("age_error", "leak"):
        told[name] = {
            arm: round(float(np.mean([cell[name][arm] for cell in cells])), 4)
            for arm in cells[0][name]
        }
    _say(json.dumps(told), 0, 0)
    return told


def _cell(
    arena: Arena, plain: Experiment, noise: NoiseModel, epsilon: float | None
) -> dict[str, dict[str, Any]]:
    """One dealing of people: the plan without heads, the same with them, and what was free."""
    full = dataclasses.replace(plain, heads=arena.chosen)
    without, whole = plain.federated(noise, epsilon), full.federated(noise, epsilon)
    assert whole.outcome is not None
    public = arena.chosen.public
    cameras = sorted({site.camera for site in plain.judged})
    pool_of = {camera: _pool(plain, camera) for camera in cameras}
    trained = {c: heads_after(public, whole.outcome.pools[pool_of[c]]) for c in cameras}
    free = dict.fromkeys(cameras, public)
    heads = {"with": trained, "public": free}
    arms = {"with": whole, "without": without, "public": plain.tuned()}
    probed = {name: arms[name] for name in ("with", "without")}
    return {
        "identity": {name: arena.identity(arm, plain) for name, arm in arms.items()},
        "attributes": {name: arena.attributes(found) for name, found in heads.items()},
        "age_error": {name: arena.age_error(found) for name, found in heads.items()},
        "leak": {name: arena.leak(arm, plain) for name, arm in probed.items()},
    }


def _pool(experiment: Experiment, camera: int) -> str:
    return "all" if experiment.scenario.pooling == "all" else experiment.material.types[camera]


def _told(values: Doubles) -> list[float]:
    """The value and its interval, in points."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return [round(float(number), 2) for number in (values[0], low, high)]


def _epsilon(text: str) -> float | None:
    return None if text == "none" else float(text)


def _say(what: str, done: int, total: int) -> None:
    if done == total:
        click.echo(what, err=True)
