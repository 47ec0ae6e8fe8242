"""The agents of a simulated federation: opened when they are asked, few of them at once.

Every site keeps its ledger in a file of its own, as in production, and a system opens only so many
files. So beyond a limit the agent that was asked least recently is closed; opening it again is what
a restarted agent does: all it knows comes from its ledger.
"""

import resource
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.agent.people import SitePeople
from client.agent.service import AgentService
from client.privacy.ledger import Ledger
from simulations.stub import InProcessStub

MOST_OPEN = 1000  # agents, where the system lets this process open as many files
SHARE = 8  # an agent takes two files, or four with a log: three quarters are left to others


def most_open() -> int:
    """How many agents may be open at once under this process's limit of open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MOST_OPEN if files == resource.RLIM_INFINITY else files // SHARE
    return max(1, min(MOST_OPEN, allowed))


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class OpenAgent:
    """An agent that runs, and the ledger that closes with it."""

    service: AgentService
    ledger: Ledger


class Agents:
    """Starts agents with ``start(number)`` and keeps at most ``most`` (``most_open()``) open.

    ``spent`` has the epsilon of every agent that was ever closed, as of the last time. As a
    context manager, everything is closed when the block ends.
    """

    def __init__(self, start: Callable[[int], OpenAgent], most: int | None = None) -> None:
        self._start, self._most = start, most_open() if most is None else most
        if self._most < 1:
            raise ValueError(f"at least one agent has to be open, got {most}")
        self._open: OrderedDict[int, OpenAgent] = OrderedDict()
        self.spent: dict[int, float] = {}

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def agent(self, number: int) -> OpenAgent:
        """The agent of site ``number``, started if it does not run."""
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        while len(self._open) >= self._most:
            self._shut(*self._open.popitem(last=False))
        self._open[number] = self._start(number)
        return self._open[number]

    def stub(self, number: int) -> InProcessStub:
        """What a courier calls to reach site ``number``."""
        return InProcessStub(self.agent(number).service)

    def forget(self, number: int) -> None:
        """Drops an agent that crashed: nothing is read from it any more."""
        agent = self._open.pop(number, None)
        if agent is not None:
            agent.ledger.close()

    def close(self) -> None:
        """Closes all that are open; harmless when done twice."""
        while self._open:
            self._shut(*self._open.popitem(last=False))

    def _shut(self, number: int, agent: OpenAgent) -> None:
        try:
            self.spent[number] = agent.ledger.epsilon()
        finally:
            agent.ledger.close()

    def __enter__(self) -> "Agents":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SharedPeople(SitePeople):
    """People whose pictures are ``rows`` of ``features`` (N, D) that all sites share, uncopied.

    ``person`` (N,) labels all of ``features``. A bag whose rows follow one another is a view.
    """

    def __init__(
        self, features: NDArray[np.float32], person: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> None:
        if features.dtype != np.float32 or features.ndim != 2 or len(features) != len(person):
            raise ValueError("features must be (N, D) float32, one row for each entry of person")
        labels = person[rows]
        self._rows = rows[np.argsort(labels, kind="stable")]
        _, starts = np.unique(person[self._rows], return_index=True)
        self._bounds = np.append(starts, len(rows))
        self._features = features

    def bag(self, index: int) -> NDArray[np.float32]:
        rows = self._rows[self._bounds[index] : self._bounds[index + 1]]
        first, last = int(rows[0]), int(rows[-1])
        if last - first + 1 == len(rows) and (np.diff(rows) == 1).all():
            return self._features[first : last + 1]
        return self._features[rows]
