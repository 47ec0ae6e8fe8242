"""What a site operator types about the agent: serve, and look at what it did."""

from pathlib import Path

import click

from client.home import DEFAULT, VARIABLE, SiteHome
from common.console import home_option, result, told

FILE = click.Path(path_type=Path)
DELTA = click.FloatRange(0, 1, min_open=True, max_open=True)
at_home = home_option(SiteHome, DEFAULT, VARIABLE, "site")
path_option = click.argument("path", type=FILE, required=False)
key_option = click.option("--key", type=FILE, help="File with the key of the ledger at PATH.")
delta_option = click.option(
    "--delta", type=DELTA, help="At which epsilon is stated; the policy's unless given."
)


@click.command()
@at_home
@click.option("--group", help="Name or number; its members may connect to the socket too.")
@told
def serve(home: SiteHome, group: str | None) -> None:
    """Answer at the door, and to the courier, until SIGTERM.

    Trained on is who agreed to it in the vault, or else everybody in the faces that site.toml
    names.
    """
    from client.commands.serve import serve_site

    serve_site(home, group, lambda line: click.echo(line, err=True))


@click.group()
def ledger() -> None:
    """What this site has spent."""


@ledger.command()
@path_option
@key_option
@delta_option
@at_home
@told
def show(path: Path | None, key: Path | None, delta: float | None, home: SiteHome) -> None:
    """Print every entry of the ledger and the epsilon spent so far.

    PATH and --key name another ledger than the home's.
    """
    from client.commands.ledger import Book, show_ledger

    result(show_ledger(Book.of(home, path, key, delta)))


@ledger.command()
@path_option
@key_option
@at_home
@told
def verify(path: Path | None, key: Path | None, home: SiteHome) -> None:
    """Check the chain of the ledger; exit code 1 if anything was altered.

    PATH and --key name another ledger than the home's.
    """
    from client.commands.ledger import Book, verify_ledger

    result(verify_ledger(Book.of(home, path, key, 1e-4)))


@click.command()
@delta_option
@at_home
@told
def outbox(delta: float | None, home: SiteHome) -> None:
    """List every byte that ever left. Run, round, size, SHA-256 and cost of each release."""
    from client.commands.ledger import Book
    from client.commands.outbox import show_outbox

    result(show_outbox(Book.of(home, None, None, delta)))


@click.command()
@at_home
@told
def status(home: SiteHome) -> None:
    """Say what is spent, and what is left. Also whether the agent answers."""
    from client.commands.status import show_status

    result(show_status(home))


@click.group()
def charter() -> None:
    """Charters that wait for the operator's word."""


@charter.command("list")
@at_home
@told
def list_all(home: SiteHome) -> None:
    """List what the centre offered beyond the limits of `[auto_accept]`, with its price."""
    from client.commands.charters import list_charters

    result(list_charters(home))


@charter.command("show")
@click.argument("digest")
@at_home
@told
def show_one(digest: str, home: SiteHome) -> None:
    """Dry run of the charter DIGEST: exact bytes and epsilon of every round."""
    from client.commands.charters import show_charter

    result(show_charter(home, digest))


@charter.command()
@click.argument("digest")
@at_home
@told
def accept(digest: str, home: SiteHome) -> None:
    """Accept the charter DIGEST: the agent says yes when it is offered again."""
    from client.commands.charters import accept_charter

    result(accept_charter(home, digest))


@click.command()
@at_home
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--keep-people", is_flag=True, help="Leave the federation, and keep the door.")
@told
def leave(home: SiteHome, yes: bool, keep_people: bool) -> None:
    """Destroy keys, features and the vault for good. Ledger and audit stay as the record."""
    from client.commands.leave import leave_federation

    if not yes:
        what = "keys of this site" if keep_people else "keys of this site, and everybody enrolled"
        click.confirm(f"Destroy the {what}? It cannot be undone", abort=True, err=True)
    result(leave_federation(home, keep_people=keep_people))


COMMANDS = (serve, ledger, outbox, status, charter, leave)
