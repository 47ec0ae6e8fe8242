"""Four agents, a grid and a centre that may die and come again: every total is checked."""

import dataclasses
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from flwr.app import Context, Message

from client.agent.jobs import Jobs
from client.agent.service import AgentService
from client.app import make_app
from common.moments.names import sum_name
from common.privacy.plan import PrivacyPlan
from common.secagg.terms import terms_of
from server import phases
from server.charter import Charter
from server.checkpoint import RunState, read_checkpoint
from server.runs.heads import HeadStore
from server.runs.register import Register
from server.strategies.rounds import RoundLoop
from server.strategies.secure import KIND
from simulations.faults import FaultyGrid, Weather
from simulations.grid import InProcessGrid
from simulations.stub import InProcessStub
from tests.small_site import CENTRE, FEDERATION, POLICY, RUN, initial
from tests.small_sums import NAMES, Sharing, shared_mean


@dataclass
class Afternoon:
    """Four agents under the production policy, and a centre that may die and come again.

    ``before`` is called before each phase with its group's words: round, attempt, phase.
    """

    folder: Path
    plan: PrivacyPlan = field(default_factory=shared_mean)
    weather: Weather | None = None
    before: Callable[[int, int, str], None] = lambda number, attempt, phase: None
    lost: Callable[[str, str], bool] = lambda name, phase: False  # whether a reply is
    checked: list[tuple[str, ...]] = field(default_factory=list)  # who was in each exact sum

    def __post_init__(self) -> None:
        policy = dataclasses.replace(POLICY, epsilon=50.0)
        self.sites = Sharing(self.folder, policy=policy)
        self.charter = Charter(run=RUN, plan=self.plan, timeout=100.0, members={"door": NAMES})
        self.signed = self.charter.terms(FEDERATION, initial(), 2**40).sign(CENTRE)
        app = make_app(self._connect)
        weather = self.weather
        self.grid: InProcessGrid = (
            InProcessGrid(app, len(NAMES), {})
            if weather is None
            else FaultyGrid(app, len(NAMES), {}, weather)
        )

    def go(self) -> RunState:
        """The centre, from its checkpoint to the end of the plan."""
        grid, register = Hooked(self), self.register
        loop = RoundLoop(grid, self.charter, self.signed, self.folder, register=register)
        loop.done = lambda state: self._check(loop, state)
        digest = self.plan.digest
        state = read_checkpoint(self.folder, digest) or RunState(plan=digest)
        return loop.run(state, initial())

    @property
    def register(self) -> Register:
        heads = HeadStore(self.folder / "heads", FEDERATION)
        return Register(roster=self.sites.roster, heads=heads)

    def kill(self, name: str) -> None:
        """The agent of ``name`` dies, and is started again."""
        self.sites.rooms[name] = self.sites.start(name)

    @property
    def attempts(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.folder / "attempts.json").read_text("utf-8"))
        return found

    def charged(self, name: str) -> int:
        return self.sites.kinds(name).count("reserve")

    def _connect(self, context: Context) -> InProcessStub:
        name = NAMES[int(context.node_config["partition-id"])]
        return InProcessStub(AgentService(self.sites.rooms[name], Jobs()))

    def _check(self, loop: RoundLoop, state: RunState) -> None:
        """The total of a round is that of what the sites in it put in, to the last bit."""
        current = self.plan.rounds[state.round - 1]
        names, attempt = loop.summed["door"], self.attempts[str(state.round)]
        assert not set(names) & set(loop.left_out)
        parts = [self.sites.put[name][state.round, attempt] for name in names]
        terms = terms_of(self.plan, current.mechanism, NAMES, len(parts[0]))
        total = terms.grid.decode(np.sum(parts, axis=0))
        average = phases.averaged(
            current, initial(), total, phases.SumTerms(sites=len(names), people=1)
        )
        name = sum_name(current.mechanism.name)
        expected = np.asarray(average[name] * len(names), np.float32)
        np.testing.assert_array_equal(state.pools["door"][name], expected)
        self.checked.append(names)


class Hooked(InProcessGrid):
    """The grid of an afternoon, whose phases are announced and whose replies may be lost."""

    def __init__(self, it: Afternoon) -> None:
        self._it, self._grid = it, it.grid

    def get_node_ids(self) -> list[int]:
        return list(self._grid.get_node_ids())

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        asked, phase = list(messages), ""
        if asked and asked[0].metadata.message_type == KIND:
            words, phase = asked[0].metadata.group_id.split(" ")
            number, attempt = words.split(".")
            self._it.before(int(number), int(attempt), phase)
        replies = self._grid.send_and_receive(asked, timeout=timeout)
        return [
            reply
            for reply in replies
            if not self._it.lost(NAMES[reply.metadata.src_node_id - 2], phase)
        ]
