"""Progress on stderr: one bar a task on a terminal, one plain line a task elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

WIDTH = 100  # columns of a table where nobody looks at it


def stderr_console() -> Console:
    """Where progress and tables go; as wide as a table where nobody looks at it."""
    console = Console(stderr=True)
    return console if console.is_terminal else Console(stderr=True, width=WIDTH)


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

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Bars opened within are taken away at the end: one part of something longer."""
        before = set(self._bars.task_ids)
        try:
            yield
        finally:
            for task in set(self._bars.task_ids) - before:
                self._bars.remove_task(task)

    def __enter__(self) -> "Bars":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


class Told:
    """Progress for a program: ``listener(what, done, total)`` at every step, or nobody."""

    def __init__(self, listener: Callable[[str, int, int], None] | None = None) -> None:
        self._listener = listener

    def start(self, what: str, total: int) -> Callable[[int], None]:
        """Tells of the start, and returns how to tell of steps."""
        done = 0

        def step(steps: int) -> None:
            nonlocal done
            done += steps
            if self._listener:
                self._listener(what, done, total)

        step(0)
        return step

    def say(self, text: str) -> None:
        """A line has no steps."""
        if self._listener:
            self._listener(text, 0, 0)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Nothing to take away."""
        yield
