"""`mascaron-lab robust`: training against attacks, public and private, as triples."""

from pathlib import Path
from typing import Any

import click

from common.console import quiet_logs, told

FILE = click.Path(path_type=Path)
MANY = click.IntRange(min=1)
LEVELS = click.FloatRange(0, 255, min_open=True)


@click.command()
@click.option("--faces", type=FILE, help="Pack (.npz) or folder of faces; default: synthetic.")
@click.option("--public", type=FILE, help="Pack or folder of public people; default: synthetic.")
@click.option("--trunk", type=FILE, help="ONNX or safetensors embedder; default: the starter.")
@click.option("--people", type=MANY, default=160, show_default=True, help="Synthetic people.")
@click.option("--public-people", type=MANY, default=80, show_default=True, help="Synthetic ones.")
@click.option("--train-folds", default="1-4", show_default=True, help="People who train.")
@click.option("--threshold-folds", default="5", show_default=True, help="Who fix thresholds.")
@click.option("--report-folds", default="6-8", show_default=True, help="Unseen people, attacked.")
@click.option("--pictures", type=click.IntRange(2), default=6, show_default=True, help="Of each.")
@click.option(
    "--epsilon",
    type=click.FloatRange(0, min_open=True),
    multiple=True,
    default=(8.0,),
    show_default=True,
    help="Of each private arm; may be given several times.",
)
@click.option("--ceiling", is_flag=True, help="The same arms without noise, too: no guarantee.")
@click.option("--seeds", type=MANY, default=3, show_default=True, help="Repetitions.")
@click.option("--steps", type=MANY, default=40, show_default=True, help="Of DP-SGD.")
@click.option(
    "--learning-rate", type=float, default=0.1, show_default=True, help="Of gradients at the sites."
)
@click.option(
    "--objective",
    type=click.Choice(["contrast", "compact"]),
    default="contrast",
    show_default=True,
    help="Of gradients at the sites.",
)
@click.option(
    "--train-eps", type=LEVELS, default=4.0, show_default=True, help="Of 255, trained against."
)
@click.option("--attack", type=MANY, default=3, show_default=True, help="Steps trained against.")
@click.option("--eps", type=LEVELS, default=2.0, show_default=True, help="Of 255, attacked with.")
@click.option("--attack-steps", type=MANY, default=20, show_default=True, help="Of the attackers.")
@click.option("--pairs", type=MANY, default=120, show_default=True, help="Attacked of each kind.")
@click.option("--fmr", type=float, default=1e-2, show_default=True, help="Of the threshold.")
@click.option(
    "--entropy",
    type=click.Choice(["seeded", "os"]),
    default="seeded",
    show_default=True,
    help="Of noise; from the operating system no run repeats.",
)
@click.option("--aligned", is_flag=True, help="Pictures of folders are aligned 112x112 crops.")
@click.option("--keep-going", is_flag=True, help="Skip and count pictures that cannot be used.")
@click.option("--cache", type=FILE, help="Folder for features (as sensitive as the faces).")
@click.option("--out", type=FILE, help="File for the figures as well.")
@told
def robust(**options: Any) -> None:
    """Train tails against attacks, public and private, and attack them on unseen people.

    Each arm is told as a triple of epsilon, TAR and robust TAR, beside a control that cost as much
    and was trained against nothing. Prints a table to stderr and all figures as JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.robust import robust_command

    robust_command(**options)
