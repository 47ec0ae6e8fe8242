"""`mascaron-admin pretrain`: everything that public training can be told."""

from pathlib import Path

import click

from common.console import result, told

FILE = click.Path(path_type=Path)
MANY = click.IntRange(min=1)
SEED = click.IntRange(min=0)
SHARE = click.FloatRange(0, 1)


@click.command()
@click.option(
    "--faces", type=FILE, help="Pack or folder of public people, aligned; else synthetic."
)
@click.option("--licence", help="Terms of the weights; needed with --faces.")
@click.option(
    "--people", type=MANY, default=600, show_default=True, help="Synthetic people without --faces."
)
@click.option("--pictures", type=MANY, default=8, show_default=True, help="Of each of them.")
@click.option("--seed", type=SEED, default=7001, show_default=True, help="Of the synthetic people.")
@click.option(
    "--training-seed", type=SEED, default=0, show_default=True, help="Of weights and batches."
)
@click.option("--architecture", default="tiny", show_default=True, help="Of the registry.")
@click.option(
    "--embedding", type=MANY, default=128, show_default=True, help="Numbers of an embedding."
)
@click.option("--width", type=float, default=1.0, show_default=True, help="Factor on channels.")
@click.option("--steps", type=MANY, default=1200, show_default=True, help="Of training, at most.")
@click.option("--batch", type=click.IntRange(2), default=64, show_default=True, help="Pictures.")
@click.option("--learning-rate", type=float, default=0.1, show_default=True, help="At its highest.")
@click.option(
    "--loss",
    type=click.Choice(["arcface", "cosface", "adaface", "triplet", "softmax"]),
    default="arcface",
    show_default=True,
    help="Of identities.",
)
@click.option("--margin", type=float, help="Of the loss, else its own: radians for arcface.")
@click.option(
    "--sampling",
    type=click.Choice(["pictures", "people", "root"]),
    default="pictures",
    show_default=True,
    help="People come by their pictures, all alike, or by the root of their pictures.",
)
@click.option(
    "--augment",
    default="shift,flip",
    show_default=True,
    help="Of crop, rotate, shift, flip, colour, occlude; or all, or none.",
)
@click.option(
    "--camera",
    type=FILE,
    help="TOML of cameras, or `randomised`: half of the pictures pass its first one.",
)
@click.option("--held-out", type=SHARE, default=0.1, show_default=True, help="People that judge.")
@click.option(
    "--check-every", type=MANY, default=200, show_default=True, help="Steps between checks."
)
@click.option(
    "--patience", type=MANY, default=4, show_default=True, help="Checks without gain, then stop."
)
@click.option(
    "--folds",
    type=click.IntRange(0),
    default=0,
    help="Train so many trunks, each judged by a fold of people of its own.",
)
@click.option("--checkpoint", type=FILE, help="Folder that keeps the standing at every check.")
@click.option("--resume", is_flag=True, help="Go on from --checkpoint, where it holds one.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="A GPU where there is one, unless it is told.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="Of products; auto is bf16 on a GPU that has it.",
)
@click.option(
    "--adversarial-steps",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of an attack on a share of the pictures, before they are learned; 0: none.",
)
@click.option(
    "--adversarial-eps",
    type=click.FloatRange(0, 255),
    default=4.0,
    show_default=True,
    help="Levels of 255 by which pixels are moved at most.",
)
@click.option(
    "--adversarial-share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Of each batch that is attacked.",
)
@click.option("--out", type=FILE, required=True, help="Folder for the trunk and its manifest.")
@told
def pretrain(out: Path, **options: object) -> None:
    """Train a trunk on public or synthetic faces and write it with its manifest to OUT.

    With --folds K nothing but OUT/fold-1 to OUT/fold-K is written, and the mean TAR with its
    interval is told.
    """
    from server.commands.pretrain import pretrain_command

    result(pretrain_command(out, **options))
