"""The courier's commands: `join` runs it, `doctor` finds out what keeps it from running."""

import click

from client.home import DEFAULT, VARIABLE, SiteHome
from common.console import home_option, result, told

at_home = home_option(SiteHome, DEFAULT, VARIABLE, "site")


@click.command()
@at_home
@click.option("--courier-user", help="Name or number of the OS user to become; only for root.")
@click.option("--prepare", is_flag=True, help="Do what needs root, and end.")
@click.option("--dry-run", is_flag=True, help="Start nothing; show what charters would release.")
@told
def join(home: SiteHome, courier_user: str | None, prepare: bool, dry_run: bool) -> None:
    """Run the courier. Waits for admission; ends when it is asked to stop.

    --dry-run is for the agent's user: the exact bytes and the epsilon of every round of each
    charter that the centre offered so far. Nobody is sampled, nothing is charged.
    """
    import time

    from client.centre.admission import fetch
    from client.commands.join import Surroundings, join_command, prepare_command

    if dry_run:
        from client.commands.charters import show_all

        result(show_all(home))
        return
    if prepare:
        result(prepare_command(home, courier_user))
        return
    around = Surroundings(
        fetch=lambda site: fetch(site, time.time), say=lambda line: click.echo(line, err=True)
    )
    result(join_command(home, courier_user, around))


@click.command()
@at_home
@told
def doctor(home: SiteHome) -> None:
    """Name what is wrong, and what to do. Exit code 1 if anything is."""
    from dataclasses import asdict

    from rich.console import Console

    from client.commands.doctor import doctor_command, show

    findings = doctor_command(home)
    show(findings, Console(stderr=True))
    fine = all(finding.ok for finding in findings)
    result({"ok": fine, "findings": [asdict(finding) for finding in findings]})
    if not fine:
        raise SystemExit(1)
