"""What an administrator types to plan, sign, run and look after training runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from common.console import home_option, result, told
from server.home import DEFAULT, VARIABLE, CentreHome

FILE = click.Path(path_type=Path)
MANY = click.IntRange(min=1)


at_home = home_option(CentreHome, DEFAULT, VARIABLE, "centre")


def add_to(main: click.Group) -> None:
    """Gives `mascaron-admin` the commands of this file."""
    for command in (charter, run, rounds, tail, status, backup, restore, doctor):
        main.add_command(command)


@click.group()
def charter() -> None:
    """Plans of training runs: proposed, read by people, signed."""


@charter.command()
@at_home
@click.option("--run", required=True, help="Name of the run: a-z, 0-9, '.', '_' and '-'.")
@click.option("--epsilon", type=float, required=True, help="Privacy loss of the whole run.")
@click.option(
    "--delta",
    type=float,
    default=1e-4,
    show_default=True,
    help="Of the guarantee; well below one in the number of people.",
)
@click.option("--people", type=MANY, required=True, help="Declared people of a site.")
@click.option("--cohort", type=MANY, required=True, help="Fewest sites that a round may have.")
@click.option("--rounds", type=int, default=0, show_default=True, help="Of gradients, last.")
@click.option("--sample-rate", type=float, help="Of people in one; 0.2, or 1 for heads alone.")
@click.option(
    "--adversarial-steps",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Against each person's features in a gradient round; 0: none.",
)
@click.option("--adversarial-eps", type=float, default=0.0, help="L2 radius of that in features.")
@click.option("--heads", type=FILE, help="Public heads that gradient rounds train on as well.")
@click.option(
    "--head",
    multiple=True,
    metavar="KIND[:WEIGHT[:RATE]]",
    help="attributes, age, gender, words or identity; how much it counts (by default the file says)"
    " and its learning rate (by default what the noise allows).",
)
@click.option(
    "--noise",
    type=click.Choice(["local", "distributed"]),
    default="local",
    help="At each site, or shared by all in secure sums.",
)
@click.option("--honest-sites", type=MANY, default=1, help="That share distributed noise.")
@click.option(
    "--pooling",
    type=click.Choice(["camera_type", "all"]),
    default="camera_type",
    help="Whose moments are one: sites of a camera type, or all.",
)
@click.option("--strategy", default="fedavg", show_default=True, help="Rule of averaging.")
@click.option("--mean-share", type=float, help="Of the moments' budget, spent on the mean.")
@click.option("--evaluation", type=float, help="Share of the budget for figures, such as 0.1.")
@click.option("--evaluate-before", is_flag=True, help="Judge the first tail too, for half of it.")
@click.option("--expires", default="30d", show_default=True, help="Sites may accept it until then.")
@click.option("--timeout", default="60m", show_default=True, help="Of a round.")
@click.option("--release-slot", type=float, default=5.0, show_default=True, help="Seconds.")
@click.option("--public", type=FILE, required=True, help="Pack or folder of public faces.")
@click.option("--aligned", is_flag=True, help="The public pictures are aligned crops already.")
@click.option("--trunk", type=FILE, required=True, help="trunk.toml of the frozen network.")
@click.option("--steps", type=MANY, default=600, show_default=True, help="On public people.")
@click.option("--cache", type=FILE, help="Where features of public faces are kept.")
@told
def propose(home: CentreHome, **options: Any) -> None:
    """Solve the noise of a run for a budget, and show what it means."""
    import time

    from server.commands.charter import asked_of, propose_command

    asked, sources = asked_of(options)
    result(propose_command(home, asked, sources, time.time()))


@charter.command()
@at_home
@click.argument("name")
@told
def sign(home: CentreHome, name: str) -> None:
    """Seal the proposal NAME with the centre's key: sites may accept it from then on."""
    import time

    from server.commands.charter import sign_command

    result(sign_command(home, name, time.time()))


@charter.command()
@at_home
@click.argument("name")
@told
def show(home: CentreHome, name: str) -> None:
    """Show what the charter or proposal NAME says and means."""
    import time

    from server.commands.charter import show_command

    result(show_command(home, name, time.time()))


@charter.command("list")
@at_home
@told
def list_(home: CentreHome) -> None:
    """List all charters and proposals."""
    import time

    from server.commands.charter import list_command

    result(list_command(home, time.time()))


@click.command()
@at_home
@click.argument("name")
@click.option("--resume", is_flag=True, help="Go on after the last round that is done.")
@click.option("--wait", default="15m", show_default=True, help="For sites that are missing.")
@click.option("--without", multiple=True, help="Camera type whose sites are all gone; repeatable.")
@click.option("--follow/--no-follow", default=True, show_default=True, help="To its end.")
@click.pass_context
@told
def run(context: click.Context, /, home: CentreHome, name: str, **options: Any) -> None:
    """Run the signed charter NAME; exits with 1 if it paused or failed."""
    from server.commands.fleet import has_ended, start_run
    from server.commands.run import Way, manner_of, run_command

    follow = options.pop("follow")
    way = Way(start=start_run, ended=has_ended, manner=manner_of(**options), follow=follow)
    answer = run_command(home, name, way)
    result(answer)
    context.exit(0 if answer["state"] in ("done", "started") else 1)


@click.command()
@at_home
@click.argument("name")
@told
def rounds(home: CentreHome, name: str) -> None:
    """Show what every round of the run NAME was."""
    from server.commands.rounds import rounds_command

    result(rounds_command(home, name))


@click.command()
@at_home
@click.argument("name")
@click.option("--out", type=FILE, required=True, help="Folder for a file a pool of sites.")
@told
def tail(home: CentreHome, name: str, out: Path) -> None:
    """Write what the run NAME made, for its sites to stage at their doors."""
    from server.commands.tail import tail_command

    result(tail_command(home, name, out))


@click.command()
@at_home
@told
def status(home: CentreHome) -> None:
    """Show what runs, which sites answered, where runs stand, and what to do next."""
    import time

    from server.commands.status import status_command

    result(status_command(home, time.time()))


def _passphrase(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--passphrase-file", type=FILE, help="Its first line; without it, you are asked."
    )(command)


@click.command()
@at_home
@click.option("--to", type=FILE, required=True, help="New file, sealed under a passphrase.")
@_passphrase
@told
def backup(home: CentreHome, to: Path, passphrase_file: Path | None) -> None:
    """Seal everything that the centre needs to go on into one file."""
    import time

    from server.commands.backup import backup_command, read_passphrase

    def ask(what: str) -> str:
        return str(click.prompt(what, hide_input=True, confirmation_prompt=True, err=True))

    result(backup_command(home, to, read_passphrase(passphrase_file, ask), time.time()))


@click.command()
@at_home
@click.option("--from", "source", type=FILE, required=True, help="What `backup` wrote.")
@click.option("--replaces", type=FILE, help="Home whose place it takes, where it is still there.")
@click.option("--roster-after", type=click.IntRange(min=0), help="Highest number a site knows.")
@_passphrase
@told
def restore(
    home: CentreHome,
    source: Path,
    replaces: Path | None,
    roster_after: int | None,
    passphrase_file: Path | None,
) -> None:
    """Make a new home of a backup; nothing is overwritten, nothing older is put in place."""
    from server.commands.backup import read_passphrase, restore_command

    def ask(what: str) -> str:
        return str(click.prompt(what, hide_input=True, err=True))

    passphrase = read_passphrase(passphrase_file, ask)
    result(restore_command(source, home, passphrase, replaces, roster_after))


@click.command()
@at_home
@click.pass_context
@told
def doctor(context: click.Context, home: CentreHome) -> None:
    """Find what is wrong with the centre and say what to do; exits with 1 if anything is."""
    import time

    from server.commands.doctor import doctor_command, this_machine

    answer = doctor_command(home, this_machine(home, time.time()))
    result(answer)
    context.exit(1 if answer["wrong"] else 0)
