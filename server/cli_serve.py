"""What an administrator types to run the centre's daemons."""

from pathlib import Path

import click

from common.console import quiet_logs, result, told
from server.home import DEFAULT, VARIABLE, CentreHome


@click.command()
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    envvar=VARIABLE,
    default=DEFAULT,
    show_default=True,
    help=f"Folder of the centre; {VARIABLE} names it as well.",
)
@told
def serve(home: Path) -> None:
    """Run SuperLink and gateway until SIGTERM; says where, once both are up."""
    import os

    from server.commands.serve import serve_command

    quiet_logs(False)
    serve_command(CentreHome(home.expanduser()), os.environ, result)
