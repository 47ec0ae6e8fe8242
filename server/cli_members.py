"""What an administrator types to make a federation and to say who is in it."""

import functools

import click

from common.console import home_option, result, told
from common.trust.roster import WHY_REVOKED
from server.home import DEFAULT, VARIABLE, CentreHome

at_home = home_option(CentreHome, DEFAULT, VARIABLE, "centre")


def add_to(main: click.Group) -> None:
    """Gives `mascaron-admin` the commands of this file."""
    for command in (init, renew, token, sites, admit, revoke):
        main.add_command(command)


@click.command()
@at_home
@click.option("--host", required=True, help="host or host:port at which sites reach the centre.")
@click.option("--name", default="federation", show_default=True, help="For people to read.")
@click.option("--alt-name", multiple=True, help="Another host of the certificate; repeatable.")
@told
def init(home: CentreHome, host: str, name: str, alt_name: tuple[str, ...]) -> None:
    """Make a federation: its CA, keys, token and an empty roster."""
    import time

    from server.commands.init import init_command

    result(init_command(home, host, name, alt_name, time.time()))


@click.command()
@at_home
@click.option("--alt-name", multiple=True, help="Another host of the certificate; repeatable.")
@told
def renew(home: CentreHome, alt_name: tuple[str, ...]) -> None:
    """Renew the server's certificate, which lasts 397 days."""
    import time

    from server.commands.init import renew_command

    result(renew_command(home, alt_name, time.time()))


@click.command()
@at_home
@click.option("--replace", is_flag=True, help="Make a new one; the old one is good for nothing.")
@told
def token(home: CentreHome, replace: bool) -> None:
    """Show the token that lets a site ask for admission."""
    from server.commands.init import token_command

    result(token_command(home, replace=replace))


@click.command()
@at_home
@click.option("--drop", metavar="FINGERPRINT", help="Send one that waits away, unadmitted.")
@told
def sites(home: CentreHome, drop: str | None) -> None:
    """List the sites that wait, are admitted, or were revoked."""
    import time

    from server.commands.sites import drop_command, sites_command

    if drop is not None:
        result(drop_command(home, drop, time.time()))
    else:
        result(sites_command(home, time.time()))


@click.command()
@at_home
@click.argument("name")
@click.argument("fingerprint")
@click.option("--camera-type", help="Instead of what the site declared.")
@click.option("--people", type=click.IntRange(min=1), help="Instead of what the site declared.")
@told
def admit(
    home: CentreHome, name: str, fingerprint: str, camera_type: str | None, people: int | None
) -> None:
    """Admit the site NAME, whose operator read you FINGERPRINT on the telephone."""
    import time

    from server.admission.membership import Declared
    from server.commands.admit import Outside, admit_command
    from server.commands.fleet import register_node, unregister_node

    outside = Outside(
        register=functools.partial(register_node, home),
        unregister=functools.partial(unregister_node, home),
        show=functools.partial(click.echo, err=True),
    )
    declared = Declared(camera_type=camera_type, people=people)
    result(admit_command(home, name, fingerprint, declared, now=time.time(), outside=outside))


@click.command()
@at_home
@click.argument("name")
@click.option("--reason", type=click.Choice(WHY_REVOKED), required=True, help="The site reads it.")
@told
def revoke(home: CentreHome, name: str, reason: str) -> None:
    """Take the site NAME out of the federation."""
    import time

    from server.commands.fleet import unregister_node
    from server.commands.revoke import revoke_command

    call = functools.partial(unregister_node, home)
    result(revoke_command(home, name, reason, now=time.time(), unregister=call))
