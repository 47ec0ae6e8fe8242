"""`mascaron-admin pooling`: several pictures of one person as one template, as it was learnt."""

from pathlib import Path

import click

from common.console import result, told

FILE = click.Path(path_type=Path)
MANY = click.IntRange(min=1)


@click.group()
def pooling() -> None:
    """Weights of several pictures of one person."""


@pooling.command()
@click.option("--trunk", type=FILE, required=True, help="ONNX or safetensors embedder.")
@click.option("--faces", type=FILE, help="Pack or folder of PUBLIC people, aligned.")
@click.option(
    "--kind",
    type=click.Choice(["attention", "recurrent"]),
    default="attention",
    show_default=True,
    help="Attention does not look at the order of pictures.",
)
@click.option("--people", type=MANY, default=300, show_default=True, help="Invented ones.")
@click.option("--pictures", type=MANY, default=6, show_default=True, help="Of each of them.")
@click.option("--states", type=MANY, default=1, show_default=True, help="Of a picture, spoilt.")
@click.option("--template", type=MANY, default=3, show_default=True, help="Pictures, in figures.")
@click.option("--steps", type=MANY, default=400, show_default=True, help="Of training.")
@click.option(
    "--size",
    type=click.IntRange(1, 4096),
    default=32,
    show_default=True,
    help="Numbers read in a picture.",
)
@click.option("--cache", type=FILE, help="Folder for features (as sensitive as the faces).")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of who teaches and who judges.",
)
@click.option("--out", type=FILE, required=True, help="New file, FILE.pooling.safetensors.")
@told
def train(out: Path, **options: object) -> None:
    """Learn on public or invented people how pictures are weighed, and write it to OUT.

    A site names OUT as `[door] pooling_weights`, beside `pooling = "learnt"`. Prints what it gains
    over weighing by quality, on people who taught nothing.
    """
    from server.commands.pooling import train_command

    result(train_command(out, **options))
