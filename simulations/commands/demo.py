"""`mascaron-lab demo`: a small federation on invented faces, and everything it did."""

import json
import os
import shutil
from pathlib import Path

import click
from rich import box
from rich.table import Table

from common.outputs import check_file, check_folder
from simulations.commands.run import measure, stderr_console
from simulations.federation import Outcome
from simulations.laboratory import Given
from simulations.runner import SUMMARY
from simulations.scenario import load_scenario
from simulations.table import print_summary

EPSILON = 8.0
MOST_PROCESSES = 4  # that invent people
SHOWN = 4  # sites whose outbox is printed


def demo_command(out: Path) -> None:
    """Runs scenario ``demo`` on synthetic faces; shows table, spend and outbox, writes a report."""
    from simulations.report.page import PAGE, write_report

    kept = out / "federation"
    check_folder(kept)
    check_file(out / PAGE)
    console = stderr_console()
    scenario = load_scenario("demo")
    given = Given(
        entropy="os",
        train_folds="1-5",
        choose_folds="",
        report_folds="6-8",
        processes=min(os.cpu_count() or 1, MOST_PROCESSES),
    )
    console.print(
        f"{scenario.sites} doors in difficult light, a few people at each. "
        "Every face in it is invented.",
        style="bold",
    )
    run = measure(scenario, given, out, console)
    print_summary(run.summary, console)
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    outcome = run.first.federated("local", EPSILON, kept).outcome
    if outcome is not None:
        console.print(_outbox(outcome))
    site = run.first.sites[0].name
    report = write_report(out)
    console.print(
        "Beside these, only what an operator declares: camera type, trunk and a round number of\n"
        "people. No picture, no feature, no name, no metric.\n"
        f"Ledgers, charter and checkpoint are in {kept}; try: "
        f"mascaron-site ledger show {kept / site}.db --key {kept / site}.key\n\n"
        f"Open the report: {report.resolve()}",
        highlight=False,
        soft_wrap=True,
    )
    told = {"summary": out / SUMMARY, "federation": kept, "report": report}
    click.echo(json.dumps({key: str(path) for key, path in told.items()}))


def _outbox(outcome: Outcome) -> Table:
    table = Table(
        title=f"What sites spent, and what left them (the first {SHOWN})",
        title_justify="left",
        box=box.SIMPLE,
    )
    for column in ("site", "epsilon spent", "left the site", "bytes out", "bytes in"):
        table.add_column(column, justify="left" if column == "left the site" else "right")
    for site, epsilon in list(outcome.spent.items())[:SHOWN]:
        left = [f"{name} {list(shape)}" for door, name, shape in outcome.left if door == site]
        table.add_row(
            site,
            f"{epsilon:.3f}",
            "\n".join(left),
            f"{outcome.uploaded[site]:,}",
            f"{outcome.downloaded[site]:,}",
        )
    return table
