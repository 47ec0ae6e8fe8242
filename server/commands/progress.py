"""How far a long command is, on a terminal's stderr; nothing where nobody looks."""

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def bars_of(console: Console) -> Progress:
    """Bars with counts and the time that is left, once ``with`` begins."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


class Started:
    """What a studio or the like is doing, as ``bars``."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def start(self, what: str, total: int) -> Callable[[int], None]:
        task = self._bars.add_task(what, total=total)
        return lambda steps: self._bars.advance(task, steps)
