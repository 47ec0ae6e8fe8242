"""`mascaron-admin trunk`: what is done with a public network before it is handed out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from common.console import result, told

FILE = click.Path(path_type=Path)
SHARE = click.FloatRange(min=0, max=1)
COUNT = click.IntRange(min=1)


Command = Callable[..., Any]


def _taught(command: Command) -> Command:
    """What every command is told that teaches one network by another."""
    for option in (
        click.option("--out", type=FILE, required=True, help="Folder for the new trunk."),
        click.option("--resume", is_flag=True, help="Go on from what --checkpoint holds."),
        click.option(
            "--checkpoint",
            type=FILE,
            help="Folder that keeps where it stands: every 50 steps of teaching, and before them "
            "the network as it was pruned, once all rounds of that are done.",
        ),
        click.option("--cache", type=FILE, help="Folder for what the teacher says."),
        click.option(
            "--seed",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Of who judges, of views and weights.",
        ),
        click.option(
            "--augment",
            default="crop,rotate,shift,flip,colour",
            show_default=True,
            help="What is done to pictures.",
        ),
        click.option("--views", type=COUNT, default=4, show_default=True, help="Of a picture."),
        click.option(
            "--batch",
            type=click.IntRange(min=2),
            default=32,
            show_default=True,
            help="Pictures of a step.",
        ),
        click.option("--aligned", is_flag=True, help="Pictures of folders are aligned already."),
        click.option(
            "--invented",
            type=COUNT,
            help="People of the project's own, alone or besides --faces; kept in --cache or "
            "--checkpoint.",
        ),
        click.option("--faces", type=FILE, help="Pack or folder: PUBLIC people."),
    ):
        command = option(command)
    return command


@click.group()
def trunk() -> None:
    """Public networks: smaller, taught by others, or as one file."""


@trunk.command()
@click.argument("source", metavar="TRUNK", type=FILE)
@click.option("--public", type=FILE, required=True, help="Pack or folder of PUBLIC people.")
@click.option("--aligned", is_flag=True, help="Pictures of folders are aligned crops already.")
@click.option(
    "--crops",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Public ones, to set ranges by.",
)
@click.option("--fmr", type=SHARE, default=1e-3, show_default=True, help="To judge at.")
@click.option("--drop", type=SHARE, default=0.003, show_default=True, help="Of TAR, at most.")
@click.option(
    "--likeness",
    type=SHARE,
    default=0.997,
    show_default=True,
    help="Mean cosine to the embeddings before, at least; layers stay in float32 for it.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of who sets ranges and who judges.",
)
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


@trunk.command()
@click.option("--trunk", "source", type=FILE, required=True, help="Any trunk, imported too.")
@click.option("--keep", type=SHARE, default=0.6, show_default=True, help="Of the work.")
@click.option(
    "--frame",
    default="0,0,0,0",
    show_default=True,
    help="Pixels no longer looked at: top,right,bottom,left.",
)
@click.option(
    "--branches",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Residual branches that go whole first.",
)
@click.option(
    "--measure",
    type=click.Choice(["taylor", "magnitude", "scale"]),
    default="taylor",
    show_default=True,
    help="What a channel is worth.",
)
@click.option("--rounds", type=COUNT, default=4, show_default=True, help="Of cutting and fitting.")
@click.option("--block", type=COUNT, default=16, show_default=True, help="Channels together.")
@click.option("--pictures", type=COUNT, default=192, show_default=True, help="Asked, at most.")
@click.option(
    "--steps",
    type=click.IntRange(min=0),
    default=1500,
    show_default=True,
    help="Of teaching; none: fitted only.",
)
@click.option("--rate", type=float, default=3e-4, show_default=True, help="Of learning.")
@_taught
@told
def prune(source: Path, faces: Path | None, out: Path, **options: object) -> None:
    """Write a trunk with fewer channels, taught on public pictures to say what it said.

    --frame takes edges of the picture away, the --branches that say least go next, then --keep is
    the share of the multiplications and numbers written that stays. A fifth of the people (of
    --faces, where there are any) are never shown: they judge. With --steps 0 layers are fitted anew
    and nothing is taught.
    """
    from server.commands.distilling import prune_command

    result(prune_command(source, faces, out, **options))


@trunk.command()
@click.option("--teacher", "source", type=FILE, required=True, help="Any trunk, imported too.")
@click.option("--architecture", default="tiny", show_default=True, help="Of the registry.")
@click.option("--width", type=float, default=1.0, show_default=True, help="Of its channels.")
@click.option("--steps", type=COUNT, default=1500, show_default=True, help="Of teaching.")
@click.option("--rate", type=float, default=1e-3, show_default=True, help="Of learning.")
@_taught
@told
def distill(source: Path, faces: Path | None, out: Path, **options: object) -> None:
    """Teach a compact network what another says of public pictures, and write it as a trunk.

    Nobody's identity is asked for. A fifth of the people (of --faces, where there are any) are
    never shown: they judge. The new trunk has a hash of its own: nothing is compared across the
    two.
    """
    from server.commands.distilling import distill_command

    result(distill_command(source, faces, out, **options))
