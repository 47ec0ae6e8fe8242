"""What a site operator types first: one command that makes a site and asks for admission."""

from pathlib import Path
from typing import Any

import click

from client.home import DEFAULT, VARIABLE, SiteHome
from common.console import home_option, result, told

FILE = click.Path(path_type=Path)
_LINE = click.core.ParameterSource.COMMANDLINE
at_home = home_option(SiteHome, DEFAULT, VARIABLE, "site")


@click.command()
@at_home
@click.option("--token", envvar="MASCARON_TOKEN", help="From the administrator.")
@click.option("--centre", help="host:port of the gateway.")
@click.option("--name", help="Of the site: a-z, 0-9 and '-'.")
@click.option("--camera-type", help="Such as door; sites of one type are pooled.")
@click.option("--people", type=click.IntRange(min=1), help="About how many, as others may know.")
@click.option("--faces", type=FILE, help="Trains on <person>/<picture>, not on the vault.")
@click.option("--trunk", type=FILE, help="trunk.toml of the frozen network.")
@click.option("--public", type=FILE, help="Pack or folder of public faces.")
@click.option("--agent", metavar="127.0.0.1:PORT", help="The agent listens there, by no socket.")
@click.option("--vault-passphrase-file", type=FILE, help="Opens the vault instead of a key file.")
@click.option("--vault-provider", metavar="MODULE:NAME", help="Makes what opens it: an HSM, say.")
@click.option("--aligned", is_flag=True, default=None, help="Both hold aligned crops already.")
@click.option("--alone", is_flag=True, help="No federation: a door, and no centre.")
@click.option("--later", is_flag=True, help="Make the keys, leave the network alone.")
@told
def init(home: SiteHome, token: str | None, later: bool, alone: bool, **asked: Any) -> None:
    """Make this site's keys and ask for admission. Done again, it only asks again."""
    import time

    from client.commands.init import init_alone, init_command
    from client.commands.settings import Asked

    typed = Asked(**asked)
    if alone:
        if token is not None and click.get_current_context().get_parameter_source("token") == _LINE:
            raise click.UsageError("--alone is for a site without a centre: drop --token")
        result(init_alone(home, typed))
        return
    if token is None:
        raise click.UsageError("--token is missing: the administrator has it; or --alone")
    result(init_command(home, typed, token, time.time, later=later))


@click.command()
@at_home
@told
def admission(home: SiteHome) -> None:
    """Ask how this site stands. Renews its certificate if that is due."""
    import time

    from client.commands.admission import admission_command

    result(admission_command(home, time.time))
