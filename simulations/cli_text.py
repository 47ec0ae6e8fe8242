"""`mascaron-lab text|describe|search`: faces in words, and words about faces."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import click

from common.console import quiet_logs, told
from simulations.cli_sources import FILE, MANY

P = ParamSpec("P")


def read_by(command: Callable[P, None]) -> Callable[P, None]:
    """The options that say which faces are read, and by what."""
    for option in reversed(_READ_BY):
        command = option(command)
    return command


_READ_BY = (
    click.option("--invented", "people", type=MANY, metavar="NUMBER", help="Invented people."),
    click.option(
        "--trunk", type=FILE, help="Embedder that the heads are of; default: the starter."
    ),
    click.option(
        "--heads", type=FILE, help="From `mascaron-admin heads train`; goes with --trunk."
    ),
    click.option("--aligned", is_flag=True, help="Pictures are aligned crops."),
    click.option(
        "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of --invented."
    ),
)


@click.group()
def text() -> None:
    """The built-in text encoder."""


@text.command()
@click.option(
    "--out",
    type=FILE,
    default=Path("runs/encoder.safetensors"),
    show_default=True,
    help="New file.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights and texts."
)
@click.option("--texts", type=MANY, default=60_000, show_default=True, help="That are drawn.")
@click.option("--steps", type=MANY, default=2_500, show_default=True, help="Of training.")
@told
def train(out: Path, **options: int) -> None:
    """Train the built-in text encoder on texts drawn from the attribute grammar: nobody's.

    The loss goes to stderr, the hash of the weights as JSON to stdout. The same seed gives the same
    weights on the same machine.
    """
    quiet_logs(verbose=False)
    from simulations.commands.text import train_command

    train_command(out, **options)


@click.command()
@click.argument("picture", type=FILE, required=False)
@read_by
@click.option("--detector", type=FILE, help="Weights of YuNet; else OpenCV's cascades.")
@click.option(
    "--language",
    type=click.Choice(["en", "zh"]),
    default="en",
    show_default=True,
    help="Of the sentences.",
)
@click.option(
    "--least",
    type=click.FloatRange(0.5, 1),
    default=0.7,
    show_default=True,
    help="Nothing is said that is less likely to be right.",
)
@told
def describe(language: Any, least: float, **whom: Any) -> None:
    """Say what is to be seen of the face in PICTURE, each thing as sure as it is.

    Prints the sentence to stderr and everything that is sure enough as JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.words import Whom, describe_command

    describe_command(Whom(**whom), language, least)


@click.command()
@click.argument("query")
@read_by
@click.option("--faces", type=FILE, help="Pack (.npz) or folder of faces to search in.")
@click.option(
    "--encoder", default="built-in", show_default=True, help="Of the words head, or minilm."
)
@click.option(
    "--top", type=MANY, default=10, show_default=True, help="Pictures that are told, at most."
)
@told
def search(query: str, encoder: str, top: int, **whom: Any) -> None:
    """Find the faces that look as QUERY says, such as "glasses, no beard, about forty".

    In English or Chinese. Pictures are told by number; prints a table to stderr, JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.words import Whom, search_command

    search_command(Whom(**whom), query, top, encoder)
