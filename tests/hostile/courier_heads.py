"""Ideas of a courier about ledger heads, which come with every request: false, old, and newer."""

import dataclasses
from typing import Any

import grpc

from common import wire
from common.secagg.phases import KEYS, SURVIVORS
from common.trust.charter import PURPOSE
from common.trust.heads import PURPOSE as HEAD
from common.trust.heads import SignedHead
from common.trust.keys import SigningKey, encode
from common.trust.signed import Signed, seal
from protos.gen import agent_pb2 as pb
from tests.hostile.couriers import Catch, Scene, attack, train_request
from tests.hostile.party import FRIEND, Party

KEPT: dict[str, str] = {}  # heads that the agent signed, as a centre keeps them


def signed_head(scene: Scene, key: SigningKey, purpose: str = HEAD, **changes: Any) -> str:
    told = {"federation": scene.federation, "site": "north", "sequence": 10**6, "mac": "0" * 64}
    head = SignedHead(**{**told, **changes})  # type: ignore[arg-type]
    return seal(key, purpose, dataclasses.asdict(head)).to_json()


def train(catch: Catch, agent: grpc.Channel, run: str, head: str) -> Any:
    """Round 1 of ``run``, with a ledger head beside it."""
    request = train_request(run)
    request.head = head
    return catch.ask(agent, "Train", request)


@attack("SIGNATURE_INVALID", "INVALID_REQUEST", releases=2)
def shows_heads_that_are_not_this_ledgers(scene: Scene, catch: Catch) -> None:
    """Forged, another site's, words signed for something else, rubbish, a megabyte of it."""
    party, own = Party(scene, "heads-sum"), SigningKey.generate()
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("heads", scene.plan()))
        catch.accept(agent, party.offer)
        challenge = pb.DescribeRequest(protocol=wire.PROTOCOL, challenge=bytes(32))
        presence = catch.ask(agent, "Describe", challenge).signature
        honest = train(catch, agent, "heads", "")
        there = Signed.from_json(honest.head)
        for head in (
            signed_head(scene, own),
            signed_head(scene, scene.key),
            signed_head(scene, party.keys[FRIEND], site=FRIEND),
            signed_head(scene, party.keys[FRIEND]),
            signed_head(scene, scene.key, PURPOSE),
            party.offer.charter,
            party.offer.roster,
            Signed(there.content, encode(presence)).to_json(),
            Signed(there.content.replace('"sequence":', '"sequence":9'), there.signature).to_json(),
            Signed(there.content + " ", there.signature).to_json(),
            Signed("", "").to_json(),
            *("x", "{}", "[]", "null", "[" * 9999, "\0", "9" * 5000, "x" * 2**20, "x" * 2**23),
        ):
            train(catch, agent, "heads", head)
            party.ask(catch, agent, KEYS, head=head)
        broken = train_request("heads").SerializeToString() + b"\x2a\x02\xff\xfe"
        catch.ask(agent, "Train", broken)
        again = train(catch, agent, "heads", honest.head)
        catch.note["same"] = again.tensors == honest.tensors
        party.until(catch, agent, SURVIVORS)


@attack(releases=2)
def shows_older_heads_of_the_same_ledger(scene: Scene, catch: Catch) -> None:
    """Harmless: the ledger went through each of them. The newest is kept for later."""
    with scene.channel() as agent:
        accepted = catch.accept(agent, scene.offer("older", scene.plan()))
        catch.accept(agent, scene.offer("newest", scene.plan()))
        train(catch, agent, "older", accepted.head)
        KEPT["newest"] = train(catch, agent, "newest", accepted.head).head


@attack("ROLLBACK_DETECTED")
def asks_a_restored_ledger(scene: Scene, catch: Catch) -> None:
    """What it forgot is not asked of it again: not with the newest head, and not without one."""
    party = Party(scene, "restored")
    with scene.channel() as agent:
        for head in (KEPT["newest"], "", KEPT["newest"]):
            train(catch, agent, "newest", head)
            for run in ("newest", "restored"):
                party.ask(catch, agent, KEYS, run=run, head=head)
            for review in (True, False):
                offer = dataclasses.replace(party.offer, head=head)
                catch.accept(agent, offer, review=review and not head)
        status = catch.ask(agent, "Status", pb.StatusRequest(protocol=wire.PROTOCOL))
        catch.note["refusing"] = status.state == pb.STATE_REFUSING


@attack(releases=1)
def asks_a_ledger_that_was_put_back(scene: Scene, catch: Catch) -> None:
    """The operator did what there is to do: the same round has the same bytes again."""
    with scene.channel() as agent:
        train(catch, agent, "newest", KEPT["newest"])
