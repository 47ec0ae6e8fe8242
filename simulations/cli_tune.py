"""`mascaron-lab tune`: search over settings."""

from typing import Any

import click

from common.console import quiet_logs, told
from simulations.cli_sources import FILE, MANY, sourced

OWN = ("out", "trials", "sampler", "seed", "private", "budget", "ledger", "key", "random", "yes")


@click.command()
@click.argument("search")
@sourced
@click.option("--trials", type=MANY, help="How many; default: what the file says.")
@click.option("--sampler", type=click.Choice(["tpe", "random"]), help="Default: tpe.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the search.")
@click.option(
    "--private/--free",
    default=None,
    help="Whether the people of --faces are private, so that every look costs them something.",
)
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    help="Epsilon that private people may lose.",
)
@click.option("--ledger", type=FILE, help="Their ledger; default: one in --out.")
@click.option("--key", type=FILE, help="Key of --ledger.")
@click.option(
    "--random",
    metavar="RUNS",
    help="Private: let out only the best of so many random settings, as geometric:10.",
)
@click.option("--yes", is_flag=True, help="Start without asking.")
@click.option("--out", type=FILE, required=True, help="Folder of the search; goes on where it was.")
@click.option("--verbose", is_flag=True, help="Our logs, not warnings alone.")
@told
def tune(search: str, verbose: bool, **options: Any) -> None:
    """Search over the settings in SEARCH (small, demo, or a TOML file) for the best at one epsilon.

    Development people choose; report people judge the choice once, at the end. Says what it costs
    before it starts. Prints the result as JSON to stdout. Needs the extra [tune].
    """
    quiet_logs(verbose)
    from simulations.commands.tune import TuneCommand, tune_command

    own = {name: options.pop(name) for name in OWN}
    tune_command(search, TuneCommand(**own), **options)
