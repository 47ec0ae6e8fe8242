"""A small federation in bad weather, from a seed to what is left of it.

Real ServerApp, courier, agents, gate and ledgers on the disk. Agents die and start again from
their ledgers; the centre dies and goes on from its checkpoint; an operator resumes what stopped.
"""

import dataclasses
import hashlib
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, Message
from numpy.typing import NDArray

from client.agent.facts import Membership, SiteFacts
from client.agent.people import SitePeople
from client.agent.service import AgentService
from client.agent.training import Training
from client.app import make_app
from client.privacy.chain import LedgerEntry
from client.privacy.ledger import Budget, Ledger
from common import wire
from common.errors import LedgerError, RunError
from common.models.tail import BIAS, WEIGHT
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.privacy.accountant import Event, epsilon
from common.privacy.plan import (
    EvaluationMechanism,
    GradientMechanism,
    Mechanism,
    MomentMechanism,
    PrivacyPlan,
)
from common.trust.keys import PublicKey
from server.app import app as server_app
from server.charter import Charter
from server.checkpoint import RunState, read_checkpoint
from server.monitor import save_public
from simulations.agents import Agents, OpenAgent
from simulations.entropy import SeededEntropy
from simulations.faults import STORM, Crossing, FaultyGrid, Odds, PowerCut, Weather
from simulations.federation import LaboratoryPolicy, open_ledger
from simulations.signing import member, publish
from simulations.stub import InProcessStub, gone

TRUNK, DELTA, FEATURES, SIDE = "t" * 64, 1e-4, 4, 3
MOST_STOPS, MOST_STARTS = 3, 100  # an operator gives up; a run that never gets on is a fault
KEYED = (wire.CHARTER, wire.CHARTER_DIGEST, wire.HEAD)
OPEN = 3  # agents at once: less than there are, so that some are closed between rounds


class MortalLedger(Ledger):
    """A ledger whose agent may die before and after each of the two steps that write."""

    weather: Weather

    def reserve(self, run: str, round: int, digest: str, event: Event) -> None:
        self._step("before the charge")
        super().reserve(run, round, digest, event)
        self._step("after the charge, before the noise")

    def release(self, run: str, round: int, digest: str, payload: bytes) -> None:
        self._step("after the noise, before the bytes are stored")
        super().release(run, round, digest, payload)
        self._step("after the bytes are stored, before the reply")

    def _step(self, name: str) -> None:
        self.weather.cut(self.weather.odds.agent, name)


class MortalStub(InProcessStub):
    """Reaches an agent that may die while it answers: the courier sees a broken connection."""

    def __init__(self, trial: "Trial", agents: Agents, number: int) -> None:
        super().__init__(agents.agent(number).service)
        self._trial, self._agents, self._number = trial, agents, number

    def Train(self, request: Any, timeout: float | None = None) -> Any:  # noqa: N802
        return self._survived(super().Train, request)

    def Evaluate(self, request: Any, timeout: float | None = None) -> Any:  # noqa: N802
        return self._survived(super().Evaluate, request)

    def _survived(self, method: Callable[[Any], Any], request: Any) -> Any:
        try:
            return method(request)
        except PowerCut:
            with self._trial.as_it_is_on_the_disk(self._number):
                self._agents.forget(self._number)
            raise gone() from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Books:
    """What one site's ledger says when all is over; ``fault`` is what its verification found."""

    entries: tuple[LedgerEntry, ...]
    epsilon: float
    fault: str = ""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Aftermath:
    """What a trial left: the last checkpoint, why it stopped, what crossed the grid, the books."""

    charter: Charter
    initial: dict[str, NDArray[np.float32]]
    pool_of: dict[int, str]  # by node
    people_of: dict[int, int]  # by node, as declared
    state: RunState | None
    stops: tuple[str, ...]  # what the operator was told, each time the run stopped by itself
    finished: bool
    crossings: list[Crossing]
    books: dict[int, Books]  # by node

    @property
    def hash(self) -> str:
        """SHA-256 over all that crossed, in order, and all that is left but keys and their tags."""
        state = hashlib.sha256()
        for c in self.crossings:
            head = (c.what, f"{c.time:.9g}", c.exchange, c.node, c.broken)
            state.update(repr((*head, *contents(c.message))).encode())
        for pool, arrays in sorted(self.state.pools.items() if self.state else ()):
            for name, array in sorted(arrays.items()):
                state.update(repr((pool, name, array.shape, array.tobytes())).encode())
        for node, books in sorted(self.books.items()):
            rows = [(e.kind, e.run, e.round, e.digest, e.payload_digest) for e in books.entries]
            state.update(repr((node, rows, books.epsilon)).encode())
        state.update(repr((self.stops, self.finished)).encode())
        return state.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Trial:
    """``seed`` decides people, plan, noise, weather and crashes. ``folder`` gets all files."""

    seed: int
    folder: Path
    odds: Odds = STORM
    gradient: float = 0.25  # the chance that gradient rounds follow the moments
    training: type[Training] = Training
    evaluated: bool = False  # an evaluation before everything and one after it
    patient: bool = False  # a round needs every site, budgets allow repeats, nobody gives up

    def run(self) -> Aftermath:
        """Runs to the end of the plan, or until the operator gives up."""
        rng = np.random.default_rng([self.seed, 1])
        types = "aabab"[: int(rng.integers(3, 6))]
        plan, share = _plan(rng, self.gradient), float(rng.choice([1.0, 2.5]))
        if self.evaluated:
            plan = _evaluated(plan)
            save_public(self.folder, *_public(self.seed))
        if self.patient:
            plan, share = dataclasses.replace(plan, cohort=len(types)), math.inf
        charter = Charter(run=f"trial-{self.seed}", plan=plan)
        budget = share * epsilon(plan.events(), DELTA)
        initial = _initial(rng)
        centre = publish(charter, dict(initial), self.folder)
        weather = Weather(self.odds, self.seed, 3)
        with Agents(self._starter(types, Budget(budget, DELTA), weather, centre), OPEN) as agents:

            def connect(context: Context) -> InProcessStub:
                return MortalStub(self, agents, int(context.node_config["partition-id"]))

            grid = FaultyGrid(make_app(connect), len(types), {}, weather)
            stops, finished = self._operate(grid)
            books = {n + 2: _books(agents.agent(n).ledger) for n in range(len(types))}
        return Aftermath(
            charter=charter,
            initial=initial,
            pool_of={n + 2: kind for n, kind in enumerate(types)},
            people_of={n + 2: _declared(n) for n in range(len(types))},
            state=read_checkpoint(self.folder, charter.plan.digest),
            stops=stops,
            finished=finished,
            crossings=grid.crossings,
            books=books,
        )

    def _starter(
        self, types: str, budget: Budget, weather: Weather, centre: PublicKey
    ) -> Callable[[int], OpenAgent]:
        """What starts an agent, the first time and after it died; its noise goes on, as the
        operating system's does."""
        entropy = [SeededEntropy(self.seed, 2, n) for n in range(len(types))]
        members = [member(f"site-{n}", centre) for n in range(len(types))]

        def start(number: int) -> OpenAgent:
            ledger = open_ledger(self.folder, f"site-{number}", budget, MortalLedger)
            ledger.weather = weather
            facts = _facts(self.seed, number, types[number], members[number])
            policy = LaboratoryPolicy(epsilon=50.0, delta=DELTA, declared_people=_declared(number))
            training = self.training(facts, policy, ledger, entropy[number])
            return OpenAgent(service=AgentService(training), ledger=ledger)

        return start

    @contextmanager
    def as_it_is_on_the_disk(self, number: int) -> Iterator[None]:
        """What happens inside to the ledger of a site, closing included, never happened."""
        kept = [p for p in self.folder.glob(f"site-{number}.db*") if not p.name.endswith("-shm")]
        aside = self.folder / "aside"
        aside.mkdir(exist_ok=True)
        for path in kept:
            shutil.copyfile(path, aside / path.name)
        yield
        for path in kept:
            shutil.copyfile(aside / path.name, path)

    def _operate(self, grid: FaultyGrid) -> tuple[tuple[str, ...], bool]:
        """Starts the centre again whenever it died or stopped; why it stopped, and whether done."""
        stops: list[str] = []
        for start in range(MOST_STARTS):
            folder = str(self.folder)
            config = {"charter": folder, "folder": folder, "resume": start > 0}
            try:
                with suppress(PowerCut):
                    server_app(grid, grid.server_context(config))
                    return tuple(stops), True
            except RunError as error:
                stops.append(str(error))
                if len(stops) == MOST_STOPS and not self.patient:
                    return tuple(stops), False
        raise RunError(f"the centre died {MOST_STARTS} times and never got on")


def contents(message: Message) -> Iterator[object]:
    """Everything of a message but moments in time, and what is made with keys."""
    told = message.metadata
    yield told.message_type, told.group_id, told.message_id, told.reply_to_message_id
    if message.has_error():
        yield message.error.code, message.error.reason
        return
    for key, record in sorted(message.content.array_records.items()):
        yield key, [(n, a.dtype, tuple(a.shape), a.data) for n, a in sorted(record.items())]
    for name, facts in sorted(message.content.config_records.items()):
        yield name, sorted((key, fact) for key, fact in facts.items() if key not in KEYED)
    for name, figures in sorted(message.content.metric_records.items()):
        yield name, sorted(figures.items())


def _plan(rng: np.random.Generator, gradient: float) -> PrivacyPlan:
    mechanisms: tuple[Mechanism, ...] = (
        MomentMechanism(kind="mean", name="mean", sigma=3.0, clip=1.0),
        MomentMechanism(kind="scatter", name="scatter", sigma=3.0, clip=1.0),
    )
    if rng.random() < gradient:
        steps = GradientMechanism(sigma=3.0, clip=1.0, rate=1.0, rounds=2, negatives=4)
        mechanisms = (*mechanisms, steps)
    return PrivacyPlan(mechanisms=mechanisms, people=5, delta=DELTA, trunk=TRUNK, cohort=2)


def _evaluated(plan: PrivacyPlan) -> PrivacyPlan:
    first, last = (EvaluationMechanism(sigma=3.0, name=name) for name in ("before", "after"))
    return dataclasses.replace(plan, mechanisms=(first, *plan.mechanisms, last))


def _public(seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    features = np.random.default_rng([seed, 5]).normal(size=(60, FEATURES)).astype(np.float32)
    return features, np.arange(60) // 2


def _initial(rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    shapes = {WEIGHT: (SIDE, FEATURES), BIAS: (SIDE,)}
    shapes |= {FRAME_WEIGHT: (SIDE, FEATURES), FRAME_BIAS: (SIDE,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def _facts(seed: int, number: int, camera_type: str, membership: Membership) -> SiteFacts:
    rng = np.random.default_rng([seed, 4, number])
    features = rng.normal(size=(8, FEATURES)).astype(np.float32)
    negatives = rng.normal(size=(6, FEATURES)).astype(np.float32)
    people = SitePeople(features, np.repeat(np.arange(4), 2))
    return SiteFacts(
        camera_type=camera_type,
        trunk=TRUNK,
        people=people,
        negatives=negatives,
        membership=membership,
    )


def _declared(number: int) -> int:
    return 5 + number


def _books(ledger: Ledger) -> Books:
    try:
        ledger.verify()
    except LedgerError as error:
        return Books(entries=ledger.entries(), epsilon=ledger.epsilon(), fault=str(error))
    return Books(entries=ledger.entries(), epsilon=ledger.epsilon())
