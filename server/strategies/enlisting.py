"""Before round 1: which nodes are sites of the roster, and which of them accept the charter."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flwr.app import ConfigRecord, Message, RecordDict

from common import wire
from common.errors import CohortError, SignatureError
from common.trust.charter import array_digests, charter_digest
from common.trust.keys import PublicKey
from common.trust.presence import Presence, new_challenge
from common.trust.roster import MOST_PEOPLE, Roster, SiteEntry
from common.trust.signed import Signed
from server.charter import Charter
from server.checkpoint import PoolArrays
from server.runs.register import Register
from server.strategies.countersigning import NodeHeads
from server.strategies.declined import ABSENT, NO_ANSWER, NOT_ADMITTED, told

log = logging.getLogger(__name__)

Answers = dict[int, ConfigRecord]
Exchange = Callable[[list[Message], str], list[Message]]


@dataclass(slots=True)
class Enlisted:
    """The nodes of a run that accepted its charter, by pool; weights are public constants.

    ``people`` is what each node's operator declared, ``sites`` who it is where a roster says so.
    """

    pools: dict[str, list[int]] = field(default_factory=dict)
    people: dict[int, int] = field(default_factory=dict)
    sites: dict[int, SiteEntry] = field(default_factory=dict)

    @property
    def nodes(self) -> list[int]:
        return sorted(node for nodes in self.pools.values() for node in nodes)

    def place(self, node: int) -> tuple[str, int]:
        """Where the reply of ``node`` stands in a sum of floats, whose last bits its order decides.

        Neither the first to answer nor numbers of nodes, which a new SuperLink draws anew, decide.
        """
        site = self.sites.get(node)
        return ("" if site is None else site.name, node)

    def weights(self, pool: str) -> dict[int, int]:
        return dict.fromkeys(self.pools[pool], 1)


@dataclass(frozen=True, slots=True)
class Enlisting:
    """Describes, checks and offers. ``exchange`` sends messages of a group and waits.

    ``declined`` is filled with why nodes were left out, ``known`` with the sites they proved to be.

    Guarantee: with a ``register``, a node counts only if the identity key of an admitted site
    signed a challenge drawn for that very node; one node a site.
    Leaks: without one (the laboratory) every node that answers counts.
    """

    charter: Charter
    signed: Signed
    exchange: Exchange
    register: Register | None = None
    declined: dict[int, str] = field(default_factory=dict)
    known: dict[int, SiteEntry] = field(default_factory=dict)

    def enlist(self, nodes: list[int], initial: PoolArrays) -> Enlisted:
        """The nodes that accept the charter, whose arrays are ``initial``.

        Raises ``CohortError`` if they are fewer than the plan's cohort, and says who gave which
        reason.
        """
        plan, enlisted = self.charter.plan, Enlisted()
        challenges = {node: new_challenge() if self.register else b"" for node in nodes}
        described = self._ask(
            "query.describe", {node: {wire.CHALLENGE: challenges[node]} for node in nodes}
        )
        willing = self._willing(described, challenges)
        enlisted.sites = {node: site for node, site in self.known.items() if node in willing}
        digest, heads = charter_digest(self.signed), NodeHeads(self.register, enlisted.sites)
        for node, answer in sorted(self._offer(willing, heads, initial).items()):
            if answer.get(wire.CHARTER_DIGEST) == digest:
                kind, people = _public(willing[node], enlisted.sites.get(node))
                pool = kind if plan.pooling == "camera_type" else "all"
                enlisted.pools.setdefault(pool, []).append(node)
                enlisted.people[node] = people
                heads.keep(node, answer)
        if len(enlisted.nodes) < plan.cohort:
            raise CohortError(
                f"{len(enlisted.nodes)} sites accepted the plan, "
                f"the cohort minimum is {plan.cohort}{told(self.reasons(), digest)}"
            )
        return enlisted

    def reasons(self) -> dict[str, str]:
        """Why sites, or nodes that no site is known behind, do not take part."""
        found = {
            self.known[node].name if node in self.known else f"node {node}": reason
            for node, reason in self.declined.items()
        }
        here = {site.name for site in self.known.values()}
        admitted = self.register.roster.admitted if self.register is not None else ()
        return found | {site.name: ABSENT for site in admitted if site.name not in here}

    def _fault(self, facts: ConfigRecord) -> str | None:
        """Why a node that says ``facts`` of itself cannot take part."""
        if facts.get(wire.VERSION) != wire.PROTOCOL:
            return "PROTOCOL_VERSION"
        if facts.get(wire.TRUNK) != self.charter.plan.trunk:
            return "TRUNK_MISMATCH"
        return None if _declared(facts) else "INVALID_REQUEST"

    def _willing(self, described: Answers, challenges: Mapping[int, bytes]) -> Answers:
        """Nodes that fit the charter and, where there is a roster, prove to be a site of it."""
        willing: Answers = {}
        faults = {node: self._fault(facts) for node, facts in described.items()}
        for node in sorted(described, key=lambda node: (faults[node] is not None, node)):
            facts, fault = described[node], faults[node]
            if self.register is not None:
                entry = self._proven(self.register.roster, facts, challenges[node])
                if entry is None or entry in self.known.values():
                    log.warning("node %d is no site of the roster, or a second one of it", node)
                    self.declined[node] = NOT_ADMITTED
                    continue
                self.known[node] = entry
            if fault is None:
                willing[node] = facts
            else:
                self.declined[node] = fault
        return willing

    def _proven(self, roster: Roster, facts: ConfigRecord, challenge: bytes) -> SiteEntry | None:
        entry = roster.site(str(facts.get(wire.SITE, "")))
        if entry is None or entry.state != "admitted":
            return None
        declared = Presence(
            federation=roster.federation,
            site=entry.name,
            camera_type=entry.camera_type,
            trunk=str(facts.get(wire.TRUNK, "")),
            people=entry.people,
        )
        signature = facts.get(wire.SIGNATURE, b"")
        try:
            declared.verify(
                PublicKey.of(entry.identity),
                challenge,
                signature if isinstance(signature, bytes) else b"",
            )
        except SignatureError:
            return None
        return entry

    def _offer(
        self, willing: Mapping[int, ConfigRecord], heads: NodeHeads, initial: PoolArrays
    ) -> Answers:
        digests, offers = ConfigRecord(dict(array_digests(initial))), {}
        text = self.signed.to_json()
        for node in sorted(willing):
            offers[node] = {wire.CHARTER: text, wire.HEAD: heads.last(node)}
            if self.register is not None and self.charter.members:  # who else is in its sums
                offers[node][wire.ROSTER] = self.register.text
        return self._ask("query.accept", offers, {wire.INITIAL: digests})

    def _ask(
        self,
        kind: str,
        questions: Mapping[int, Mapping[str, Any]],
        shared: Mapping[str, ConfigRecord] | None = None,
    ) -> Answers:
        asked, answers = [], {}
        for node, config in questions.items():
            record = ConfigRecord({wire.VERSION: wire.PROTOCOL, wire.RUN: self.charter.run})
            record.update(config)
            content = RecordDict({wire.CONFIG: record, **(shared or {})})
            ttl = self.charter.timeout
            asked.append(Message(content, node, kind, ttl=ttl, group_id=kind))
        self.declined.update(dict.fromkeys(questions, NO_ANSWER))
        for reply in self.exchange(asked, kind):
            node = reply.metadata.src_node_id
            self.declined.pop(node, None)
            if reply.has_error():
                reason = reply.error.reason if reply.error.reason in wire.REASONS else "error"
                self.declined[node] = reason
                log.warning("node %d refused %s: %s", node, kind, reason)
            elif wire.CONFIG in reply.content.config_records:
                answers[node] = reply.content.config_records[wire.CONFIG]
        return answers


def _public(facts: ConfigRecord, site: SiteEntry | None) -> tuple[str, int]:
    """Camera type and people of a node: the roster's, or as it told where there is none."""
    if site is not None:
        return site.camera_type, site.people
    return str(facts.get(wire.CAMERA_TYPE, "")), _declared(facts) or 0


def _declared(facts: ConfigRecord) -> int | None:
    """The people a site declared, or None where it declared none that can be meant."""
    people = facts.get(wire.PEOPLE)
    return people if isinstance(people, int) and 1 <= people <= MOST_PEOPLE else None
