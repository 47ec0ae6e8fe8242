"""The options of `mascaron-lab` that say on whose faces something is measured."""

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import click

FILE = click.Path(path_type=Path)
MANY = click.IntRange(min=1)
P = ParamSpec("P")


def sourced(command: Callable[P, None]) -> Callable[P, None]:
    """The options that say on whose faces something is measured."""
    for option in reversed(_SOURCES):
        command = option(command)
    return command


_SOURCES = (
    click.option("--faces", type=FILE, help="Pack (.npz) or folder of faces; default: synthetic."),
    click.option(
        "--public", type=FILE, help="Pack or folder of public people; default: synthetic."
    ),
    click.option("--trunk", type=FILE, help="ONNX or safetensors embedder; default: the starter."),
    click.option("--train-folds", default="1-6", show_default=True, help="People who train."),
    click.option("--choose-folds", default="7", show_default=True, help="Development people."),
    click.option(
        "--report-folds", default="8", show_default=True, help="People none of the arms saw."
    ),
    click.option("--cross-fit", metavar="FOLDS", help="Report every one of FOLDS in turn instead."),
    click.option("--cache", type=FILE, help="Folder for features (as sensitive as the faces)."),
    click.option(
        "--entropy",
        type=click.Choice(["seeded", "os"]),
        default="seeded",
        show_default=True,
        help="Of noise; from the operating system no run repeats.",
    ),
    click.option("--keep-going", is_flag=True, help="Skip and count pictures that cannot be used."),
    click.option("--aligned", is_flag=True, help="Pictures of folders are aligned 112x112 crops."),
    click.option("--detector", type=FILE, help="YuNet weights for pictures that are not aligned."),
)
