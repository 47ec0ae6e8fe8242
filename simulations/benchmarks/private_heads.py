"""What heads gain from a federation's people, and what they cost identity, at equal epsilon.

    mascaron-lab bench private-heads [--scenario demo] [--epsilon 8 2 none] [--seeds 2]
        [--sites 60] [--people 5] [--head identity:0 attributes age] [--rounds 20]

Invented people with labels, dealt to sites; heads start where public people left them. The same
budget is spent twice at each epsilon: with heads in the private steps, and on the same plan without
them (without any steps where those would train nothing else: at identity 0 all of it goes to the
moments). Identity is TAR at FAR 1e-2 on people nobody trained on, at sites without people of their
own; attributes are the balanced accuracy of the same people (a half is what the majority's guess
gets), each beside what cost nothing. Intervals are by person, 95 %, paired, averaged over seeds.
The last line on stdout is one JSON object.
"""

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from client.agent.labels import labels_of
from client.agent.sentences import Speech
from common.errors import ConfigError
from common.faces.faceset import FaceSet
from common.heads.heads import Heads
from common.heads.labelled import labelled
from common.privacy.plan import NoiseModel
from common.text.encoder import built_in
from server.heads import HeadsRequest, Pupils, train_public
from server.runs.reading import IDENTITY, chosen_of, heads_after
from simulations.arms import Experiment
from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.private_heads_arena import Arena
from simulations.evaluation import Jury
from simulations.laboratory import Given, Laboratory
from simulations.material import Material
from simulations.progress import Told
from simulations.scenario import Scenario, load_scenario, override
from simulations.sites import report_pictures

HEADS = ("identity:0", "attributes", "age")
MEASURED = ("attributes", "age", "words")

Doubles = NDArray[np.float64]
Cell = dict[str, dict[str, Any]]


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        arena, judged = opened(options, Path(scratch))
        report = {
            "bench": "private-heads",
            "noise": options.noise,
            "settings": {k: str(v) for k, v in vars(options).items() if k != "cache"},
            "heads": {terms.kind: terms.weight for terms in arena.chosen.terms},
            "identity": arena.chosen.identity,
            "people_of_a_pool": _pooled(arena.experiments[0]),
            "attributes": arena.judged_attributes,
            "public_heads": judged,
            "rows": [row(arena, options.noise, epsilon) for epsilon in options.epsilon],
        }
    click.echo(json.dumps(report))


def opened(options: argparse.Namespace, scratch: Path) -> tuple[Arena, dict[str, Any]]:
    """The arena of the options, and how right public heads are on public people."""
    scenario = _scenario(options)
    given = Given(faces=options.faces, public=options.public)
    kinds = tuple(kind for kind in (one.split(":")[0] for one in options.head) if kind != IDENTITY)
    if strange := set(kinds) - set(MEASURED):
        raise ConfigError(f"--head: nobody measures {', '.join(sorted(strange))} here")
    laboratory = Laboratory(given, options.cache or scratch / "cache", Told(_say))
    run = laboratory.run(scenario, scratch / "run")
    people = laboratory.people(scenario)
    made, judged = public_heads(people.public, run.material, kinds)
    speech = Speech(encoder=built_in()) if "words" in kinds else None
    labels = labels_of(people.faces, speech)
    assert labels is not None
    found = [
        dataclasses.replace(experiment, labels=labels, own_parts=False)
        for _, experiment in run.repetitions()
    ]
    pictures = report_pictures(run.material, scenario, run.turns[0].report)
    jury = Jury(run.material, pictures, scenario.draws, min(run.turns[0].report))
    chosen = chosen_of(made, options.head)
    return Arena(experiments=found, jury=jury, labels=labels, chosen=chosen), judged


def public_heads(
    public: FaceSet, material: Material, kinds: tuple[str, ...] = ("attributes", "age")
) -> tuple[Heads, dict[str, Any]]:
    """Heads of the public people, seen through randomised cameras."""
    views = material.public.randomised  # (N, V, D)
    encoder = built_in() if "words" in kinds else None
    said = labelled(public, kinds, encoder)
    order = np.repeat(np.arange(len(views)), views.shape[1])
    pupils = Pupils(
        trunk=material.trunk,
        features=views.reshape(len(order), -1),
        person=material.public.person[order],
        labels=said.labels.of(torch.from_numpy(order)),
        names=said.names,
    )
    made, figures = train_public(pupils, HeadsRequest(kinds=kinds), encoder=encoder)
    return made, {kind: figures["judged"].get(kind) for kind in kinds}


def row(arena: Arena, noise: NoiseModel, epsilon: float | None) -> dict[str, Any]:
    """Everything at one epsilon (None: no noise at all)."""
    cells = [
        _cell(arena, e, "none" if epsilon is None else noise, epsilon) for e in arena.experiments
    ]
    told: dict[str, Any] = {"epsilon": epsilon}
    for name in (key for key in cells[0] if key not in ("leak", "learning_rates")):
        scale = 1 if name == "age" else 100
        mean = {a: np.mean([cell[name][a] for cell in cells], axis=0) for a in cells[0][name]}
        told[name] = {arm: _told(scale * values) for arm, values in mean.items()}
        told[name] |= {
            f"with_less_{arm}": _told(scale * (mean["with"] - values))
            for arm, values in mean.items()
            if arm != "with"
        }
    leaks = [cell["leak"] for cell in cells]
    told["leak"] = {arm: round(float(np.mean([one[arm] for one in leaks])), 4) for arm in leaks[0]}
    told["learning_rates"] = cells[0]["learning_rates"]
    _say(json.dumps(told), 0, 0)
    return told


def _cell(arena: Arena, plain: Experiment, noise: NoiseModel, epsilon: float | None) -> Cell:
    """One dealing of people: the plan without heads, the same with them, and what was free."""
    chosen = arena.chosen
    full = dataclasses.replace(plain, heads=chosen)
    less = plain if chosen.identity else dataclasses.replace(plain, scenario=_still(plain.scenario))
    without, whole = less.federated(noise, epsilon), full.federated(noise, epsilon)
    assert whole.outcome is not None
    cameras = sorted({site.camera for site in plain.judged})
    pools = {camera: whole.outcome.pools[_pool(plain, camera)] for camera in cameras}
    heads = {
        "with": {camera: heads_after(chosen.public, pool) for camera, pool in pools.items()},
        "public": dict.fromkeys(cameras, chosen.public),
    }
    arms = {"with": whole, "without": without, "public": plain.tuned()}
    rates: dict[str, Any] = {h.kind: h.learning_rate for h in full.plan(noise, epsilon).heads}
    return {
        "identity": {name: arena.identity(arm, plain) for name, arm in arms.items()},
        **{
            terms.kind: {name: arena.heads(terms.kind, found) for name, found in heads.items()}
            for terms in chosen.terms
        },
        "leak": {name: arena.leak(arms[name], plain) for name in ("with", "without")},
        "learning_rates": rates,
    }


def _scenario(options: argparse.Namespace) -> Scenario:
    return override(
        load_scenario(options.scenario),
        seeds=options.seeds,
        sites=options.sites,
        people=options.people,
        pooling=options.pooling,
        gradient_share=options.share,
        gradient_rounds=options.rounds,
        gradient_rate=options.sample_rate,
    )


def _still(scenario: Scenario) -> Scenario:
    """The same budget on moments alone."""
    return override(scenario, gradient_share=0.0)


def _pool(experiment: Experiment, camera: int) -> str:
    return "all" if experiment.scenario.pooling == "all" else experiment.material.types[camera]


def _pooled(experiment: Experiment) -> dict[str, int]:
    """How many people the sites of each pool have together."""
    found: dict[str, int] = {}
    for site in experiment.sites:
        people = len(np.unique(experiment.material.person[site.pictures]))
        pool = _pool(experiment, site.camera)
        found[pool] = found.get(pool, 0) + people
    return found


def _told(values: Doubles) -> list[float]:
    """The value and its interval; of rates in points."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return [round(float(number), 2) for number in (values[0], low, high)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="private-heads", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--scenario", default="demo")
    parser.add_argument("--epsilon", nargs="+", type=_epsilon, default=[8.0, 2.0, None])
    parser.add_argument("--seeds", type=at_least(1), default=2)
    parser.add_argument("--noise", choices=("local", "distributed"), default="distributed")
    parser.add_argument("--pooling", choices=("camera_type", "all"))
    parser.add_argument("--share", type=float, default=0.3, help="of the budget, for gradients")
    parser.add_argument("--rounds", type=at_least(1), default=20)
    parser.add_argument("--sample-rate", type=float, default=1.0, help="of people, in a round")
    parser.add_argument("--sites", type=at_least(2))
    parser.add_argument("--people", type=at_least(2), help="at every site")
    parser.add_argument("--head", nargs="+", default=HEADS, metavar="KIND[:WEIGHT[:RATE]]")
    parser.add_argument("--faces", type=Path, help="labelled pack, in place of invented people")
    parser.add_argument("--public", type=Path, help="the same of the public ones")
    parser.add_argument("--cache", type=Path, help="where features are kept")
    return parser


def _epsilon(text: str) -> float | None:
    return None if text == "none" else float(text)


def _say(what: str, done: int, total: int) -> None:
    if done == total:
        click.echo(what, err=True)
