"""What a site operator types about the door itself: thresholds, releases, callers, vault."""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from client.cli_door import FILE, as_caller, asking_of, at_home
from client.home import SiteHome
from common.console import result, told

RATE = click.FloatRange(0, 0.25, min_open=True)


@click.command()
@click.option("--fmr", type=RATE, help="Of verifications of somebody else, as many may succeed.")
@click.option("--fpir", type=RATE, help="Of searches for nobody enrolled, as many may find one.")
@as_caller
@at_home
@told
def calibrate(fmr: float | None, fpir: float | None, home: SiteHome, **typed: Any) -> None:
    """Find the thresholds for these error rates, or for those of `site.toml`.

    --fmr alone is for verifications alone: nobody is searched for by it.
    """
    from client.commands.release import calibrate_door

    if fpir is not None and fmr is None:
        raise click.UsageError("--fpir is of searches: name --fmr with it, or neither")
    result(calibrate_door(asking_of(home, typed), fmr, fpir))


@click.command()
@at_home
@told
def evaluate(home: SiteHome) -> None:
    """Show how each release does on the people here. On this terminal: nothing leaves, and nothing
    is charged.

    FNMR by people's own pictures, FMR by public strangers, one digit each, at the thresholds that
    decide. Of fewer than 20 people nothing is told. `mascaron-site serve` has to be stopped for it.
    """
    from client.commands.evaluate import evaluate_site

    with contextlib.ExitStack() as stack:

        def start(what: str, total: int) -> Callable[[int], None]:
            bar = stack.enter_context(click.progressbar(length=total, label=what, file=sys.stderr))
            return lambda people: bar.update(people)

        result(evaluate_site(home, start, lambda line: click.echo(line, err=True)))


@click.group()
def release() -> None:
    """Which release decides at the door."""


@release.command()
@at_home
@told
def fetch(home: SiteHome) -> None:
    """Ask the centre which release is due here. What is new is checked, kept and shown."""
    from client.commands.evidence import fetch_command

    result(fetch_command(home, time.time))


@release.command()
@click.argument("which", metavar="[RELEASE]", required=False)
@at_home
@told
def show(which: str | None, home: SiteHome) -> None:
    """Show the figures of RELEASE, whether it passes this site's gates, and which heads are read.

    RELEASE is the beginning of its digest; the one that is due, unless named.
    """
    from client.commands.evidence import show_command
    from client.commands.release import heads_at_door

    result({**show_command(home, which), "heads_read": heads_at_door(home)})


@release.command()
@click.argument("which", metavar="[RELEASE|FILE]", required=False)
@as_caller
@at_home
@told
def stage(which: str | None, home: SiteHome, **typed: Any) -> None:
    """Put a release beside the one that decides.

    In a federation the one that was fetched and is due, unless another is named; a site that is
    alone names the FILE of a tail.
    """
    from client.commands.release import stage_release

    result(stage_release(asking_of(home, typed), which))


def _change(name: str, text: str) -> None:
    """Adds a command to ``release`` that takes nothing; ``text`` is what it does."""

    @release.command(name, help=text)
    @as_caller
    @at_home
    @told
    def command(home: SiteHome, **typed: Any) -> None:
        from client.commands.release import change_release

        result(change_release(asking_of(home, typed), name))


for _name, _text in (
    ("promote", "Let the staged release decide."),
    ("rollback", "Let the release before it decide again, as it did."),
    ("unstage", "Forget the staged release."),
    ("retire", "Let the old trunk go, and every feature that it made."),
    ("status", "Say which release decides, and how the staged one would."),
):
    _change(_name, _text)


@click.group()
def caller() -> None:
    """Who may ask at the door."""


@caller.command()
@click.argument("name")
@click.option(
    "--may",
    required=True,
    multiple=True,
    help="Of verify, identify, describe, search, confirm, enrol, erase, operate, audit: with "
    "commas, or again.",
)
@click.option(
    "--hourly",
    type=click.IntRange(min=0),
    default=600,
    show_default=True,
    help="Questions answered.",
)
@click.option(
    "--daily",
    type=click.IntRange(min=0),
    default=5_000,
    show_default=True,
    help="Questions answered.",
)
@click.option("--certificate", type=FILE, help="Which it shows at the door's port.")
@at_home
@told
def add(home: SiteHome, may: tuple[str, ...], **typed: Any) -> None:
    """Take the caller NAME in, and print its token: nobody is told it again."""
    from client.commands.caller import Wanted, add_caller

    result(add_caller(home, Wanted(may=",".join(may), **typed), os.urandom))


@caller.command("list")
@at_home
@told
def list_all(home: SiteHome) -> None:
    """List who may ask, for what and how often."""
    from client.commands.caller import list_callers

    result(list_callers(home))


@caller.command()
@click.argument("name")
@at_home
@told
def remove(name: str, home: SiteHome) -> None:
    """Turn the caller NAME away from its next call on."""
    from client.commands.caller import remove_caller

    result(remove_caller(home, name))


@click.group()
def vault() -> None:
    """Keys of everybody enrolled, and copies of them."""


@vault.command()
@as_caller
@at_home
@told
def rotate(home: SiteHome, **typed: Any) -> None:
    """Put everybody's keys under a new one; nobody is erased."""
    from client.commands.vault import rotate_vault

    result(rotate_vault(asking_of(home, typed)))


@vault.command("recovery-key")
@click.argument("file", type=FILE)
@told
def recovery_key(file: Path) -> None:
    """Make a recovery key in FILE, to be carried away, and print its public half."""
    from client.commands.vault import make_recovery_key

    result(make_recovery_key(file))


@vault.command()
@click.argument("folder", type=FILE)
@click.option("--recovery", required=True, help="Public half of the recovery key.")
@at_home
@told
def backup(folder: Path, recovery: str, home: SiteHome) -> None:
    """Write the vault into a file in FOLDER that this site cannot open. Stop the agent first."""
    from client.commands.vault import backup_vault

    result(backup_vault(home, folder, recovery))


@vault.command()
@click.argument("file", type=FILE)
@click.option("--key", type=FILE, required=True, help="File of the recovery key.")
@click.option(
    "--losing", is_flag=True, help="Though people came, or consents changed, since: both are lost."
)
@click.option(
    "--renewed",
    type=click.Choice(["leave-out", "older"]),
    help="Whose consent or labels changed since: not brought back, or by the older ones.",
)
@at_home
@told
def restore(home: SiteHome, **typed: Any) -> None:
    """Make the vault of the backup FILE. Never an older one by accident, never anybody erased."""
    from client.commands.vault import Restoring, restore_vault

    result(restore_vault(home, Restoring(**typed)))


COMMANDS = (calibrate, evaluate, release, caller, vault)
