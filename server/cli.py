"""`mascaron-admin`: what the centre's administrator types."""

import click

from common.console import result, told
from server import (
    cli_detector,
    cli_heads,
    cli_members,
    cli_pooling,
    cli_pretrain,
    cli_release,
    cli_runs,
    cli_serve,
    cli_trunk,
)

MANY = click.IntRange(min=1)


@click.group()
@click.version_option(package_name="mascaron")
def main() -> None:
    """Look after the centre of a federation."""


cli_runs.add_to(main)
cli_members.add_to(main)
main.add_command(cli_serve.serve)
main.add_command(cli_release.release)
main.add_command(cli_trunk.trunk)
main.add_command(cli_heads.heads)
main.add_command(cli_detector.detector)
main.add_command(cli_pooling.pooling)
main.add_command(cli_pretrain.pretrain)


@main.group()
def plan() -> None:
    """Privacy plans."""


@plan.command()
@click.option("--epsilon", type=float, required=True, help="Of the whole run.")
@click.option(
    "--delta",
    type=float,
    default=1e-4,
    show_default=True,
    help="Of the guarantee; well below one in the number of people.",
)
@click.option("--people", type=MANY, required=True, help="Declared people of a site.")
@told
def price(epsilon: float, delta: float, people: int) -> None:
    """Show the noise that the moment releases of a run at EPSILON would carry."""
    from server.commands.price import price_command

    result(price_command(epsilon, delta, people))
