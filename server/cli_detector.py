"""`mascaron-admin detector`: networks that find faces, trained on people who do not exist."""

from pathlib import Path

import click

from common.console import result, told

FILE = click.Path(path_type=Path)
MANY = click.IntRange(min=1)
SEED = click.IntRange(min=0)


@click.group()
def detector() -> None:
    """Networks that find faces."""


@detector.command()
@click.option("--people", type=MANY, default=1500, show_default=True, help="Invented, cut once.")
@click.option("--steps", type=MANY, default=10_000, show_default=True, help="Of training, at most.")
@click.option("--batch", type=MANY, default=16, show_default=True, help="Collages of a step.")
@click.option(
    "--seed", type=SEED, default=0, show_default=True, help="Of people, places and weights."
)
@click.option(
    "--width",
    type=click.FloatRange(0.05, 4),
    default=1.5,
    show_default=True,
    help="Of the network.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=float("inf"),
    help="Stop after so long; the same command goes on later.",
)
@click.option("--out", type=FILE, required=True, help="Folder for the detector and its manifest.")
@told
def train(out: Path, minutes: float, **options: object) -> None:
    """Train a detector of faces with five landmarks on collages of invented people.

    The best by held-out scenes is written to OUT; a training that was cut off is taken up again.
    """
    from server.commands.detector import train_command

    result(train_command(out, minutes, **options))
