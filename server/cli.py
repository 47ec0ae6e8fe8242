"""`mascaron-admin`: what the centre's administrator types."""

from pathlib import Path

import click

from common.console import result, told
from server import cli_members, cli_release, cli_runs, cli_serve, cli_trunk

FILE = click.Path(path_type=Path)
MANY = click.IntRange(min=1)
SEED = click.IntRange(min=0)


@click.group()
@click.version_option(package_name="mascaron")
def main() -> None:
    """Look after the centre of a federation."""


cli_runs.add_to(main)
cli_members.add_to(main)
main.add_command(cli_serve.serve)
main.add_command(cli_release.release)
main.add_command(cli_trunk.trunk)


@main.command()
@click.option(
    "--faces", type=FILE, help="Pack or folder of public people, aligned; else synthetic."
)
@click.option("--licence", help="Terms of the weights; needed with --faces.")
@click.option(
    "--people", type=MANY, default=600, show_default=True, help="Synthetic people without --faces."
)
@click.option("--pictures", type=MANY, default=8, show_default=True, help="Of each of them.")
@click.option("--seed", type=SEED, default=7001, show_default=True, help="Of the synthetic people.")
@click.option("--training-seed", type=SEED, default=0, show_default=True)
@click.option("--steps", type=MANY, default=1200, show_default=True, help="Of training, at most.")
@click.option(
    "--camera", type=FILE, help="TOML of cameras: half of the pictures pass its first one."
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
    """Train a trunk on public or synthetic faces and write it with its manifest to OUT."""
    from server.commands.pretrain import pretrain_command

    result(pretrain_command(out, **options))


@main.group()
def plan() -> None:
    """Privacy plans."""


@plan.command()
@click.option("--epsilon", type=float, required=True, help="Of the whole run.")
@click.option("--delta", type=float, default=1e-4, show_default=True)
@click.option("--people", type=MANY, required=True, help="Declared people of a site.")
@told
def price(epsilon: float, delta: float, people: int) -> None:
    """Show the noise that the moment releases of a run at EPSILON would carry."""
    from server.commands.price import price_command

    result(price_command(epsilon, delta, people))
