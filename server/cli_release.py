"""What an administrator types to build releases, and to put them in force."""

from pathlib import Path

import click

from common.console import home_option, result, told
from server.home import DEFAULT, VARIABLE, CentreHome

at_home = home_option(CentreHome, DEFAULT, VARIABLE, "centre")
FILE = click.Path(path_type=Path)
WHY = "For the operators of all sites to read; names nobody."


@click.group()
def release() -> None:
    """Tails with their evidence: built, judged, signed, put in force, taken back."""


@release.command()
@at_home
@click.argument("run")
@click.option("--evidence", type=FILE, required=True, help="Folder of `mascaron-lab evidence`.")
@click.option("--pool", help="Whose tail, where the run has several pools of sites.")
@told
def build(home: CentreHome, run: str, evidence: Path, pool: str | None) -> None:
    """Put what RUN made and the evidence of it into one file, and tell what the gates say."""
    import time

    from server.commands.release import build_command

    result(build_command(home, run, evidence, pool, time.time()))


@release.command()
@at_home
@click.argument("run")
@click.option("--out", type=FILE, required=True, help="Folder of `mascaron-lab evidence`.")
@click.option("--pool", help="Whose tail, where the run has several pools of sites.")
@told
def claims(home: CentreHome, run: str, out: Path, pool: str | None) -> None:
    """Write what a release of RUN will claim beside its evidence, for the page."""
    from server.commands.release import claims_command

    result(claims_command(home, run, out, pool))


@release.command()
@at_home
@click.argument("name", metavar="[RELEASE]", required=False)
@told
def show(home: CentreHome, name: str | None) -> None:
    """Show all releases and their history, or one with the verdict of every gate."""
    import time

    from server.commands.release import show_command

    result(show_command(home, name, time.time()))


@release.command()
@at_home
@click.argument("name", metavar="RELEASE")
@told
def sign(home: CentreHome, name: str) -> None:
    """Seal RELEASE with the centre's key."""
    from server.commands.release import sign_command

    result(sign_command(home, name))


@release.command()
@at_home
@click.argument("name", metavar="RELEASE")
@click.option("--canary", type=float, metavar="SHARE", help="Of the pool's sites, that go first.")
@click.option("--sites", metavar="A,B", help="Sites that go first, by name.")
@told
def promote(home: CentreHome, name: str, canary: float | None, sites: str | None) -> None:
    """Put RELEASE in force: at all sites of its pool, or at a few first.

    Refused unless it is signed, whole and past every gate; no option changes that.
    """
    import time

    from server.commands.release import first_of, promote_command

    result(promote_command(home, name, first_of(canary, sites), time.time()))


@release.command()
@at_home
@click.option("--to", "name", metavar="RELEASE", required=True, help="That was in force before.")
@click.option("--reason", required=True, help=WHY)
@told
def rollback(home: CentreHome, name: str, reason: str) -> None:
    """Put an earlier release in force again, with a reason that is signed and stays."""
    import time

    from server.commands.release import rollback_command

    result(rollback_command(home, name, reason, time.time()))


@release.command()
@at_home
@click.argument("name", metavar="RELEASE")
@click.option("--reason", required=True, help=WHY)
@told
def withdraw(home: CentreHome, name: str, reason: str) -> None:
    """End RELEASE for good: no site stages it any more."""
    import time

    from server.commands.release import withdraw_command

    result(withdraw_command(home, name, reason, time.time()))
