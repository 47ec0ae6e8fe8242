"""`mascaron-lab audit mechanism`: canaries through what ships, bounds with their ceilings."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from client.privacy.entropy import OsEntropy
from common.bundle import VERSION
from common.console import result
from common.errors import ModelError, ScenarioError
from common.evidence.section import About, Section
from common.models.tail_file import read_tail
from common.outputs import check_folder
from simulations.evidence.keeping import keep_section
from simulations.evidence.mechanism import Claim, Effort, Findings, audit_mechanism
from simulations.evidence.power import Flagged, power, streams
from simulations.progress import Bars, stderr_console
from simulations.sources import Sources


@dataclass(frozen=True, kw_only=True)
class MechanismOptions:
    """Everything ``mascaron-lab audit mechanism`` may be told."""

    epsilon: float = 8.0
    delta: float = 1e-5
    canaries: int | None = None
    power: int | None = None
    trunk: Path | None = None
    tail: Path | None = None
    seed: int | None = None  # None: the operating system's noise, as at a site
    out: Path | None = None

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 50:
            raise ScenarioError(f"epsilon must be in (0, 50], got {self.epsilon}")
        if not 0 < self.delta < 1e-2:
            raise ScenarioError(f"delta must be in (0, 0.01), got {self.delta}")

    @property
    def claim(self) -> Claim:
        return Claim(epsilon=self.epsilon, delta=self.delta)

    @property
    def effort(self) -> Effort:
        return Effort() if self.canaries is None else Effort(canaries=self.canaries)


def mechanism_command(**options: Any) -> None:
    """Audits; prints bounds to stderr and the section, or the power of the audit, to stdout."""
    import torch

    given = MechanismOptions(**options)
    if given.out is not None:
        check_folder(given.out)
    torch.set_num_threads(1)
    console = stderr_console()
    if given.power is not None:
        with Bars(console) as bars:
            found = power(given.claim, given.power, bars)
        _print_power(found, console)
        result({"power": [{**asdict(one), "share": one.share} for one in found]})
        return
    about = _about(given)
    sources = OsEntropy if given.seed is None else streams(given.seed)
    section = _section(given, about, audit_mechanism(given.claim, given.effort, sources))
    _print_bounds(section, console)
    if given.out is not None:
        keep_section(section, given.out)
    result(asdict(section))


def _about(given: MechanismOptions) -> About:
    """The release that the audit stands beside; the mechanism is the same for all."""
    trunk, tail = Sources(trunk=given.trunk, threads=1).load_trunk()
    if given.tail is not None:
        tail, of = read_tail(given.tail)
        if of != trunk.hash:
            raise ModelError(f"{given.tail}: a tail of another trunk; name it with --trunk")
    return About(trunk=trunk.hash, tail=tail.hash)


def _section(given: MechanismOptions, about: About, found: Findings) -> Section:
    told = f"--epsilon {given.epsilon:g} --delta {given.delta:g}"
    told += f" --canaries {given.canaries}" if given.canaries is not None else ""
    told += f" --seed {given.seed}" if given.seed is not None else ""
    return Section(
        kind="mechanism",
        about=about,
        seed=given.seed or 0,
        command=f"mascaron-lab audit mechanism {told}",
        version=VERSION,
        figures=found.figures,
        failed=found.failed,
        minutes=round(found.seconds / 60, 3),
    )


def _print_bounds(section: Section, console: Console) -> None:
    figures = section.figures
    title = f"epsilon {figures['claimed_epsilon']:.3g} is claimed at delta {figures['delta']:g}"
    table = _table(console, title, ("bound", "epsilon at least", "could have said", "canaries"))
    for name, one in figures["mechanisms"].items():
        low, count = f"{one['lower_bound']:.2f}", f"{one['canaries']:,}"
        table.add_row(f"Gaussian scores, {name.replace('_', ' ')}", low, "any", count)
    for name, words in (("one_run", "one run"), ("f_dp", "one run, f-DP")):
        one = figures[name]
        low, ceiling = f"{one['lower_bound']:.2f}", f"{one['ceiling']:.2f}"
        table.add_row(words, low, ceiling, f"{one['canaries']:,}")
    if figures["sampled"] is not None:
        one, claimed = figures["sampled"]["one_run"], figures["sampled"]["claimed_epsilon"]
        low, ceiling = f"{one['lower_bound']:.2f}", f"{one['ceiling']:.2f}"
        told = f"one run, sampled, {claimed:.3g} claimed"
        table.add_row(told, low, ceiling, f"{one['canaries']:,}")
    console.print(table)
    for failure in section.failed:
        console.print(f"FAILED {failure}")
    if not section.failed:
        console.print("nothing contradicts the claim; none of this proves it")


def _print_power(found: list[Flagged], console: Console) -> None:
    table = _table(console, "planted mistakes", ("mistake", "in", "flagged", "of"))
    for one in found:
        kind = one.kind.replace("_", " ")
        table.add_row(one.mistake, kind, str(one.flagged), str(one.seeds))
    console.print(table)


def _table(console: Console, title: str, columns: tuple[str, ...]) -> Table:
    plain = not console.is_terminal
    table = Table(
        title=title,
        title_justify="left",
        title_style="" if plain else "bold",
        header_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
    )
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    return table
