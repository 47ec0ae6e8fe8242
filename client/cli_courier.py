"""The courier's commands: `join` runs it, `doctor` finds out what keeps it from running."""

from pathlib import Path

import click

from client.home import DEFAULT, VARIABLE, SiteHome
from common.console import result, told

home_option = click.option(
    "--home",
    type=click.Path(path_type=Path),
    envvar=VARIABLE,
    default=DEFAULT,
    show_default=True,
    help=f"Folder of the site; {VARIABLE} names it as well.",
)


@click.command()
@home_option
@click.option("--courier-user", help="OS user that the courier becomes; only for root.")
@told
def join(home: Path, courier_user: str | None) -> None:
    """Wait for admission, then run the courier until asked to stop."""
    import time

    from client.admission import fetch
    from client.commands.join import Surroundings, join_command

    around = Surroundings(
        fetch=lambda site: fetch(site, time.time), say=lambda line: click.echo(line, err=True)
    )
    result(join_command(SiteHome(home.expanduser()), courier_user, around))
