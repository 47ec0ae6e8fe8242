"""`mascaron-admin detector train`: a detector of faces from invented people, progress on stderr."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from common.detection.weights import NAME
from common.outputs import check_folder
from server.commands.progress import bars_of

if TYPE_CHECKING:
    from server.detecting import training


def train_command(out: Path, minutes: float, **options: Any) -> dict[str, Any]:
    """Trains a detector into ``out``, for ``minutes`` at most, and returns how well it does.

    A training that was cut off goes on. Raises ``RunError`` where ``out`` cannot be written or
    holds another.
    """
    check_folder(out)
    from server.detecting.options import DetectorOptions
    from server.detecting.training import train_detector

    asked = DetectorOptions(**options)
    console = Console(stderr=True)
    with bars_of(console) as bars:
        told = _Told(bars)
        made = train_detector(out, asked, told, _Report(bars, asked.steps).report, minutes)
    if not made.ended:
        console.print(f"{made.step} of {asked.steps} steps: the same command goes on from there")
        return {"ended": False, "step": made.step, "steps": asked.steps}
    report: dict[str, Any] = {"ended": True, "step": made.step, "detector": str(out / NAME)}
    if made.manifest is not None and made.check is not None:
        report |= {"sha256": made.manifest.sha256, "threshold": made.manifest.threshold}
        report |= {f"held_out_{k}": v for k, v in dataclasses.asdict(made.check).items()}
    return report


class _Told:
    """Bars for what is made before training."""

    def __init__(self, bars: Progress) -> None:
        self.bars, self.tasks = bars, dict[str, Any]()

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self.tasks:
            self.tasks[what] = self.bars.add_task(f"inventing {what}", total=total)
        self.bars.update(self.tasks[what], completed=done)


class _Report:
    """A bar for the steps, and a line a check."""

    def __init__(self, bars: Progress, steps: int) -> None:
        self.bars, self.task = bars, bars.add_task("training", total=steps)
        self.losses: list[float] = []

    def report(self, progress: "training.Progress") -> None:
        self.bars.update(self.task, completed=progress.step)
        self.losses.append(progress.loss)
        if progress.check is not None:
            loss, self.losses = sum(self.losses) / len(self.losses), []
            self.bars.console.print(
                f"step {progress.step}: loss {loss:.2f}, held-out scenes: "
                f"{100 * progress.check.recall:.1f} % found at .1 false alarms a picture, "
                f"landmarks off by {100 * progress.check.landmark_error:.1f} % of the eyes",
                highlight=False,
            )
