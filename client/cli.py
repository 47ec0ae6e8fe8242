"""`mascaron-site`: what a site operator types."""

from pathlib import Path

import click

from client import cli_init
from common.console import result, told

FILE = click.Path(path_type=Path)


@click.group()
@click.version_option(package_name="mascaron")
def main() -> None:
    """Run and look after one site."""


main.add_command(cli_init.init)


@main.group()
def ledger() -> None:
    """What this site has spent."""


@ledger.command()
@click.argument("path", type=FILE)
@click.option("--key", type=FILE, required=True, help="File with the ledger's key.")
@click.option(
    "--delta",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=1e-4,
    show_default=True,
    help="At which epsilon is stated.",
)
@told
def show(path: Path, key: Path, delta: float) -> None:
    """Print every entry of the ledger at PATH and the epsilon spent so far."""
    from client.commands.ledger import show_ledger

    result(show_ledger(path, key, delta))


@ledger.command()
@click.argument("path", type=FILE)
@click.option("--key", type=FILE, required=True, help="File with the ledger's key.")
@told
def verify(path: Path, key: Path) -> None:
    """Check the chain of the ledger at PATH; exit code 1 if anything was altered."""
    from client.commands.ledger import verify_ledger

    result(verify_ledger(path, key))
