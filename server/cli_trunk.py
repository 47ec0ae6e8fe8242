"""`mascaron-admin trunk`: what is done with a public network before it is handed out."""

from pathlib import Path

import click

from common.console import result, told

FILE = click.Path(path_type=Path)
SHARE = click.FloatRange(min=0, max=1)


@click.group()
def trunk() -> None:
    """Public networks: smaller, or as one file."""


@trunk.command()
@click.argument("source", metavar="TRUNK", type=FILE)
@click.option("--public", type=FILE, required=True, help="Pack or folder of PUBLIC people.")
@click.option("--aligned", is_flag=True, help="Pictures of folders are aligned crops already.")
@click.option("--crops", type=click.IntRange(min=1), default=256, show_default=True)
@click.option("--fmr", type=SHARE, default=1e-3, show_default=True, help="To judge at.")
@click.option("--drop", type=SHARE, default=0.003, show_default=True, help="Of TAR, at most.")
@click.option(
    "--likeness",
    type=SHARE,
    default=0.997,
    show_default=True,
    help="Mean cosine to the embeddings before, at least; layers stay in float32 for it.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--out", type=FILE, required=True, help="Folder for the new trunk and its manifest.")
@told
def quantise(source: Path, public: Path, out: Path, aligned: bool, **options: object) -> None:
    """Write TRUNK in 8-bit integers to OUT, unless it would tell people apart less well.

    Half of the public people give the ranges, the other half judge. The new trunk has a hash of
    its own: nothing is compared across the two.
    """
    from server.commands.trunk import quantise_command

    result(quantise_command(source, public, out, aligned=aligned, **options))


@trunk.command()
@click.argument("source", metavar="TRUNK", type=FILE)
@click.option("--out", type=FILE, required=True, help="New ONNX file.")
@told
def export(source: Path, out: Path) -> None:
    """Write TRUNK and its tail as one ONNX file, from pixels in [0, 255] to the embedding."""
    from server.commands.trunk import export_command

    result(export_command(source, out))
