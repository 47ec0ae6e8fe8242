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
        assert len(request.request) == 16
        return pb.TrainResponse(tensors=request.tensors, head="seven")

    reply = ask(Stub(Train=train), "train", question(round=7))
    array = reply.content.array_records[wire.ARRAYS]["a"].numpy()
    np.testing.assert_array_equal(array, np.arange(6).reshape(2, 3))
    assert dict(reply.content.metric_records[wire.METRICS]) == {wire.WEIGHT: 1}
    assert dict(reply.content.config_records[wire.CONFIG]) == {wire.HEAD: "seven"}


def offered(kind: str, **methods: Any) -> Message:
    content = question(charter="abc", head="seven")
    content[wire.INITIAL] = ConfigRecord({"tail.bias": "0b"})
    return ask(Stub(**methods), kind, content)


def test_accepting_relays_the_charter_and_the_heads() -> None:
    def accept(request: pb.CharterRequest) -> pb.AcceptResponse:
        assert [(d.name, d.digest) for d in request.initial] == [("tail.bias", "0b")]
        return pb.AcceptResponse(charter_digest=request.charter[::-1], head=request.head + "!")

    reply = offered("query.accept", AcceptCharter=accept)
    told = {wire.CHARTER_DIGEST: "cba", wire.HEAD: "seven!"}
    assert dict(reply.content.config_records[wire.CONFIG]) == told


def test_reviewing_relays_the_price_and_the_verdict() -> None:
    def review(request: pb.CharterRequest) -> pb.ReviewResponse:
        return pb.ReviewResponse(charter_digest=request.charter, epsilon=2.5, automatic=True)

    reply = offered("query.review", ReviewCharter=review)
    told = {wire.CHARTER_DIGEST: "abc", wire.EPSILON: 2.5, wire.AUTOMATIC: True}
    assert dict(reply.content.config_records[wire.CONFIG]) == told


def test_the_state_of_an_agent_is_relayed_by_name() -> None:
    answer = pb.StatusResponse(state=pb.STATE_WORKING, protocol=wire.PROTOCOL, progress=0.5)
    reply = ask(Stub(Status=lambda request: answer), "query.status", RecordDict())
    told = {wire.VERSION: wire.PROTOCOL, wire.STATE: "STATE_WORKING", wire.PROGRESS: 0.5}
    assert dict(reply.content.config_records[wire.CONFIG]) == told


def test_an_evaluation_relays_arrays_both_ways_and_public_constants() -> None:
    def evaluate(request: pb.EvaluateRequest) -> pb.EvaluateResponse:
        assert (request.run, request.round, request.protocol) == ("r1", 7, wire.PROTOCOL)
        assert request.head == "six"
        return pb.EvaluateResponse(people=20, tensors=request.tensors, head="seven")

    reply = ask(Stub(Evaluate=evaluate), "evaluate", question(round=7, head="six"))
    told = {wire.PEOPLE: 20, wire.HEAD: "seven"}
    assert dict(reply.content.config_records[wire.CONFIG]) == told
    assert dict(reply.content.metric_records[wire.METRICS]) == {wire.WEIGHT: 1}
    array = reply.content.array_records[wire.ARRAYS]["a"].numpy()
    np.testing.assert_array_equal(array, np.arange(6).reshape(2, 3))


def test_an_evaluation_without_a_run_brings_public_constants_alone() -> None:
    content = RecordDict({wire.CONFIG: ConfigRecord({wire.VERSION: wire.PROTOCOL})})
    told = pb.EvaluateResponse(people=20)
    reply = ask(Stub(Evaluate=lambda request: told), "evaluate", content)
    assert dict(reply.content.config_records[wire.CONFIG]) == {wire.PEOPLE: 20, wire.HEAD: ""}
    assert not reply.content.array_records[wire.ARRAYS]


def test_describing_relays_the_challenge_and_public_facts_only() -> None:
    def describe(request: pb.DescribeRequest) -> pb.DescribeResponse:
        facts = {"protocol": wire.PROTOCOL, "camera_type": "door", "trunk": "t", "people": 20}
        return pb.DescribeResponse(**facts, site="north", signature=request.challenge[::-1])

    reply = ask(Stub(Describe=describe), "query.describe", question(challenge=b"abc"))
    told = dict(reply.content.config_records[wire.CONFIG])
    assert told == {
        wire.VERSION: wire.PROTOCOL,
        wire.CAMERA_TYPE: "door",
        wire.TRUNK: "t",
        wire.PEOPLE: 20,
        wire.SITE: "north",
        wire.SIGNATURE: b"cba",
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


def test_a_phase_of_a_secure_sum_is_relayed_both_ways() -> None:
    def aggregate(request: pb.AggregateRequest) -> pb.AggregateResponse:
        told = (request.run, request.round, request.attempt, request.phase)
        assert told == ("r1", 7, 2, "vector")
        assert [tensor.name for tensor in request.tensors] == ["a"]
        return pb.AggregateResponse(payload=request.payload[::-1], head="seven")

    words = {"round": 7, "attempt": 2, "phase": "vector", "payload": b"boxes"}
    reply = ask(Stub(Aggregate=aggregate), "query.aggregate", question(**words))
    told_back = dict(reply.content.config_records[wire.CONFIG])
    assert told_back == {wire.PAYLOAD: b"sexob", wire.HEAD: "seven"}
    assert not reply.content.array_records


def test_a_word_that_no_request_has_is_not_relayed() -> None:
    def aggregate(request: pb.AggregateRequest) -> pb.AggregateResponse:
        raise AssertionError("nothing should have arrived")

    words = {"round": 7, "attempt": 2, "phase": "keys", "payload": b"", "extra": 1}
    reply = ask(Stub(Aggregate=aggregate), "query.aggregate", question(**words))
    assert (reply.error.code, reply.error.reason) == (wire.ERROR_CODE, "INTERNAL")
