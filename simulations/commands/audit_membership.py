"""`mascaron-lab audit membership`: who trained a final model, asked with and without protection."""

import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from common.console import result
from common.errors import ScenarioError
from common.evidence.section import Section
from common.outputs import check_folder
from simulations.evidence.federations import DELTA, Federations, federations_of
from simulations.evidence.keeping import keep_section
from simulations.evidence.membership import MembershipPlan, attack_membership
from simulations.evidence.subject import Subject, SubjectOptions, load_subject
from simulations.progress import Bars, stderr_console

LEAST = 48  # people, for an attack that says anything


@dataclass(frozen=True, kw_only=True)
class MembershipOptions(SubjectOptions):
    """Everything ``mascaron-lab audit membership`` may be told."""

    epsilon: tuple[float, ...] = ()
    delta: float | None = None
    shadows: int | None = None
    out: Path | None = None

    def __post_init__(self) -> None:
        if any(not 0 < epsilon <= 50 for epsilon in self.epsilon):
            raise ScenarioError("epsilon must be in (0, 50]")
        if self.delta is not None and not 0 < self.delta < 1e-2:
            raise ScenarioError(f"delta must be in (0, 0.01), got {self.delta}")

    @property
    def plan(self) -> MembershipPlan:
        told: dict[str, Any] = {"seed": self.seed}
        if self.epsilon:
            told["epsilons"] = self.epsilon
        if self.shadows is not None:
            told["shadows"] = self.shadows
        return MembershipPlan(**told)

    @property
    def subject(self) -> SubjectOptions:
        return SubjectOptions(**{f.name: getattr(self, f.name) for f in fields(SubjectOptions)})

    @property
    def command(self) -> str:
        """That anybody can type, without paths."""
        plan = self.plan
        told = [f"--epsilon {epsilon:g}" for epsilon in plan.epsilons]
        told += [f"--shadows {plan.shadows}", f"--seed {self.seed}"]
        told += [f"--folds {self.folds}", f"--threshold-folds {self.threshold_folds}"]
        return " ".join(["mascaron-lab audit membership", *told])


def membership_command(**options: Any) -> None:
    """Attacks; prints a table to stderr and the section as JSON to stdout."""
    import torch

    given = MembershipOptions(**options)
    for folder, option in ((given.out, "--out"), (given.cache, "--cache")):
        if folder is not None:
            check_folder(folder, option)
    torch.set_num_threads(given.threads)
    console = stderr_console()
    begun = time.monotonic()
    with Bars(console) as bars, TemporaryDirectory() as scratch:
        subject = load_subject(given.subject, bars)
        federations = _federations(given, subject, given.cache or Path(scratch), bars)
        figures, failed = attack_membership(federations, given.plan, bars)
    section = subject.section(
        "membership",
        figures,
        seed=given.seed,
        command=given.command,
        failed=failed,
        minutes=round((time.monotonic() - begun) / 60, 2),
    )
    _print(section, console)
    if given.out is not None:
        keep_section(section, given.out)
    result(asdict(section))


def _federations(
    given: MembershipOptions, subject: Subject, cache: Path, bars: Bars
) -> Federations:
    made = federations_of(subject, cache, DELTA if given.delta is None else given.delta, bars)
    if made.people < LEAST:
        raise ScenarioError(
            f"{made.people} people with two pictures are too few: name more --folds or --people"
        )
    return made


def _print(section: Section, console: Console) -> None:
    plain = not console.is_terminal
    table = Table(
        title=f"who trained? {section.figures['shadows']} shadows, the better of LiRA and RMIA",
        title_justify="left",
        title_style="" if plain else "bold",
        header_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
    )
    for number, column in enumerate(
        ("protection", "people", "area under ROC", "at FPR 1e-2", "at FPR 1e-3", "epsilon >=")
    ):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for name, arm in section.figures.items():
        if not isinstance(arm, dict):
            continue
        low, high = arm["auc_ci95"]
        rates = ["-" if rate is None else f"{rate:.4f}" for rate in arm["tpr_at_fpr"].values()]
        epsilon = f"epsilon {arm['epsilon']:g}" if arm["epsilon"] else _WORDS[name]
        auc = f"{arm['auc']:.3f} [{low:.3f}, {high:.3f}]"
        proven = f"{max(arm['empirical_epsilon'], arm['one_run_epsilon']):.2f}"
        table.add_row(epsilon, str(arm["people"]), auc, *rates, proven)
    console.print(table)
    for failure in section.failed:
        console.print(f"FAILED {failure}")


_WORDS = {"unprotected": "none, few people, long", "without": "clip, no noise"}
