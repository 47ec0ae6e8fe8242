"""`mascaron-lab`: what a researcher types. Heavy libraries load inside the commands only."""

from pathlib import Path
from typing import Any

import click

from common.console import quiet_logs, told
from simulations import cli_audit, cli_evidence, cli_robust, cli_text, cli_tune
from simulations.cli_sources import FILE, MANY, sourced


@click.group()
@click.version_option(package_name="mascaron")
def main() -> None:
    """Run whole federations on one machine, with the code that production runs."""


@main.command()
@click.argument("scenario")
@sourced
@click.option(
    "--camera", metavar="FILE|none", help="Cameras of the sites, or pictures as they are."
)
@click.option("--epsilon", type=float, multiple=True, help="May be given several times.")
@click.option("--delta", type=float, help="Of every guarantee.")
@click.option("--seeds", type=int, help="Repetitions with other dealings and other noise.")
@click.option("--sites", type=int, help="Number of sites.")
@click.option("--out", type=FILE, help="Folder for pieces and summary.json; resumes what is there.")
@click.option("--verbose", is_flag=True, help="Our logs, not warnings alone.")
@told
def run(scenario: str, verbose: bool, **options: object) -> None:
    """Run SCENARIO (demo, fleet, cameras, scaling, or a TOML file) and compare all arms.

    Prints a table to stderr and the path of summary.json to stdout.
    """
    quiet_logs(verbose)
    from simulations.commands.run import run_command

    run_command(scenario, **options)


@main.command()
@click.argument("sweep")
@sourced
@click.option("--out", type=FILE, required=True, help="Folder of the sweep; resumes what is there.")
@click.option("--verbose", is_flag=True, help="Our logs, not warnings alone.")
@told
def sweep(sweep: str, out: Path, verbose: bool, **options: object) -> None:
    """Measure every point of SWEEP (small, or a TOML file), checked before any of them runs.

    Prints what each point gained to stderr and the path of sweep.jsonl to stdout.
    """
    quiet_logs(verbose)
    from simulations.commands.sweep import sweep_command

    sweep_command(sweep, out, **options)


@main.command()
@click.argument("a", type=FILE)
@click.argument("b", type=FILE, required=False)
@click.option("--row", help="One arm of B, as private; default: all arms that both have.")
@click.option("--epsilon", type=float, help="The epsilon of that arm.")
@click.option("--against", metavar="ROW", help="The arm of A, as local; default: the same arm.")
@click.option("--against-epsilon", type=float, help="The epsilon of that arm; default: --epsilon.")
@told
def compare(a: Path, b: Path | None, **arms: object) -> None:
    """What run folder B gained over run folder A, paired by person; without B, two rows of A.

    Prints a table to stderr and the differences as JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.compare import compare_command

    compare_command(a, b, **arms)


@main.command()
@click.argument("folder", metavar="DIR", type=FILE)
@click.option("--out", type=FILE, help="File of the page; default: report.html in DIR.")
@click.option("--csv", "tables", type=FILE, help="Folder for the figures as CSV tables.")
@told
def report(folder: Path, out: Path | None, tables: Path | None) -> None:
    """A page to look at for the run or sweep in DIR: one file, nothing fetched from anywhere.

    Prints the path of the page to stdout. A run that has not ended is reported as far as it goes.
    """
    quiet_logs(verbose=False)
    from simulations.commands.report import report_command

    report_command(folder, out, tables)


@main.command()
@click.option(
    "--out",
    type=FILE,
    default=Path("runs/door"),
    show_default=True,
    help="Folder for the site and its figures.",
)
@click.option("--people", type=MANY, default=50, show_default=True, help="Who enrol.")
@click.option("--pictures", type=MANY, default=5, show_default=True, help="Of each, to enrol.")
@click.option("--later", type=MANY, default=2, show_default=True, help="Of each, at the door.")
@click.option(
    "--strangers", type=MANY, default=50, show_default=True, help="Invented, who never enrol."
)
@click.option("--faces", type=FILE, help="Pack of real people, aligned; else all are invented.")
@click.option("--public", type=FILE, help="Pack of public people; goes with --faces.")
@click.option("--trunk", type=FILE, help="Weights, trunk.toml or their folder.")
@click.option("--scenes", is_flag=True, help="Whole pictures, in which a face is to be found.")
@click.option("--detector", type=FILE, help="Weights of YuNet; else OpenCV's cascades.")
@click.option("--fmr", type=float, default=1e-2, show_default=True, help="Of verifications.")
@click.option("--fpir", type=float, default=0.05, show_default=True, help="Of searches.")
@told
def door(**options: Any) -> None:
    """Open a door here: enrol, verify, identify, migrate, roll back, erase, audit."""
    quiet_logs(verbose=False)
    from simulations.commands.door import DoorOptions, door_command
    from simulations.visitors import Crowd

    crowd = {key: options.pop(key) for key in ("people", "pictures", "later", "strangers")}
    door_command(DoorOptions(crowd=Crowd(**crowd), **options))


@main.command()
@click.option(
    "--out",
    type=FILE,
    default=Path("runs/federation"),
    show_default=True,
    help="Folder for homes and figures.",
)
@click.option("--centre-bin", type=FILE, help="Folder of mascaron-admin; default: this one's.")
@click.option("--agent-bin", type=FILE, help="Folder of mascaron-site with [agent], no Flower.")
@click.option("--courier-bin", type=FILE, help="Folder of mascaron-site with [courier], no torch.")
@click.option("--one-user", is_flag=True, help="As root too, no users of their own.")
@told
def federation(**options: Any) -> None:
    """Run a real federation here: TLS, processes, users, kills; print what left each site."""
    quiet_logs(verbose=False)
    from simulations.commands.federation import FederationOptions, federation_command

    federation_command(FederationOptions(**options))


@main.command()
@click.option(
    "--out",
    type=FILE,
    default=Path("runs/demo"),
    show_default=True,
    help="Folder for figures and the page.",
)
@told
def demo(out: Path) -> None:
    """Sixty doors join on synthetic faces: the table, what was spent, what left, a page."""
    quiet_logs(verbose=False)
    from simulations.commands.demo import demo_command

    demo_command(out)


@main.command()
@click.option("--faces", type=FILE, help="Pack (.npz) or folder of faces; default: synthetic.")
@click.option("--people", type=int, default=160, show_default=True, help="Synthetic people.")
@click.option("--trunk", type=FILE, help="ONNX or safetensors embedder; default: the starter.")
@click.option("--camera", metavar="FILE|none", default="none", help="Cameras, in turns.")
@click.option("--folds", default="1-6,8", show_default=True, help="People measured.")
@click.option("--threshold-folds", default="7", show_default=True, help="Who fix thresholds.")
@click.option(
    "--pictures", type=click.IntRange(2), default=8, show_default=True, help="Of a person, at most."
)
@click.option("--pairs", type=FILE, help="List of pairs (.tsv) for the protocol of LFW.")
@click.option("--fmr", type=float, default=1e-3, show_default=True, help="To decide at.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of roles and intervals.")
@click.option("--out", type=FILE, help="File for the figures as well.")
@click.option("--cache", type=FILE, help="Folder for features (as sensitive as the faces).")
@click.option("--aligned", is_flag=True, help="Pictures of folders are aligned 112x112 crops.")
@click.option("--detector", type=FILE, help="YuNet weights for pictures that are not aligned.")
@click.option("--keep-going", is_flag=True, help="Skip and count pictures that cannot be used.")
@told
def measure(**options: object) -> None:
    """Measure an embedder: verification, decisions, identification, clustering, given pairs.

    Prints a table to stderr and all figures as JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.measure import measure_command

    measure_command(**options)


@main.command()
@click.option(
    "--people", type=click.IntRange(1), default=100, show_default=True, help="Invented ones."
)
@click.option("--pictures", type=click.IntRange(1), default=8, show_default=True, help="Of each.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of people and pictures; the same seed, the same pictures.",
)
@click.option("--out", type=FILE, help="New folder of aligned faces with labels.csv, or PACK.npz.")
@click.option(
    "--scenes",
    type=click.IntRange(0),
    default=0,
    help="Photographs of several people, in OUT-scenes.",
)
@click.option("--gallery", type=FILE, help="PNG that shows people and how they vary.")
@click.option("--augmented", type=FILE, help="PNG that shows what training does to pictures.")
@click.option(
    "--processes", type=click.IntRange(1), default=1, show_default=True, help="That draw."
)
@told
def faces(**options: object) -> None:
    """Invent people and render them: faces with labels, scenes, a gallery.

    The same seed gives the same pictures. Prints what was written as JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.faces import faces_command

    faces_command(**options)


@main.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument(
    "bench",
    type=click.Choice(
        [
            "attacks",
            "backbones",
            "calibration",
            "detect",
            "door",
            "dp-step",
            "embed",
            "gallery",
            "heads",
            "joint",
            "losses",
            "measures",
            "pooling",
            "private-heads",
            "quality",
            "recovery",
            "rounds",
            "secagg",
            "simulate",
            "start",
            "text",
            "train",
            "vault",
        ]
    ),
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@told
def bench(bench: str, arguments: tuple[str, ...]) -> None:
    """Measure BENCH as ratios between contenders that run in turns.

    Each has options of its own: `mascaron-lab bench simulate --help` tells them.
    """
    import importlib

    module = importlib.import_module(f"simulations.benchmarks.{bench.replace('-', '_')}")
    module.main(list(arguments))


main.add_command(cli_audit.audit)
main.add_command(cli_evidence.fairness)
main.add_command(cli_evidence.byzantine)
main.add_command(cli_robust.robust)
main.add_command(cli_tune.tune)
main.add_command(cli_text.text)
main.add_command(cli_text.describe)
main.add_command(cli_text.search)
main.add_command(cli_evidence.attack)
main.add_command(cli_evidence.evidence)
