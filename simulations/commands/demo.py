"""`mascaron-lab demo`: a small federation on invented faces, and everything it did."""

import json
import os
import shutil
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from common.outputs import check_file, check_folder
from common.text.encoding import BUILT_IN
from simulations.commands.run import measure
from simulations.federation import Outcome
from simulations.laboratory import Given
from simulations.pieces import SUMMARY
from simulations.progress import Bars, stderr_console
from simulations.scenario import load_scenario
from simulations.table import print_summary

EPSILON = 8.0
MOST_PROCESSES = 4  # that invent people
SHOWN = 4  # sites whose outbox is printed
WORDS = "words.png"
FACES, DESCRIBED, FOUND = 60, 5, 5  # invented for words; described; found by each query
QUERIES = {  # asked, and as the sheet says it, whose font knows no Chinese
    "glasses, no beard": "glasses, no beard",
    "long hair, no hat": "long hair, no hat",
    "戴帽子的人": "somebody with a hat, asked in Chinese",
}


def demo_command(out: Path) -> None:
    """Runs scenario ``demo`` on synthetic faces; shows table, spend and outbox, writes a report."""
    from simulations.report.page import PAGE, write_report

    kept = out / "federation"
    check_folder(kept)
    for made in (PAGE, WORDS):
        check_file(out / made)
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
    words = show_words(out, console)
    site = run.first.sites[0].name
    report = write_report(out)
    console.print(
        "Beside these, only what an operator declares: camera type, trunk and a round number of\n"
        "people. No picture, no feature, no name, no metric.\n"
        f"Ledgers, charter and checkpoint are in {kept}; try: "
        f"mascaron-site ledger show {kept / site}.db --key {kept / site}.key\n\n"
        f"Open the report: {report.resolve()}\n"
        f"Faces in words: {words.resolve()}",
        highlight=False,
        soft_wrap=True,
    )
    told = {"summary": out / SUMMARY, "federation": kept, "report": report, "words": words}
    click.echo(json.dumps({key: str(path) for key, path in told.items()}))


def show_words(out: Path, console: Console) -> Path:
    """Prints what heads say of invented faces and whom a sentence finds; the sheet of them all."""
    from common.text.describe import describe
    from common.text.parsing import parse
    from common.text.search import Searcher
    from simulations.reading import invented, open_reader
    from simulations.words_sheet import Hits, words_sheet

    reader = open_reader(None, None)
    with Bars(console) as bars:
        crops = invented(FACES, 0, bars).crops
    readings = reader.read(crops)
    sentences = [describe(readings, row).sentence for row in range(DESCRIBED)]
    console.print("\nFaces in words, by heads on the same trunk:", style="bold")
    for number, sentence in enumerate(sentences):
        console.print(f"  {number}: {sentence}", highlight=False)
    searcher, hits = Searcher(reader.encoder(BUILT_IN)), []
    for query, told in QUERIES.items():
        best = searcher.rank(parse(query), readings).order[:FOUND].tolist()
        console.print(f'  "{query}" finds {", ".join(map(str, best))}', highlight=False)
        hits.append(Hits(told, [crops[row] for row in best]))
    described = list(zip(crops[:DESCRIBED], sentences, strict=True))
    (out / WORDS).write_bytes(words_sheet(described, hits))
    return out / WORDS


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
