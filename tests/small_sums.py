"""Agents of one roster under the production policy, and a centre that relays between them."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from client.agent.aggregation import Member, SecureAggregation
from client.agent.attempts import Attempts
from client.agent.facts import Membership, SiteFacts
from client.agent.people import SitePeople
from client.agent.sums import Asked
from client.agent.training import Training
from client.policy import SitePolicy
from client.privacy.entropy import OsEntropy
from client.privacy.ledger import Budget, Ledger
from common.privacy.plan import PrivacyPlan
from common.secagg.phases import PHASES, VECTOR
from common.secagg.terms import Context, terms_of
from common.trust.charter import charter_digest
from common.trust.keys import SigningKey
from common.trust.roster import Roster, SiteEntry
from common.trust.signed import Signed
from server.strategies.aggregating import Aggregation
from tests.fakes import TRUNK
from tests.small_site import (
    CENTRE,
    FEDERATION,
    KEY,
    POLICY,
    RUN,
    D,
    K,
    features,
    frame,
    mean_plan,
    offer,
)

NAMES = ("east", "north", "south", "west")
SHARED: dict[str, Any] = {"noise": "distributed", "honest_sites": 3, "cohort": 3}


def shared_mean(**terms: Any) -> PrivacyPlan:
    return mean_plan(**{**SHARED, **terms})


Put = dict[tuple[int, int], np.ndarray]  # by round and attempt, what a site put into the sum


class Recording(SecureAggregation):
    """Notes in ``put`` what goes under the masks: what no real agent shows anybody."""

    def __init__(self, member: Member, attempts: Attempts, put: Put) -> None:
        super().__init__(member, attempts)
        self._put = put

    def answer(
        self, context: Context, phase: str, payload: bytes, release: Callable[[], np.ndarray]
    ) -> bytes:
        def noted() -> np.ndarray:
            steps = release()
            self._put[context.round, context.attempt] = steps
            return steps

        return super().answer(context, phase, payload, noted)


@dataclass
class Sharing:
    """Four sites; ``rooms`` are their agents, ``policy`` that of each."""

    folder: Path
    policy: SitePolicy = POLICY
    keys: dict[str, SigningKey] = field(
        default_factory=lambda: {name: SigningKey.generate() for name in NAMES}
    )
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    attempts: dict[str, Attempts] = field(default_factory=dict)
    put: dict[str, Put] = field(default_factory=lambda: {name: {} for name in NAMES})
    size: int = K  # coordinates of the first round

    def __post_init__(self) -> None:
        self.roster = Roster(
            federation=FEDERATION, number=1, sites=tuple(self.entry(name) for name in NAMES)
        )
        self.rooms = {name: self.start(name) for name in NAMES}

    def entry(self, name: str) -> SiteEntry:
        identity = self.keys[name].public.text
        return SiteEntry(
            name=name,
            identity=identity,
            node=f"of {name}",
            camera_type="door",
            people=self.policy.declared_people,
        )

    def people(self, name: str) -> SitePeople:
        """Who is at ``name``."""
        return SitePeople(features(5, 3, NAMES.index(name)), np.repeat(np.arange(5), 3))

    def start(self, name: str) -> Training:
        """The agent of ``name`` as after a restart."""
        if name in self.ledgers:
            self.ledgers[name].close()
            self.attempts[name].close()
        budget = Budget(self.policy.epsilon, self.policy.delta)
        ledger = self.ledgers[name] = Ledger(self.folder / f"{name}.db", KEY, budget)
        membership = Membership(
            federation=FEDERATION, site=name, identity=self.keys[name], centre=CENTRE.public
        )
        member = Member(
            name=name,
            key=self.keys[name],
            roster=lambda: self.roster,
            least_sites=self.policy.least_sites,
        )
        self.attempts[name] = Attempts(self.folder / f"{name}.attempts")
        facts = SiteFacts(
            camera_type="door",
            trunk=TRUNK,
            people=self.people(name),
            negatives=np.random.default_rng(9).normal(size=(8, D)).astype(np.float32),
            membership=membership,
            aggregation=Recording(member, self.attempts[name], self.put[name]),
        )
        return Training(facts, self.policy, ledger, OsEntropy())

    def close(self) -> None:
        """All their files."""
        for file in (*self.ledgers.values(), *self.attempts.values()):
            file.close()

    def accept(self, plan: PrivacyPlan, **terms: Any) -> None:
        """All sites accept ``plan`` for ``RUN``, in a charter that names them all as members."""
        told = offer(plan, members={"door": NAMES}, **terms)
        self.plan, self.digest = plan, charter_digest(Signed.from_json(told.charter))
        for room in self.rooms.values():
            room.accept(told)

    def context(self, attempt: int = 1) -> Context:
        terms = terms_of(self.plan, self.plan.mechanisms[0], NAMES, self.size)
        words = {"federation": FEDERATION, "charter": self.digest, "run": RUN, "round": 1}
        return Context(**words, attempt=attempt, terms=terms)  # type: ignore[arg-type]

    def answer(
        self, name: str, phase: str, payload: bytes, attempt: int = 1, /, **words: Any
    ) -> bytes:
        arrays = frame() if phase == VECTOR else {}
        asked = Asked(
            run=RUN, round=1, attempt=attempt, phase=phase, payload=payload, arrays=arrays
        )
        return self.rooms[name].aggregate(dataclasses.replace(asked, **words))

    def until(self, phase: str, attempt: int = 1, lost: Mapping[str, str] = {}) -> Aggregation:
        """The centre before ``phase``; ``lost`` has for a site the first phase it misses."""
        centre = Aggregation(self.context(attempt), self.roster)
        for earlier in PHASES[: PHASES.index(phase)]:
            self.take(centre, earlier, attempt, lost)
        return centre

    def take(
        self, centre: Aggregation, phase: str, attempt: int = 1, lost: Mapping[str, str] = {}
    ) -> None:
        gone = PHASES[: PHASES.index(phase) + 1]
        centre.take(
            phase,
            {
                name: self.answer(name, phase, payload, attempt)
                for name, payload in centre.requests(phase).items()
                if lost.get(name) not in gone
            },
        )

    def kinds(self, name: str) -> list[str]:
        return [entry.kind for entry in self.ledgers[name].entries()]
