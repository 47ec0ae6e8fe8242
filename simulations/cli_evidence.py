"""`mascaron-lab attack|audit|fairness`: evidence about any model on any faces."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import click

from common.console import quiet_logs, told

FILE = click.Path(path_type=Path)
P = ParamSpec("P")


def subjected(command: Callable[P, None]) -> Callable[P, None]:
    """The options of ``simulations.evidence.subject.SubjectOptions``, and ``--out``."""
    for option in reversed(_SUBJECT):
        command = option(command)
    return command


_SUBJECT = (
    click.option("--faces", type=FILE, help="Pack (.npz) or folder of faces; default: synthetic."),
    click.option(
        "--people",
        type=click.IntRange(2),
        default=160,
        show_default=True,
        help="Invented ones, where no faces are given.",
    ),
    click.option("--trunk", type=FILE, help="ONNX or safetensors embedder; default: the starter."),
    click.option("--tail", type=FILE, help="File of a tail; default: the one in the trunk."),
    click.option("--folds", default="1-6,8", show_default=True, help="People measured."),
    click.option(
        "--threshold-folds",
        default="7",
        show_default=True,
        help="Who fix thresholds and teach attackers.",
    ),
    click.option(
        "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of people and draws."
    ),
    click.option("--cache", type=FILE, help="Folder for features (as sensitive as the faces)."),
    click.option("--aligned", is_flag=True, help="Pictures of folders are aligned 112x112 crops."),
    click.option("--detector", type=FILE, help="YuNet weights for pictures that are not aligned."),
    click.option("--keep-going", is_flag=True, help="Skip and count pictures that cannot be used."),
    click.option(
        "--threads", type=click.IntRange(1), default=2, show_default=True, help="Of the processor."
    ),
    click.option("--out", type=FILE, help="Folder for the section, its pictures and what resumes."),
)


def headed(command: Callable[P, None]) -> Callable[P, None]:
    """The options that name heads, and what they were before a federation trained them."""
    began = click.option("--began-as", type=FILE, help="File of the public heads that they were.")
    return click.option("--heads", type=FILE, help="File of heads.")(began(command))


@click.command()
@subjected
@click.option(
    "--groups",
    metavar="COLUMN",
    help="Of the pack: group, gender, age; of invented people: skin, skin-thirds, age, age-thirds.",
)
@click.option("--fmr", type=float, default=1e-2, show_default=True, help="Of everybody together.")
@told
def fairness(**options: Any) -> None:
    """Measure error rates group by group, at one threshold that other people have fixed.

    Groups come from packs made for audits; nothing else reads them. Groups of few people are not
    told of. Prints a table to stderr and the section of evidence as JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.fairness import fairness_command

    fairness_command(**options)


@click.command()
@subjected
@click.option("--fmr", type=float, default=1e-3, show_default=True, help="1e-2 where it must be.")
@click.option("--pairs", type=click.IntRange(2), help="Half of them genuine; default: 300.")
@click.option("--quick", is_flag=True, help="Fewer pairs, budgets and steps: the plan of evidence.")
@click.option("--against", metavar="TRUNK[:TAIL]", help="Another model that the attacker has.")
@click.option("--previous", type=FILE, help="Tail of the release before, that the attacker has.")
@told
def attack(**options: Any) -> None:
    """Forge pictures: white box, by queries, worn, from other models, and a sticker for everybody.

    The threshold is fixed on other people first. With --out, what was measured is kept there, and
    the same command goes on where it was cut off. Prints success by budget to stderr and the
    section of evidence as JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.attack import AttackOptions, attack_command

    asked = {name: options.pop(name) for name in ("fmr", "pairs", "quick", "against", "previous")}
    attack_command(AttackOptions(**asked), **options)


@click.command()
@subjected
@click.option("--demo", is_flag=True, help="A release of invented people, from training to gates.")
@click.option("--quick", is_flag=True, help="Fewer pairs, budgets and steps of attacks.")
@click.option("--pairs", type=click.IntRange(2), help="Attacked; half of them genuine.")
@click.option("--fmr", type=float, default=1e-2, show_default=True, help="To decide at.")
@click.option("--epsilon", type=float, default=8.0, show_default=True, help="Of the audits.")
@headed
@told
def evidence(demo: bool, out: Path | None, **options: Any) -> None:
    """Take all the evidence about a model, and write the page that a release brings along.

    With --out of an earlier call, sections that are there stay. --demo trains a federation of
    invented people first, builds its release, and lets the gates judge it.
    """
    quiet_logs(verbose=False)
    from simulations.commands.evidence import EvidenceOptions, demo_command, evidence_command

    folder = out or Path("runs/evidence")
    if demo:
        demo_command(folder)
        return
    names = ("quick", "pairs", "fmr", "epsilon", "heads", "began_as")
    asked = {name: options.pop(name) for name in names}
    evidence_command(EvidenceOptions(**asked), folder, **options)


@click.command()
@click.option(
    "--people", type=click.IntRange(160), default=320, show_default=True, help="Invented ones."
)
@click.option("--seeds", type=click.IntRange(1), default=2, show_default=True, help="Repetitions.")
@click.option("--epsilon", type=float, help="Of every release; default: without noise.")
@click.option(
    "--learning-rate", type=float, default=0.5, show_default=True, help="Of gradients at the sites."
)
@click.option(
    "--gradient-rounds",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="After the moments.",
)
@click.option("--rule", "rules", multiple=True, help="May be given several times; default: all.")
@click.option("--cache", type=FILE, help="Folder for features (as sensitive as the faces).")
@click.option("--out", type=FILE, help="Folder for the figures and the table.")
@told
def byzantine(rules: tuple[str, ...], **options: Any) -> None:
    """Find how many malicious sites of ten each aggregation rule stands, attack by attack.

    Sites and centre run their own code on invented people. Prints a table to stderr and the figures
    as JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.byzantine import byzantine_command

    byzantine_command(**options | ({"rules": rules} if rules else {}))
