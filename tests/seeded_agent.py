"""A test build of `mascaron-site`: its agent draws the same noise for a round that is repeated.

It says that its noise is the system's, which is a lie that only this file tells. Nothing that is
installed imports it, and the command as installed has no option that leads to repeatable noise.
"""

from typing import Any

from client.agent import training
from simulations.entropy import SeededEntropy


class Repeated(SeededEntropy):
    """Seeded noise that claims to be the operating system's."""

    kind = "os"


class SameNoise(training.Training):
    """Draws for a round what it drew for it before, restarts included."""

    def _train(self, run: str, number: int, arrays: Any) -> Any:
        self._entropy = Repeated(*self.site.encode(), number)
        return super()._train(run, number, arrays)


def main() -> None:
    """`mascaron-site` with that agent."""
    from client.cli import main as command

    training.Training = SameNoise  # type: ignore[misc]
    command()
