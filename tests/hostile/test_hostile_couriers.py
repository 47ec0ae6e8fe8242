"""Every idea of a hostile courier, tried on a real agent: nothing comes out, nothing is overspent.

Courier and centre are hostile together: the courier has the key that signs charters.
"""

from collections.abc import Iterator

import grpc
import numpy as np
import pytest

from client.privacy.account import accepted_of
from common import wire
from common.privacy import accountant
from common.trust.charter import PURPOSE
from common.trust.keys import SigningKey
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc
from tests.hostile.couriers import ATTACKS, Catch, load_rooms
from tests.hostile.deployed import Deployed, deployed, separable, told

load_rooms()
LEAST = 25  # ideas
QUICK = [name for name, how in ATTACKS.items() if not (how.slow or how.dies)]


@pytest.fixture(scope="module")
def site() -> Iterator[Deployed]:
    with deployed() as made:
        yield made


def tried(site: Deployed, name: str) -> Catch:
    """What ``name`` brought in, once it is certain that it was nothing."""
    attack, before = ATTACKS[name], site.spending()
    if attack.separate and not separable():
        pytest.skip("needs root, to run agent and courier as two users")
    catch = site.worker.do(site.scene, name)
    assert catch is not None, "the courier died"
    assert site.canaries.found_in_file(catch.file) == set()
    for numbers in catch.note.get("arrays", []):
        assert not site.canaries.near(np.array(numbers))
        assert not site.canaries.along(np.array(numbers))
    check_books(site, catch)
    check_answers(site)
    assert len(site.spending().entries) >= len(before.entries)
    return catch


def check_books(site: Deployed, catch: Catch) -> None:
    """Whatever came out is a row that was paid for, and no more was paid than was accepted."""
    spending, limit = site.spending(), 8.0  # of the policy
    assert set(catch.released) <= site.released()
    accepted = [e for e in spending.entries if e.kind == "accept"]
    plans = [accepted_of(e.detail).plan.events() for e in accepted]
    promised = accountant.canonical(event for events in plans for event in events)
    assert spending.epsilon(site.delta) <= accountant.epsilon(promised, site.delta) + 1e-9 <= limit
    rounds = [(e.run, e.round) for e in spending.entries if e.kind == "release"]
    assert len(rounds) == len(set(rounds))


def check_answers(site: Deployed) -> None:
    """The agent lives, works for the next one, and its ledger takes rows."""
    with grpc.insecure_channel(site.scene.address) as channel:
        agent = rpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        state = agent.Status(pb.StatusRequest(protocol=wire.PROTOCOL), timeout=20).state
        assert state in (pb.STATE_IDLE, pb.STATE_WORKING)
        assert agent.Describe(pb.DescribeRequest(protocol=wire.PROTOCOL), timeout=20).people == 10


@pytest.mark.parametrize("name", QUICK)
def test_a_hostile_courier_gets_nothing(site: Deployed, name: str) -> None:
    catch, attack = tried(site, name), ATTACKS[name]
    met = set(catch.reasons)
    assert met <= attack.reasons if attack.some else met == attack.reasons
    assert len(set(catch.released)) == attack.releases
    assert not attack.separate or catch.denied > 0


def test_there_are_enough_ideas() -> None:
    assert len(ATTACKS) >= LEAST


def test_a_courier_that_dies_for_it_makes_no_ledger_forget(site: Deployed) -> None:
    assert site.worker.do(site.scene, "dies_between_the_charge_and_the_answer") is None
    catch = tried(site, "comes_back_for_the_answer")
    assert len(catch.released) == 1
    kinds = [entry.kind for entry in site.spending().entries if entry.run == "killed"]
    assert kinds == ["accept", "reserve", "release"]


def test_what_an_agent_signs_for_a_challenge_is_good_for_nothing_else(site: Deployed) -> None:
    catch = tried(site, "uses_the_challenge_to_get_other_words_signed")
    public = SigningKey.load(site.made.home.identity_key).public
    assert len(catch.note["signed"]) == 3
    for words, signature in catch.note["signed"]:
        for purpose in (PURPOSE, "head", "roster", "presence", "admission"):
            with pytest.raises(Exception, match="signature"):
                public.verify(purpose, bytes.fromhex(words), bytes.fromhex(signature))


def test_what_answers_every_question_answers_it_alike(site: Deployed) -> None:
    assert told(tried(site, "probes_with_whatever_answers"))["answers"] == 3


@pytest.mark.slow
def test_a_budget_is_spent_to_its_end_and_not_beyond(site: Deployed) -> None:
    catch = tried(site, "trains_until_there_is_no_budget_left")
    assert set(catch.reasons) == {"PRIVACY_BUDGET_EXHAUSTED"}
    assert catch.note["runs"] > 10
