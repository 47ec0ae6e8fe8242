"""One federated run inside this process: real ServerApp, courier, agents, ledgers and gate.

Nothing is faked but the transport and, unless asked otherwise, the entropy.
"""

import logging
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from flwr.app import Context, Message
from numpy.typing import NDArray

from client.agent.aggregation import SecureAggregation
from client.agent.facts import Membership, SiteFacts
from client.agent.people import SitePeople
from client.agent.service import AgentService
from client.agent.training import Training
from client.app import make_app
from client.policy import SitePolicy
from client.privacy.entropy import Entropy, OsEntropy
from client.privacy.ledger import Budget, Ledger
from common.errors import RunError
from common.moments.reference import Reference
from common.privacy.accountant import epsilon
from common.privacy.heads import WORDS
from common.privacy.plan import PrivacyPlan
from common.trust.keys import SigningKey
from common.trust.roster import Roster
from server.app import app as server_app
from server.charter import Charter
from server.checkpoint import read_checkpoint
from server.monitor import save_public
from server.runs.members import members_of
from server.strategies.choice import FEDAVG, StrategyChoice
from simulations.agents import Agents, OpenAgent
from simulations.entropy import SeededEntropy
from simulations.grid import InProcessGrid
from simulations.signing import aggregation, enrol, entry, member, publish
from simulations.stub import InProcessStub

if TYPE_CHECKING:
    from common.text.encoding import TextEncoder

Arrays = dict[str, NDArray[Any]]
AnyLedger = TypeVar("AnyLedger", bound=Ledger)


class LaboratoryPolicy(SitePolicy):
    """Allows any noise, none and repeatable one too: arms nobody may run on real people."""

    def automatic(self, plan: PrivacyPlan) -> bool:
        """Always: there is no operator."""
        return True

    def allows_noise(self, plan: PrivacyPlan) -> bool:
        return True

    def allows_plain(self, plan: PrivacyPlan) -> bool:
        """Always: every site is in this process, and a plain sum is the quick way to a figure."""
        return True

    def allows_objective(self, name: str) -> bool:
        """Any that was registered, and that needs a check to have passed."""
        return True

    def allows_head(self, kind: str) -> bool:
        """Any: labels here are those of invented people, or a researcher's own to answer for."""
        return True

    def check_means(self, budget: Budget, entropy: str, durable: bool) -> None:
        """Any: a fresh ledger is opened for every plan."""


class LaboratoryLedger(Ledger):
    """Waits for no disk: outlives being closed, not a power cut. ``SitePolicy`` refuses it."""

    _settings = ("journal_mode = MEMORY", "synchronous = OFF")


@dataclass(frozen=True, kw_only=True, eq=False)
class Door:
    """One simulated site before its agent exists: name, what it declares, people."""

    name: str
    camera_type: str
    people: SitePeople
    declared_people: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What a run left behind: shared arrays by pool, what each site spent, bytes, what left.

    ``history`` has one entry a round, as in the checkpoint.
    """

    pools: dict[str, Arrays]
    spent: dict[str, float]  # epsilon at the plan's delta, by site
    uploaded: dict[str, int]  # bytes of arrays, by site
    downloaded: dict[str, int]
    left: list[tuple[str, str, tuple[int, ...]]]  # site, array name, shape
    entropy: str
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, eq=False)
class Federation:
    """The sites of one repetition, ready to run plans.

    The centre scores the tail on ``watched`` public people after every round of gradients, and
    evaluates by them; with the ``reference`` of public people it evaluates what the releases make
    of the tail, else the tail itself.

    Where the noise is distributed and ``secure``, every round goes through the whole protocol of
    secure sums. By default it does not: the centre is handed each site's part and adds them up,
    which is quicker and has the same result. The sum under masks is the exact sum of what the sites
    put in; what they put in differs by rounding to a grid of at most 2^-10 of the clip, and by
    noise on that grid whose variance is 1025/1024 of the plain one.
    """

    doors: list[Door]
    trunk: str
    negatives: NDArray[np.float32]  # (M, D) public features
    watched: tuple[NDArray[np.float32], NDArray[np.int64]] | None = None  # public (W, D) and (W,)
    reference: Reference | None = None
    entropy: str = "seeded"
    strategy: StrategyChoice = FEDAVG
    secure: bool = False

    def run(
        self, plan: PrivacyPlan, initial: Arrays, folder: Path, seed: tuple[int, ...]
    ) -> Outcome:
        """Runs ``plan`` from ``initial``; ``folder`` gets charter, checkpoint and ledgers.

        Every site gets a fresh ledger whose budget is exactly what the plan costs.
        """
        name = f"run-{'-'.join(map(str, seed))}"
        key = SigningKey.generate()
        members = [member(door.name, key.public) for door in self.doors]
        sums = self._sums(plan, members, key, folder)
        pools = members_of(plan, sums.roster) if sums else {}
        charter = Charter(run=name, plan=plan, strategy=self.strategy, members=pools)
        publish(charter, initial, folder, key)
        looked_at = {m.kind for m in plan.mechanisms} & {"gradient", "evaluation"}
        if self.watched is not None and looked_at:
            save_public(folder, *self.watched, self.reference)
        encoder = encoder_of(plan)
        entropy = [self._entropy((*seed, number)) for number in range(len(self.doors))]
        budget = Budget(epsilon=epsilon(plan.events(), plan.delta), delta=plan.delta)
        config = {"charter": str(folder), "folder": str(folder), "resume": False}
        left: list[tuple[str, str, tuple[int, ...]]] = []

        def connect(context: Context) -> InProcessStub:
            return agents.stub(int(context.node_config["partition-id"]))

        def watch(reply: Message) -> None:
            name = self.doors[reply.metadata.src_node_id - 2].name
            for record in reply.content.array_records.values() if reply.has_content() else ():
                left.extend((name, key, tuple(a.shape)) for key, a in record.items())

        def start(number: int) -> OpenAgent:
            ledger = open_ledger(folder, self.doors[number].name, budget, LaboratoryLedger)
            facts = replace(self._facts(number, members[number], sums), encoder=encoder)
            return self._agent(number, ledger, entropy[number], facts)

        with Agents(start) as agents:
            grid = InProcessGrid(make_app(connect), len(self.doors), {**config, "agent-folder": ""})
            grid.watch = watch
            with quiet_flower():
                server_app(grid, grid.server_context(config))
        state = read_checkpoint(folder, plan.digest)
        if state is None:
            raise RunError("the run left no checkpoint")
        return Outcome(
            pools=state.pools,
            spent={door.name: agents.spent[n] for n, door in enumerate(self.doors)},
            uploaded=self._by_name(grid.uploaded),
            downloaded=self._by_name(grid.downloaded),
            left=left,
            entropy=self.entropy,
            history=state.history,
        )

    def _by_name(self, nodes: Mapping[int, int]) -> dict[str, int]:
        return {door.name: nodes.get(n + 2, 0) for n, door in enumerate(self.doors)}

    def _entropy(self, seed: tuple[int, ...]) -> Entropy:
        """Outlives an agent that is closed and opened: no draw is ever made twice."""
        return OsEntropy() if self.entropy == "os" else SeededEntropy(*seed)

    def _sums(
        self, plan: PrivacyPlan, members: list[Membership], key: SigningKey, folder: Path
    ) -> "_Sums | None":
        """What the sites share where the rounds of ``plan`` are secure sums.

        The sites' secrets outlive an agent that is closed to save files; a real one that stops in
        a round is lost to it (``simulations.trial``).
        """
        if not self.secure or plan.noise != "distributed":
            return None
        pairs = zip(self.doors, members, strict=True)
        entries = [entry(m, door.camera_type, door.declared_people) for door, m in pairs]
        roster = enrol(entries, key, folder)
        return _Sums(roster, [aggregation(m, roster, folder) for m in members])

    def _facts(self, number: int, membership: Membership, sums: "_Sums | None") -> SiteFacts:
        door = self.doors[number]
        return SiteFacts(
            camera_type=door.camera_type,
            trunk=self.trunk,
            people=door.people,
            negatives=self.negatives,
            membership=membership,
            aggregation=sums.sites[number] if sums else None,
        )

    def _agent(self, number: int, ledger: Ledger, entropy: Entropy, facts: SiteFacts) -> OpenAgent:
        policy = LaboratoryPolicy(
            epsilon=50.0,
            delta=ledger.budget.delta,
            declared_people=self.doors[number].declared_people,
        )
        service = AgentService(Training(facts, policy, ledger, entropy))
        return OpenAgent(service=service, ledger=ledger)


@dataclass(frozen=True, slots=True)
class _Sums:
    roster: Roster
    sites: list[SecureAggregation]  # in the order of the doors


def open_ledger(folder: Path, name: str, budget: Budget, kind: type[AnyLedger]) -> AnyLedger:
    """The ledger of the site ``name`` in ``folder``, with a key of its own that lies beside it."""
    path = folder / f"{name}.key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return kind(folder / f"{name}.db", path.read_bytes(), budget)


def encoder_of(plan: PrivacyPlan) -> "TextEncoder | None":
    """The text encoder that the sites of a laboratory have: the built-in one, where it is used."""
    if not any(head.kind == WORDS for head in plan.heads):
        return None
    from common.text.encoder import built_in

    return built_in()


@contextmanager
def quiet_flower() -> Iterator[None]:
    """Flower's progress lines are not ours; a program's own use of Flower stays as loud as before.

    The level is the process's: while a run lasts, other threads hear only Flower's errors too.
    """
    log = logging.getLogger("flwr")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
