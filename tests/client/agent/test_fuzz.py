"""Mutated messages: whatever a hostile courier sends, the answer is typed and nothing grows."""

import random
from collections import Counter
from pathlib import Path

import grpc
import pytest

from client.agent.jobs import Jobs
from client.agent.main import REQUESTS, _handlers
from client.agent.service import AgentService
from client.agent.statuses import STATUS
from common import wire
from protos.gen import agent_pb2 as pb
from simulations.stub import AbortedError, _Context
from tests.small_site import RUN, Site, frame, mean_plan, offer

FEW, MANY = 300, 20_000
MOST_GROWTH = 50 * 2**20  # bytes
TYPED = {code for reason, code in STATUS.items() if reason != "INTERNAL"}
BYTES = (0, 1, 0x7F, 0x80, 0xFF)


def valid() -> dict[str, bytes]:
    """One honest message of every kind."""
    told = offer(mean_plan())
    charter = pb.CharterRequest(protocol=wire.PROTOCOL, charter=told.charter, request="0a")
    for name, digest in told.initial.items():
        charter.initial.add(name=name, digest=digest)
    train = pb.TrainRequest(protocol=wire.PROTOCOL, run=RUN, round=1, request="0b")
    for name, array in frame().items():
        encoded = wire.encode(array)
        train.tensors.add(name=name, dtype="float32", shape=encoded.shape, data=encoded.data)
    parts = {"phase": "vector", "payload": bytes(range(64)), "tensors": train.tensors}
    sums = {"run": RUN, "round": 1, "attempt": 1, **parts}
    aggregate = pb.AggregateRequest(protocol=wire.PROTOCOL, **sums, request="0f")
    describe = pb.DescribeRequest(protocol=wire.PROTOCOL, challenge=bytes(32), request="0c")
    messages = {
        "Describe": describe,
        "ReviewCharter": charter,
        "AcceptCharter": charter,
        "Train": train,
        "Aggregate": aggregate,
        "Evaluate": pb.EvaluateRequest(protocol=wire.PROTOCOL, request="0e"),
        "Status": pb.StatusRequest(protocol=wire.PROTOCOL, request="0d"),
    }
    return {name: message.SerializeToString() for name, message in messages.items()}


def mutated(content: bytes, rng: random.Random) -> bytes:
    """``content`` after one to four accidents: bits, cuts, copies, lengths, another's bytes."""
    made = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(made) + 1), rng.randint(1, 40)
        match rng.randrange(6):
            case 0 if at < len(made):
                made[at] ^= 1 << rng.randrange(8)
            case 1:
                del made[at : at + length]
            case 2:
                made[at:at] = rng.randbytes(length)
            case 3:
                made[at:at] = made[at : at + length] * rng.randint(1, 50)
            case 4 if at < len(made):
                made[at] = rng.choice(BYTES)
            case _:
                made = made[:at] if rng.random() < 0.2 else made
    return bytes(made)


def storm(site: Site, method: str, times: int, seed: int = 1) -> Counter[str]:
    """How often each reason was the answer to ``times`` mutated messages; "OK" for none."""
    service = AgentService(site.training(), Jobs())
    handler, rng = _handlers(service)[method].unary_unary, random.Random(seed)  # noqa: S311
    content, told = valid()[method], Counter[str]()
    for _ in range(times):
        try:
            handler(mutated(content, rng), _Context())
        except AbortedError as error:
            [(_, reason)] = error.trailing_metadata()
            assert reason in wire.REASONS
            assert error.code() in TYPED, reason
            told[reason] += 1
        else:
            told["OK"] += 1
    return told


def test_every_method_is_stormed() -> None:
    assert set(valid()) == set(REQUESTS)


@pytest.mark.parametrize("method", sorted(REQUESTS))
def test_mutated_messages_get_typed_answers_and_charge_nobody_wrongly(
    site: Site, method: str
) -> None:
    if method == "Train":
        site.training().accept(offer(mean_plan()))
    told = storm(site, method, FEW)
    assert told["INVALID_REQUEST"] > FEW / 20, told
    assert set(site.kinds()) <= {"accept", "reserve", "release"}
    assert site.kinds().count("accept") <= 1  # only the honest words were ever signed
    assert site.kinds().count("reserve") <= 1
    site.ledger.verify()


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(REQUESTS))
def test_twenty_thousand_mutated_messages_leave_no_memory_behind(site: Site, method: str) -> None:
    if method == "Train":
        site.training().accept(offer(mean_plan()))
    storm(site, method, FEW)
    before = resident()
    told = storm(site, method, MANY, seed=2)
    assert sum(told.values()) == MANY
    assert resident() - before < MOST_GROWTH
    site.ledger.verify()


def resident() -> int:
    """Bytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096


def test_a_status_that_no_reason_has_would_be_noticed() -> None:
    assert grpc.StatusCode.INTERNAL not in TYPED
    assert grpc.StatusCode.UNKNOWN not in TYPED
