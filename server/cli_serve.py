"""What an administrator types to run the centre's daemons."""

import click

from common.console import home_option, quiet_logs, result, told
from server.home import DEFAULT, VARIABLE, CentreHome

at_home = home_option(CentreHome, DEFAULT, VARIABLE, "centre")


@click.command()
@at_home
@told
def serve(home: CentreHome) -> None:
    """Run SuperLink and gateway until SIGTERM; says where, once both are up."""
    import os

    from server.commands.serve import serve_command

    quiet_logs(False)
    serve_command(home, os.environ, result)
