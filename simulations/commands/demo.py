"""`mascaron-lab demo`: a small federation on invented faces, and everything it did."""

import json
import shutil
from pathlib import Path

import click
from rich import box
from rich.table import Table

from simulations.commands.run import measure, stderr_console
from simulations.federation import Outcome
from simulations.laboratory import Given
from simulations.runner import SUMMARY
from simulations.scenario import load_scenario
from simulations.table import print_summary

EPSILON = 8.0


def demo_command(out: Path) -> None:
    """Runs scenario ``demo`` on synthetic faces and shows the table, the spend and the outbox."""
    console = stderr_console()
    given = Given(entropy="os", train_folds="1-4", choose_folds="", report_folds="5-8")
    console.print("A federation of four sites. Every face in it is invented.", style="bold")
    run = measure(load_scenario("demo"), given, out, console)
    print_summary(run.summary, console)
    kept = out / "federation"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    outcome = run.first.federated("local", EPSILON, kept).outcome
    if outcome is not None:
        console.print(_outbox(outcome))
    console.print(
        "Beside these, only what an operator declares: camera type, trunk and a round number of\n"
        "people. No picture, no feature, no name, no metric.\n"
        f"Ledgers, charter and checkpoint are in {kept}; try: "
        f"mascaron-site ledger show {kept / 'site-0.db'} --key {kept / 'site-0.key'}",
        highlight=False,
        soft_wrap=True,
    )
    click.echo(json.dumps({"summary": str(out / SUMMARY), "federation": str(kept)}))


def _outbox(outcome: Outcome) -> Table:
    table = Table(
        title="What each site spent, and what left it", title_justify="left", box=box.SIMPLE
    )
    for column in ("site", "epsilon spent", "left the site", "bytes out", "bytes in"):
        table.add_column(column, justify="left" if column == "left the site" else "right")
    for site, epsilon in outcome.spent.items():
        left = [f"{name} {list(shape)}" for door, name, shape in outcome.left if door == site]
        table.add_row(
            site,
            f"{epsilon:.3f}",
            "\n".join(left),
            f"{outcome.uploaded[site]:,}",
            f"{outcome.downloaded[site]:,}",
        )
    return table
