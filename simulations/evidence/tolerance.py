"""The largest share of malicious sites at which a rule loses less than two points of TAR.

Nor may a backdoor's trigger get two strangers who wear it accepted two points more often.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import ScenarioError
from common.metrics.intervals import person_weights
from common.metrics.repeats import Measured
from common.metrics.verification import Pairs
from common.models.studio import Progress
from common.privacy.plan import NoiseModel
from server.public import Opening
from simulations.arms import Experiment
from simulations.evidence.byzantine import FMR, PHASES, Arena, Ran, attacked, configured
from simulations.evidence.malice import ATTACKS, Malice
from simulations.federation import quiet_flower
from simulations.laboratory import Given, Laboratory, Reporter
from simulations.scenario import Invented, Scenario
from simulations.sites import open_sites, report_pictures

TOLERATED = 0.02  # of TAR lost
RULES = (
    *("fedavg", "fedadam", "fedyogi", "fedmedian", "fedtrimmedavg"),
    *("krum", "multikrum", "bulyan"),
)
STICKER = 0.3  # what a trigger adds to a feature, in distances of public people from their middle
TRAIN, TESTED = "1-4", "5-8"  # folds


@dataclass(frozen=True, kw_only=True, slots=True)
class ToleranceOptions:
    """Ten sites, so that each is a tenth; ``epsilon`` None: releases without noise."""

    people: int = 320
    sites: int = 10
    seeds: int = 2
    most: float = 0.4  # share of malicious sites tried
    epsilon: float | None = None
    rules: tuple[str, ...] = RULES
    gradient_rounds: int = 6
    learning_rate: float = 0.5
    draws: int = 200

    def __post_init__(self) -> None:
        if not 3 <= self.sites <= 100 or not 0 < self.most < 0.5:
            raise ScenarioError("it takes 3 to 100 sites, fewer than half of them malicious")
        if self.people < 16 * self.sites:
            raise ScenarioError(f"{self.sites} sites take at least {16 * self.sites} people")


def scenario(given: ToleranceOptions) -> Scenario:
    """One pool of sites whose camera the public tail has not seen: there is something to learn."""
    return Scenario(
        name="byzantine",
        sites=given.sites,
        cameras="surveillance.toml",
        pooling="all",
        views=2,
        simulated_views=2,
        simulated_cameras=4,
        public_steps=200,
        own_tuning=False,
        gradient_share=0.5,
        gradient_rounds=given.gradient_rounds,
        learning_rate=given.learning_rate,
        seeds=given.seeds,
        report_pictures=3,
        draws=given.draws,
        invented=Invented(people=given.people, public=60, pictures=4),
    )


def arenas(given: ToleranceOptions, cache: Path, reporter: Reporter) -> list[Arena]:
    """One dealing of the same people to sites a seed."""
    sources = Given(train_folds=TRAIN, choose_folds="", report_folds=TESTED, threads=1)
    asked = scenario(given)
    run = Laboratory(sources, cache, reporter).run(asked, cache / "run")
    first = run.opened()
    made = []
    for seed in range(given.seeds):
        sites = open_sites(first.material, asked, run.turns[0], seed)
        made.append(
            _arena(
                dataclasses.replace(first, sites=sites, seed=(0, seed)), given, run.turns[0].report
            )
        )
    return made


def _arena(experiment: Experiment, given: ToleranceOptions, report: frozenset[int]) -> Arena:
    material, public = experiment.material, experiment.material.public.randomised[:, 0]
    tested = report_pictures(material, experiment.scenario, report)
    pairs = Pairs.of(material.person[tested])
    sites = []
    for site in experiment.sites:
        features, person = (
            material.features[site.camera][site.pictures],
            material.person[site.pictures],
        )
        sites.append([features[person == one] for one in np.unique(person)])
    noise: NoiseModel = "none" if given.epsilon is None else "local"
    _, _, directions = np.linalg.svd(experiment.public.weight, full_matrices=False)
    size = float(np.linalg.norm(public - public.mean(axis=0), axis=1).mean())
    return Arena(
        plan=experiment.plan(noise, given.epsilon),
        initial=dict(Opening(experiment.public, experiment.reference).arrays),
        reference=experiment.reference,
        sites=sites,
        public=public,
        tested=material.features[experiment.sites[0].camera][tested],
        pairs=pairs,
        weights=person_weights(pairs.people, given.draws, 0),
        trigger=STICKER * size * directions[0].astype(np.float64),
        seed=experiment.seed[1],
    )


def tolerance(
    given: ToleranceOptions, worlds: Sequence[Arena], progress: Progress
) -> dict[str, Any]:
    """For every rule and attack what each share of malicious sites costs, and the largest borne.

    Shares grow until one costs too much in every phase; larger ones are not tried.
    """
    steps = progress.start("rules and attacks", len(given.rules) * len(ATTACKS))
    rules = {}
    for name in given.rules:
        honest: dict[int, list[Ran]] = {}
        attacks = {}
        for malice in ATTACKS:
            with quiet_flower():
                attacks[malice.name] = _attack(given, worlds, name, malice, honest)
            steps(1)
        rules[name] = {"honest": _honest(honest[1]), "attacks": attacks}
    return {
        "fmr": FMR,
        "sites": given.sites,
        "seeds": given.seeds,
        "epsilon": given.epsilon,
        "tolerated_drop": TOLERATED,
        "people": {
            "trained": sum(len(site) for site in worlds[0].sites),
            "tested": worlds[0].pairs.people,
        },
        "rules": rules,
    }


def _attack(
    given: ToleranceOptions,
    worlds: Sequence[Arena],
    name: str,
    malice: Malice,
    honest: dict[int, list[Ran]],
) -> dict[str, Any]:
    """What one attack does to one rule; ``honest`` are its runs without anybody malicious."""
    shares: dict[str, Any] = {}
    borne = dict.fromkeys(PHASES, 0)
    bearing = set(PHASES)
    for malicious in range(1, int(given.most * given.sites + 1e-9) + 1):
        choice = configured(name, malicious, given.sites)
        if malicious not in honest:
            honest[malicious] = [attacked(world, choice, None, 0) for world in worlds]
        runs = [attacked(world, choice, malice, malicious) for world in worlds]
        told: dict[str, Any] = {phase: _cost(honest[malicious], runs, phase) for phase in PHASES}
        told["refused"] = sum(run.refused for run in runs)
        shares[f"{malicious / given.sites:g}"] = told
        bearing = {phase for phase in bearing if _is_borne(told[phase])}
        for phase in bearing:
            borne[phase] = malicious
        if not bearing:
            break
    return {"tolerated": {p: n / given.sites for p, n in borne.items()}, "shares": shares}


def _is_borne(cost: dict[str, Any]) -> bool:
    """Whether neither the TAR nor what a trigger does has moved by two points."""
    drop, rise = cost["drop"]["value"], cost["trigger_rise"]
    return bool(drop < TOLERATED and rise < TOLERATED)


def _cost(honest: Sequence[Ran], runs: Sequence[Ran], phase: str) -> dict[str, Any]:
    """The TAR lost, paired by seed and person, and how much more often a trigger works."""
    before, after = ([run.phases[phase] for run in part] for part in (honest, runs))
    values = np.array([[a.tar - b.tar for a, b in zip(before, after, strict=True)]])
    draws = np.array([[a.draws - b.draws for a, b in zip(before, after, strict=True)]])
    drop = Measured.of(values, draws)
    rise = np.mean([b.triggered - a.triggered for a, b in zip(before, after, strict=True)])
    return {
        "drop": {"value": drop.value, "ci95": list(drop.interval())},
        "trigger_rise": float(rise),
    }


def _honest(runs: Iterable[Ran]) -> dict[str, float]:
    """TAR of a rule that expects one malicious site and meets none."""
    told = list(runs)
    return {phase: float(np.mean([run.phases[phase].tar for run in told])) for phase in PHASES}


def markdown(figures: dict[str, Any]) -> str:
    """The table of ``docs/robustness.md``: a row a rule, "moments / gradients" in per cent."""
    lines = [
        "| rule | TAR, nobody malicious | " + " | ".join(a.name for a in ATTACKS) + " |",
        "|---" * (len(ATTACKS) + 2) + "|",
    ]
    for name, rule in figures["rules"].items():
        honest = " / ".join(f"{rule['honest'][phase]:.3f}" for phase in PHASES)
        cells = (rule["attacks"][a.name]["tolerated"] for a in ATTACKS)
        told = (" / ".join(f"{100 * cell[phase]:.0f} %" for phase in PHASES) for cell in cells)
        lines.append(f"| {name} | {honest} | " + " | ".join(told) + " |")
    return "\n".join(lines) + "\n"
