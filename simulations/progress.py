"""Progress on stderr: one bar a task on a terminal, one plain line a task elsewhere."""

from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bars:
    """A stack of progress bars; use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def start(self, what: str, total: int) -> Callable[[int], None]:
        """Opens a bar of ``total`` steps and returns how to move it on."""
        if not self._console.is_terminal:
            self._console.print(f"{what} ({total})", highlight=False)
        task = self._bars.add_task(what, total=total)
        return lambda steps: self._bars.advance(task, steps)

    def say(self, text: str) -> None:
        """One line that stays, above the bars."""
        self._console.print(text, highlight=False)

    def __enter__(self) -> "Bars":
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()
