"""`mascaron-site`: what a site operator types."""

import click

from client import cli_agent, cli_audit, cli_courier, cli_door, cli_init, cli_keep


@click.group()
@click.version_option(package_name="mascaron")
def main() -> None:
    """Run and look after one site."""


main.add_command(cli_init.init)
main.add_command(cli_init.admission)
main.add_command(cli_courier.join)
main.add_command(cli_courier.doctor)
for command in (
    *cli_agent.COMMANDS,
    *cli_door.COMMANDS,
    *cli_keep.COMMANDS,
    *cli_audit.COMMANDS,
):
    main.add_command(command)
