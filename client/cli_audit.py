"""What a site operator types to show others what was done: audit, report, receipt."""

import time
from datetime import datetime
from pathlib import Path

import click

from client.home import DEFAULT, VARIABLE, SiteHome
from common.console import home_option, result, told

FILE = click.Path(path_type=Path)
at_home = home_option(SiteHome, DEFAULT, VARIABLE, "site")
path_option = click.argument("path", type=FILE, required=False)
key_option = click.option("--key", help="Public key of the site whose log is at PATH.")
site_option = click.option("--site", help="Name of the site whose log is at PATH.")


@click.group()
def audit() -> None:
    """What was done at the door."""


@audit.command()
@path_option
@key_option
@site_option
@at_home
@told
def verify(path: Path | None, key: str | None, site: str | None, home: SiteHome) -> None:
    """Check every row; exit code 1 names the first broken one.

    PATH, --key and --site name another log than the home's; beside PATH must lie its .head file.
    """
    from client.commands.audit import Book, verify_audit

    result(verify_audit(Book.of(home, path, key, site)))


@audit.command()
@click.option("--after", type=click.IntRange(min=0), default=0, help="Number of a row.")
@click.option(
    "--most", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Rows, at most."
)
@at_home
@told
def show(after: int, most: int, home: SiteHome) -> None:
    """Print rows, oldest first. Tags and coarse outcomes: no row names a person."""
    from client.commands.audit import Book, show_audit

    result(show_audit(Book.of(home, None, None, None), after, most))


@audit.command()
@click.argument("file", type=FILE)
@at_home
@told
def export(file: Path, home: SiteHome) -> None:
    """Write all rows with their signatures into FILE, one JSON object a line."""
    from client.commands.audit import Book, export_audit

    result(export_audit(Book.of(home, None, None, None), file))


@audit.command()
@click.option("--before", type=click.DateTime(["%Y-%m-%d"]), required=True, help="A day (UTC).")
@at_home
@told
def prune(before: datetime, home: SiteHome) -> None:
    """Take old rows away, leaving a signed anchor. Six months are kept whatever is asked."""
    from client.commands.audit import prune_audit

    result(prune_audit(home, before, time.time()))


@audit.command()
@at_home
@click.option("--yes", is_flag=True, help="Do not ask.")
@told
def acknowledge(home: SiteHome, yes: bool) -> None:
    """Go on although the centre saw another log. A row says so for good."""
    from client.commands.audit import acknowledge_audit

    if not yes:
        click.confirm("Is the newest log lost for good, and do you know why", abort=True, err=True)
    result(acknowledge_audit(home, time.time()))


@click.group()
def report() -> None:
    """Records that the law asks for."""


@report.command()
@at_home
@told
def ropa(home: SiteHome) -> None:
    """Print the record of processing (GDPR Article 30)."""
    from client.commands.report import report_ropa

    result(report_ropa(home))


@click.group()
def receipt() -> None:
    """Receipts of erasures."""


@receipt.command()
@click.argument("file", type=FILE)
@click.option("--key", help="Public key of the site, where this is not its home.")
@at_home
@told
def check(file: Path, key: str | None, home: SiteHome) -> None:
    """Say what the receipt in FILE says; exit code 1 if the site did not sign it."""
    from client.commands.receipt import check_receipt

    result(check_receipt(home, file, key))


COMMANDS = (audit, report, receipt)
