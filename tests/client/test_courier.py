"""The courier relays typed messages and lets no text of an exception through."""

from typing import Any

import grpc
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from client.app import make_app
from common import wire
from protos.gen import agent_pb2 as pb
from simulations.grid import InProcessGrid
from simulations.stub import AbortedError
from tests.fakes import Stub

SECRET = "/faces/Alice Example/1.jpg"


def ask(stub: Stub, kind: str, content: RecordDict) -> Message:
    grid = InProcessGrid(make_app(lambda context: stub), 1, {})
    [reply] = grid.send_and_receive([Message(content, 2, kind)])
    return reply


def question(**config: Any) -> RecordDict:
    record = ConfigRecord({wire.VERSION: wire.PROTOCOL, wire.RUN: "r1", **config})
    arrays = ArrayRecord({"a": Array(np.arange(6, dtype=np.float32).reshape(2, 3))})
    return RecordDict({wire.CONFIG: record, wire.ARRAYS: arrays})


def test_training_relays_arrays_both_ways_and_a_constant_weight() -> None:
    def train(request: pb.TrainRequest) -> pb.TrainResponse:
        assert (request.run, request.round, request.protocol) == ("r1", 7, wire.PROTOCOL)
        return pb.TrainResponse(tensors=request.tensors)

    reply = ask(Stub(Train=train), "train", question(round=7))
    array = reply.content.array_records[wire.ARRAYS]["a"].numpy()
    np.testing.assert_array_equal(array, np.arange(6).reshape(2, 3))
    assert dict(reply.content.metric_records[wire.METRICS]) == {wire.WEIGHT: 1}


def test_accepting_relays_the_plan_and_its_digest() -> None:
    stub = Stub(Accept=lambda request: pb.AcceptResponse(plan_digest=request.plan[::-1]))
    reply = ask(stub, "query.accept", question(plan="abc"))
    assert dict(reply.content.config_records[wire.CONFIG]) == {wire.PLAN_DIGEST: "cba"}


def test_describing_relays_public_facts_only() -> None:
    facts = {"protocol": wire.PROTOCOL, "camera_type": "door", "trunk": "t", "people": 20}
    answer = pb.DescribeResponse(**facts)
    reply = ask(Stub(Describe=lambda request: answer), "query.describe", question())
    told = dict(reply.content.config_records[wire.CONFIG])
    assert told == {
        wire.VERSION: wire.PROTOCOL,
        wire.CAMERA_TYPE: "door",
        wire.TRUNK: "t",
        wire.PEOPLE: 20,
    }


def failing(error: Exception) -> Stub:
    def train(request: Any) -> Any:
        raise error

    return Stub(Train=train)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError(SECRET), "INTERNAL"),
        (grpc.RpcError(SECRET), "UNAVAILABLE"),
        (AbortedError(grpc.StatusCode.ABORTED, (("reason", SECRET),)), "INTERNAL"),
        (
            AbortedError(grpc.StatusCode.RESOURCE_EXHAUSTED, (("reason", "LEDGER_CORRUPT"),)),
            "LEDGER_CORRUPT",
        ),
    ],
)
def test_a_failure_crosses_as_a_fixed_reason(error: Exception, told: str) -> None:
    reply = ask(failing(error), "train", question(round=1))
    assert reply.error.code == wire.ERROR_CODE
    assert reply.error.reason == told


def test_a_message_without_its_records_is_a_fixed_reason_too() -> None:
    reply = ask(failing(ValueError(SECRET)), "train", RecordDict())
    assert reply.error.reason == "INTERNAL"
