"""`mascaron-lab evidence`: all that a release has to show, of one model; or a whole release."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from common.console import result
from common.errors import ConfigError, RunError
from common.evidence.bundle import REPORT, Verdict, read_section
from common.evidence.section import KINDS, Section
from common.models.trunk import load_trunk
from common.outputs import check_folder
from server.commands.release import (
    assembled,
    build_command,
    claims_command,
    promote_command,
    sign_command,
)
from server.commands.tail import tail_command
from server.home import CentreHome
from simulations.evidence.demo_run import CENTRE, RUN, TESTED, THRESHOLDS, demo_run
from simulations.evidence.gathering import Depth, Gathering
from simulations.evidence.heads import Compared
from simulations.evidence.robustness.plan import RobustnessOptions
from simulations.evidence.subject import SubjectOptions, load_subject
from simulations.pieces import write_whole
from simulations.progress import Bars, stderr_console
from simulations.report.evidence_page import Gate, evidence_page
from simulations.sources import STARTER

MOST_PROCESSES = 4  # that invent people
EVIDENCE, TAILS = "evidence", "tails"  # folders of the demo


@dataclass(frozen=True, kw_only=True)
class EvidenceOptions:
    """How deep to look: the quick plan of attacks or the full one, at which FMR; and the files of
    ``heads`` that go with the tail, and of those that they ``began_as``."""

    quick: bool = False
    pairs: int | None = None
    fmr: float = 1e-2
    epsilon: float = 8.0
    heads: Path | None = None
    began_as: Path | None = None

    def __post_init__(self) -> None:
        if (self.heads is None) != (self.began_as is None):
            raise ConfigError("--heads and --began-as: heads are measured beside those they were")

    @property
    def compared(self) -> Compared | None:
        """The heads of both files, where they are named."""
        if self.heads is None or self.began_as is None:
            return None
        return Compared.read(self.heads, self.began_as)

    def depth(self, seed: int) -> Depth:
        make = RobustnessOptions.quick if self.quick else RobustnessOptions
        some = {} if self.pairs is None else {"pairs": self.pairs}
        attacks = make(fmr=self.fmr, seed=seed, **some)
        return Depth(robustness=attacks, fmr=self.fmr, epsilon=self.epsilon)


def evidence_command(asked: EvidenceOptions, out: Path, **options: Any) -> None:
    """Takes the evidence into ``out`` and writes a page; sections that are there stay."""
    given = SubjectOptions(**options)
    check_folder(out)
    console, heads = stderr_console(), asked.compared
    with Bars(console) as bars:
        subject = load_subject(given, bars)
        first = load_trunk(given.trunk or STARTER)[1]
        depth = asked.depth(given.seed)
        _gather(Gathering(subject, first, depth, out, bars, heads=heads))
    found = read_folder(out)
    page = write_page(found, (), out)
    console.print(f"Open the report: {page.resolve()}", highlight=False, soft_wrap=True)
    result({"evidence": str(out), "report": str(page), "failed": _failed(found)})


def demo_command(out: Path) -> None:
    """A federation of invented people, the release it makes, and whether that may ship."""
    check_folder(out, new=True)
    out.mkdir(parents=True, exist_ok=True)
    console = stderr_console()
    folder = out / EVIDENCE
    folder.mkdir()
    with Bars(console) as bars:
        run = demo_run(out, min(os.cpu_count() or 1, MOST_PROCESSES), bars)
        (tail,) = tail_command(run.home, RUN, out / TAILS)["tails"]
        given = SubjectOptions(
            tail=Path(tail["file"]), folds=TESTED, threshold_folds=THRESHOLDS, seed=0
        )
        subject = load_subject(given, bars, run.faces)
        depth = replace(EvidenceOptions(quick=True).depth(given.seed), gradients=0.0)
        heads = Compared.read(Path(tail["heads"]), Path(tail["began_as"]))
        _gather(Gathering(subject, load_trunk(STARTER)[1], depth, folder, bars, heads=heads))
    shipped = ship(run.home, RUN, folder)
    _print_gates(shipped["gates"], console)
    page = folder / REPORT
    console.print(
        f"\nThe centre's registry is in {out / CENTRE}; try:\n"
        f"  mascaron-admin release show --home {out / CENTRE}\n\n"
        f"Open the report: {page.resolve()}",
        highlight=False,
        soft_wrap=True,
    )
    result({"release": shipped["release"], "report": str(page), "centre": str(out / CENTRE)})


def ship(home: CentreHome, run: str, folder: Path) -> dict[str, Any]:
    """Builds the release of ``run`` with the evidence in ``folder``, signs and promotes it.

    The page there is written twice: gates judge the evidence, and the page shows what they said.
    Raises ``ReleaseError`` if a gate refuses it.
    """
    now = time.time()
    claims_command(home, run, folder, None)
    found = read_folder(folder)
    write_page(found, (), folder)
    verdict = assembled(home, run, folder, None, now).manifest.verdict
    write_page(found, _gates(verdict), folder)
    built = build_command(home, run, folder, None, now)
    sign_command(home, built["release"])
    return promote_command(home, built["release"], None, now)


def read_folder(folder: Path) -> dict[str, Section]:
    """The sections in ``folder``, by kind, in the order in which they are told."""
    paths = {kind: folder / f"{kind}.json" for kind in KINDS}
    return {
        kind: read_section(path.read_bytes(), path.name)
        for kind, path in paths.items()
        if path.exists()
    }


def write_page(found: Mapping[str, Section], gates: Sequence[Gate], folder: Path) -> Path:
    """Writes the page of the sections ``found`` in ``folder``, and returns where it lies."""
    path = folder / REPORT
    try:
        write_whole(path, evidence_page(found, gates, folder).encode())
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error
    return path


def _gather(gathering: Gathering) -> None:
    import torch

    torch.set_num_threads(max(1, os.cpu_count() or 1))
    gathering.folder.mkdir(parents=True, exist_ok=True)
    gathering.all()


def _gates(verdicts: Sequence[Verdict]) -> list[Gate]:
    return [Gate(name=one.gate, held=one.held, told=one.detail) for one in verdicts]


def _failed(found: Mapping[str, Section]) -> list[str]:
    return [f"{kind}: {told}" for kind, one in found.items() for told in one.failed]


def _print_gates(gates: Sequence[Mapping[str, Any]], console: Console) -> None:
    table = Table(title="What the gates say", title_justify="left", box=box.SIMPLE)
    for column in ("gate", "", "what it found"):
        table.add_column(column)
    for gate in gates:
        table.add_row(gate["gate"], "holds" if gate["held"] else "stops it", gate["detail"])
    console.print(table)
