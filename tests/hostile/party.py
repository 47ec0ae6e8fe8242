"""The other members of a secure sum, as a courier has them that works for a hostile centre.

They follow the protocol as real sites do, and remember nothing that would keep them from being
asked twice; ``COLLUDER`` signs what it is told to. The centre's relay is the real one.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import grpc
import numpy as np

from client.agent.aggregation import Member, SecureAggregation
from client.agent.charters import Offer
from common import wire
from common.moments.names import sum_size
from common.privacy.plan import MomentMechanism, PrivacyPlan
from common.secagg.messages import Boxes, Cohort, Consents, Survivors
from common.secagg.phases import OPENING, PHASES, SHARES, SURVIVORS, VECTOR
from common.secagg.terms import Context, terms_of
from common.trust.charter import charter_digest
from common.trust.keys import SigningKey
from common.trust.roster import Roster, SiteEntry
from common.trust.signed import Signed
from protos.gen import agent_pb2 as pb
from server.strategies.aggregating import Aggregation
from tests.hostile.couriers import Catch, Scene
from tests.small_home import K, frame

COLLUDER, FRIEND, SITE = "ash", "beech", "north"
PEERS = (COLLUDER, FRIEND, "cedar", "elm")
NAMES = (*PEERS, SITE)  # in order: the last one is sent a box by each dealer
MESSAGES = {SHARES: Cohort, VECTOR: Boxes, SURVIVORS: Survivors, OPENING: Consents}
COHORT, HONEST = 4, 3  # of five members one may be lost, and one may collude


class NoMemory:
    """In place of ``Attempts``: a member that begins whatever it is asked for, again and again."""

    def begin(self, run: str, round: int, attempt: int) -> None:
        pass


class Party:
    """One run of secure sums: its charter, its members' keys, and those members but the site."""

    def __init__(self, scene: Scene, run: str, sigma: float = 40.0, **terms: Any) -> None:
        self.scene, self.run = scene, run
        self.keys = {name: SigningKey.load(scene.loot / f"{name}.key") for name in PEERS}
        self.roster = roster_of(scene, self.keys)
        arrays = terms.pop("arrays", None)
        mean = MomentMechanism(kind="mean", sigma=sigma, clip=1.0, name="mean")
        told = {"noise": "distributed", "cohort": COHORT, "honest_sites": HONEST, **terms}
        self.plan: PrivacyPlan = scene.plan(mean, **told)
        told = {"members": {"door": NAMES}, **({"arrays": arrays} if arrays else {})}
        offer = scene.offer(run, self.plan, **told)
        self.offer: Offer = dataclasses.replace(offer, roster=self.roster.sign(scene.key).to_json())
        self.frame = frame() if arrays is None else {name: arrays[name] for name in frame()}

    def context(self, attempt: int = 1, **other: Any) -> Context:
        """What honest members agree on."""
        size = sum_size("mean", K)
        terms = terms_of(self.plan, self.plan.mechanisms[0], NAMES, size)
        told: dict[str, Any] = {"federation": self.scene.federation, "run": self.run, "round": 1}
        told |= {"charter": charter_digest(Signed.from_json(self.offer.charter)), **other}
        return Context(attempt=attempt, terms=terms, **told)

    @cached_property
    def peers(self) -> dict[str, SecureAggregation]:
        roster = self.roster
        return {
            name: SecureAggregation(
                Member(name=name, key=self.keys[name], roster=lambda: roster),
                NoMemory(),  # type: ignore[arg-type]
            )
            for name in PEERS
        }

    def answers(self, centre: Aggregation, phase: str) -> dict[str, bytes]:
        """What the other members say in ``phase``; each puts nothing into the sum."""
        nothing, asked = np.zeros(centre.context.terms.size, np.int64), centre.requests(phase)
        return {
            name: self.peers[name].answer(centre.context, phase, payload, lambda: nothing)
            for name, payload in asked.items()
            if name != SITE
        }

    def ask(
        self, catch: Catch, agent: grpc.Channel, phase: str, payload: bytes = b"", **told: Any
    ) -> bytes | None:
        """The site's words in ``phase``, or None; masked ones are noted as released."""
        arrays: Mapping[str, np.ndarray] = told.pop("arrays", self.frame if phase == VECTOR else {})
        words = {"run": self.run, "round": 1, "attempt": 1, "phase": phase, **told}
        request = aggregate_request(payload, arrays, **words)
        answer = catch.ask(agent, "Aggregate", request)
        if answer is None:
            return None
        if phase == VECTOR:
            catch.released.append(hashlib.sha256(answer.payload).hexdigest())
        return bytes(answer.payload)

    def until(self, catch: Catch, agent: grpc.Channel, phase: str, attempt: int = 1) -> Aggregation:
        """The relay before ``phase``, after everybody answered all that comes before."""
        centre = Aggregation(self.context(attempt), self.roster)
        for earlier in PHASES[: PHASES.index(phase)]:
            self.take(catch, agent, centre, earlier)
        return centre

    def take(
        self, catch: Catch, agent: grpc.Channel, centre: Aggregation, phase: str
    ) -> bytes | None:
        """One phase as it is meant to be; what the site said in it."""
        payload, attempt = centre.requests(phase)[SITE], centre.context.attempt
        said = self.ask(catch, agent, phase, payload, attempt=attempt)
        centre.take(phase, self.answers(centre, phase) | ({SITE: said} if said else {}))
        return said


def aggregate_request(
    payload: bytes, arrays: Mapping[str, np.ndarray], **words: Any
) -> pb.AggregateRequest:
    request = pb.AggregateRequest(protocol=wire.PROTOCOL, payload=payload, **words)
    for name, array in arrays.items():
        encoded = wire.encode(array)
        request.tensors.add(name=name, dtype=encoded.dtype, shape=encoded.shape, data=encoded.data)
    return request


def roster_of(scene: Scene, keys: Mapping[str, SigningKey], number: int = 1) -> Roster:
    """The site and its peers; of the same words, and so the same roster, in every run."""
    texts = {SITE: scene.identity, **{name: key.public.text for name, key in keys.items()}}
    entries = [
        SiteEntry(name=name, identity=text, node=f"of {name}", camera_type="door", people=10)
        for name, text in sorted(texts.items())
    ]
    return Roster(federation=scene.federation, number=number, sites=tuple(entries))


def shown(centre: Aggregation, phase: str) -> Any:
    """What the site is to be shown in ``phase``, as a message."""
    return MESSAGES[phase].from_bytes(centre.requests(phase)[SITE])


def fewer(message: Any, least: int = 1) -> Any:
    """``message`` without what it lists first."""
    lists = [entry.name for entry in dataclasses.fields(message)]
    return dataclasses.replace(message, **{n: getattr(message, n)[least:] for n in lists})
