"""One idea of a courier tried on a site, and what must hold afterwards: nothing out, all paid."""

import json
import time
from collections import Counter

import grpc
import numpy as np
import pytest

from client.privacy.account import accepted_of
from client.privacy.reading import Spending
from common import wire
from common.privacy import accountant
from common.privacy.accountant import Event
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc
from tests.hostile.couriers import ATTACKS, Catch, load_rooms
from tests.hostile.deployed import Deployed, separable


def ideas(*rooms: str) -> list[str]:
    """The names of all attacks in ``rooms`` of this folder."""
    load_rooms()
    return [name for name, how in ATTACKS.items() if how.do.__module__.split(".")[-1] in rooms]


def tried(site: Deployed, name: str) -> Catch:
    """What ``name`` brought in, once it is certain that it was nothing."""
    before = site.spending()
    catch = searched(site, name)
    check_books(site, catch)
    check_answers(site)
    assert len(site.spending().entries) >= len(before.entries)
    return catch


def searched(site: Deployed, name: str) -> Catch:
    """What ``name`` brought in: no face, feature, key or name, in no spelling."""
    if ATTACKS[name].separate and not separable():
        pytest.skip("needs root, to run agent and courier as two users")
    catch = site.worker.do(site.scene, name)
    assert catch is not None, "the courier died"
    assert site.canaries.found_in_file(catch.file) == set()
    for numbers in catch.note.get("arrays", []):
        assert not site.canaries.near(np.array(numbers))
        assert not site.canaries.along(np.array(numbers))
    return catch


def check_books(site: Deployed, catch: Catch) -> None:
    """Whatever came out is a row that was paid for, and no more was paid than was accepted."""
    spending, limit = site.spending(), 8.0  # of the policy
    assert set(catch.released) <= site.released()
    accepted = [e for e in spending.entries if e.kind == "accept"]
    plans = [accepted_of(e.detail).plan.events() for e in accepted]
    promised = accountant.canonical(
        event for events in (*plans, again(spending)) for event in events
    )
    assert spending.epsilon(site.delta) <= accountant.epsilon(promised, site.delta) + 1e-9
    assert spending.epsilon(site.delta) <= limit
    rounds = [(e.run, e.round) for e in spending.entries if e.kind == "release"]
    assert len(rounds) == len(set(rounds))
    for request in {(e.run, e.round, e.digest) for e in spending.entries if e.round}:
        rows = Counter(e.kind for e in spending.entries if (e.run, e.round, e.digest) == request)
        assert rows["masked"] + rows["release"] <= rows["reserve"]


def again(spending: Spending) -> list[Event]:
    """What was reserved beyond the plans: later attempts at a round of a secure sum."""
    paid, more = set(), []
    for entry in spending.entries:
        if entry.kind == "reserve":
            if (entry.run, entry.round) in paid:
                more.append(Event(*json.loads(entry.detail)))
            paid.add((entry.run, entry.round))
    return more


def check_answers(site: Deployed) -> None:
    """The agent lives, works for the next one, and its ledger takes rows.

    Calls of a courier that has just gone hold their slots until the agent notices.
    """
    with grpc.insecure_channel(site.scene.address) as channel:
        agent = rpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        until = time.monotonic() + 20
        while (state := _state(agent)) is None:
            assert time.monotonic() < until, "the slots of calls that are gone stay taken"
            time.sleep(0.1)
        assert state in (pb.STATE_IDLE, pb.STATE_WORKING)
        assert agent.Describe(pb.DescribeRequest(protocol=wire.PROTOCOL), timeout=20).people == 10


def _state(agent: rpc.AgentStub) -> int | None:
    """What the agent says it does; None while every slot is taken."""
    try:
        return int(agent.Status(pb.StatusRequest(protocol=wire.PROTOCOL), timeout=20).state)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            raise
        return None
