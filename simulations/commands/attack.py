"""`mascaron-lab attack`: what forged pictures get from a model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from common.attacks.target import GOALS
from common.console import result
from common.errors import ModelError
from common.evidence.section import Section
from common.models.tail import Tail
from common.models.tail_file import read_tail
from common.models.trunk import Trunk, load_trunk
from common.outputs import check_folder
from simulations.evidence.keeping import keep_section
from simulations.evidence.robustness.plan import RobustnessOptions
from simulations.evidence.robustness.report import Neighbours, robustness
from simulations.evidence.subject import Subject, SubjectOptions, load_subject
from simulations.progress import Bars, stderr_console
from simulations.sources import STARTER


@dataclass(frozen=True, kw_only=True)
class AttackOptions:
    """What the command line says beside the subject: models to attack from, how much of it."""

    against: str | None = None  # TRUNK[:TAIL]
    previous: Path | None = None
    pairs: int | None = None
    fmr: float = 1e-3
    quick: bool = False


def attack_command(asked: AttackOptions, out: Path | None = None, **options: Any) -> None:
    """Attacks; prints a table to stderr and the section as JSON to stdout."""
    import torch

    given = SubjectOptions(**options)
    torch.set_num_threads(given.threads)
    if out is not None:
        check_folder(out)
    make = RobustnessOptions.quick if asked.quick else RobustnessOptions
    some = {} if asked.pairs is None else {"pairs": asked.pairs}
    planned = make(fmr=asked.fmr, seed=given.seed, **some)
    console = stderr_console()
    with Bars(console) as bars:
        subject = load_subject(given, bars)
        section = robustness(
            subject,
            planned,
            bars,
            neighbours=neighbours(subject, given, asked),
            out=out,
            command=_typed(given, asked),
        )
    print_section(section, console)
    if out is not None:
        keep_section(section, out)
    result(json.loads(section.to_json()))


def neighbours(subject: Subject, given: SubjectOptions, asked: AttackOptions) -> Neighbours:
    """The models that the attacker may know instead; ``ModelError`` for a tail of another trunk."""
    own: Tail | None = None
    if given.tail is not None:
        _, own = load_trunk(given.trunk or STARTER, threads=given.threads)
        own = None if own.hash == subject.tail.hash else own
    others: dict[str, tuple[Trunk, Tail]] = {}
    if asked.previous is not None:
        others["previous"] = (subject.trunk, _tail_of(asked.previous, subject.trunk))
    if asked.against is not None:
        place, _, tail = asked.against.partition(":")
        trunk, its_own = load_trunk(Path(place), threads=given.threads)
        others["against"] = (trunk, _tail_of(Path(tail), trunk) if tail else its_own)
    return Neighbours(own=own, others=others)


def print_section(section: Section, console: Console) -> None:
    """Prints success by budget, a row an attack and goal, and what did not hold."""
    figures, plain = section.figures, not console.is_terminal
    for norm, by_attack in figures["curves"].items():
        every = {
            eps for by_goal in by_attack.values() for cells in by_goal.values() for eps in cells
        }
        budgets = sorted(every, key=lambda eps: float(eps.partition("/")[0]))
        console.print(f"pairs turned around in 100, {norm}, at FMR {figures['fmr']:g}")
        table = Table(
            header_style="" if plain else "bold",
            box=None if plain else box.SIMPLE_HEAD,
            padding=(0, 2, 0, 0),
        )
        for name in ("attack", "goal"):
            table.add_column(name, no_wrap=True)
        for eps in budgets:
            table.add_column(eps, no_wrap=True, justify="right")
        for attack, by_goal in by_attack.items():
            for goal in GOALS:
                cells = (by_goal[goal].get(eps) for eps in budgets)
                shown = ("" if cell is None else f"{100 * cell['value']:.0f}" for cell in cells)
                table.add_row(attack, goal, *shown)
        console.print(table)
    standing = figures["robust_tar"]
    console.print(f"robust TAR at 2/255: {standing['value']:.3f} {standing['ci95']}")
    found = figures["trigger"]
    console.print(f"sticker: {found['value']:.3f}, trusted tail {found['baseline']:.3f}")
    for told in section.failed:
        console.print(f"FAILED {told}", style="" if plain else "red")


def _tail_of(path: Path, trunk: Trunk) -> Tail:
    tail, of = read_tail(path)
    if of != trunk.hash:
        raise ModelError(f"{path}: a tail of another trunk")
    return tail


def _typed(given: SubjectOptions, asked: AttackOptions) -> str:
    """The command anybody can type; whose files it was run on, its digests tell."""
    told = [("faces", given.faces), ("trunk", given.trunk), ("tail", given.tail)]
    told += [("previous", asked.previous)]
    parts = ["mascaron-lab attack"]
    parts += [f"--{name} {name.upper()}" for name, value in told if value is not None]
    parts += [] if asked.against is None else ["--against TRUNK"]
    parts += [f"--people {given.people} --folds {given.folds}"]
    parts += [f"--threshold-folds {given.threshold_folds} --fmr {asked.fmr:g}"]
    parts += [] if asked.pairs is None else [f"--pairs {asked.pairs}"]
    return " ".join([*parts, *(["--quick"] if asked.quick else []), f"--seed {given.seed}"])
