"""`mascaron-admin heads`: what can be said of a face, learnt from public people."""

from pathlib import Path

import click

from common.console import result, told

FILE = click.Path(path_type=Path)
MANY = click.IntRange(min=1)


@click.group()
def heads() -> None:
    """Heads on a frozen trunk: attributes, age, words."""


@heads.command()
@click.option("--trunk", type=FILE, required=True, help="ONNX or safetensors embedder.")
@click.option("--faces", type=FILE, help="Pack or folder of PUBLIC people, aligned and labelled.")
@click.option(
    "--heads",
    metavar="KINDS",
    default="attributes,age",
    show_default=True,
    help="Some of attributes, age, words, gender.",
)
@click.option("--weights", default="", help="kind=number,...; default: by their uncertainty.")
@click.option("--people", type=MANY, default=400, show_default=True, help="Invented ones.")
@click.option("--pictures", type=MANY, default=4, show_default=True, help="Of each of them.")
@click.option("--encoder", default="built-in", show_default=True, help="Of texts, for words.")
@click.option("--cache", type=FILE, help="Folder for features (as sensitive as the faces).")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of who teaches and who judges.",
)
@click.option("--out", type=FILE, required=True, help="New file, FILE.heads.safetensors.")
@told
def train(out: Path, **options: object) -> None:
    """Train heads on public or invented people and write them to OUT.

    Labels about race, religion, politics, sexuality, health or emotion are left out, and counted.
    Prints per head how right it is on people who taught it nothing.
    """
    from server.commands.heads import train_command

    result(train_command(out, **options))
