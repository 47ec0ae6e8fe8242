"""The courier: the Flower ClientApp that relays typed messages between centre and agent.

It runs code sent by the centre, so it is hostile by assumption: it holds nothing, knows the wire
and the generated messages only, and no text of an exception ever passes through it.
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Error,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp

from common import wire
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc

Connect = Callable[[Context], Any]  # to an AgentStub
Relay = Callable[[RecordDict, Any, float], RecordDict]


def make_app(connect: Connect) -> ClientApp:
    """A ClientApp that asks the agent ``connect`` reaches."""
    app = ClientApp()
    for relay in (_describe, _review, _accept, _status, _aggregate):
        app.query(relay.__name__[1:])(_guarded(connect, relay))
    app.train()(_guarded(connect, _train))
    app.evaluate()(_guarded(connect, _evaluate))
    return app


def dial(context: Context) -> Any:
    """The agent named by the node, or the simulated one of this partition.

    A port is dialled with mutual TLS: ``agent-tls`` names a folder with the courier's key and
    certificate and the agent's certificate.
    """
    limits = [("grpc.max_receive_message_length", wire.MAX_ELEMENTS), ("grpc.enable_http_proxy", 0)]
    address = context.node_config.get("agent-address")
    if address is None:
        folder = Path(str(context.run_config["agent-folder"]))
        address = f"unix://{folder.resolve() / str(context.node_config['partition-id'])}.sock"
    ends = context.node_config.get("agent-tls")
    if ends is None:
        return rpc.AgentStub(grpc.insecure_channel(str(address), limits))  # type: ignore[no-untyped-call]
    trusted, key, own = (
        (Path(str(ends)) / name).read_bytes()
        for name in ("agent.crt", "courier.key", "courier.crt")
    )
    credentials = grpc.ssl_channel_credentials(trusted, key, own)
    named = [*limits, ("grpc.ssl_target_name_override", "mascaron-agent")]
    return rpc.AgentStub(grpc.secure_channel(str(address), credentials, named))  # type: ignore[no-untyped-call]


def _guarded(connect: Connect, relay: Relay) -> Callable[[Message, Context], Message]:
    def handle(message: Message, context: Context) -> Message:
        try:
            content = relay(message.content, connect(context), message.metadata.ttl)
            return Message(content, reply_to=message)
        except grpc.RpcError as error:
            told = dict(getattr(error, "trailing_metadata", tuple)() or ())
            reason = str(told.get("reason", "UNAVAILABLE"))
        except Exception:  # its text may name a path or a person, and Flower ships it to the centre
            reason = "INTERNAL"
        reason = reason if reason in wire.REASONS else "INTERNAL"
        return Message(Error(wire.ERROR_CODE, reason), reply_to=message)

    return handle


def _describe(content: RecordDict, agent: Any, seconds: float) -> RecordDict:
    config: Any = content.config_records.get(wire.CONFIG, {})
    challenge = config.get(wire.CHALLENGE, b"")
    request = pb.DescribeRequest(protocol=wire.PROTOCOL, challenge=challenge, request=_id())
    answer = agent.Describe(request, timeout=seconds)
    facts = {wire.VERSION: answer.protocol, wire.CAMERA_TYPE: answer.camera_type}
    facts |= {wire.TRUNK: answer.trunk, wire.PEOPLE: answer.people}
    return _told({**facts, wire.SITE: answer.site, wire.SIGNATURE: answer.signature})


def _offer(content: RecordDict) -> pb.CharterRequest:
    config: Any = content.config_records[wire.CONFIG]
    words = {word: config.get(word, "") for word in (wire.CHARTER, wire.HEAD, wire.ROSTER)}
    request = pb.CharterRequest(protocol=config[wire.VERSION], request=_id(), **words)
    for name, digest in dict(content.config_records[wire.INITIAL]).items():
        request.initial.add(name=name, digest=digest)
    return request


def _review(content: RecordDict, agent: Any, seconds: float) -> RecordDict:
    answer = agent.ReviewCharter(_offer(content), timeout=seconds)
    verdict = {wire.EPSILON: answer.epsilon, wire.AUTOMATIC: answer.automatic}
    return _told({wire.CHARTER_DIGEST: answer.charter_digest, **verdict})


def _accept(content: RecordDict, agent: Any, seconds: float) -> RecordDict:
    answer = agent.AcceptCharter(_offer(content), timeout=seconds)
    return _told({wire.CHARTER_DIGEST: answer.charter_digest, wire.HEAD: answer.head})


def _status(content: RecordDict, agent: Any, seconds: float) -> RecordDict:
    answer = agent.Status(pb.StatusRequest(protocol=wire.PROTOCOL, request=_id()), timeout=seconds)
    state = {wire.STATE: pb.State.Name(answer.state), wire.PROGRESS: answer.progress}
    return _told({wire.VERSION: answer.protocol, **state})


def _train(content: RecordDict, agent: Any, seconds: float) -> RecordDict:
    answer = agent.Train(_filled(pb.TrainRequest, content), timeout=seconds)
    return _released(answer, {wire.HEAD: answer.head})


def _evaluate(content: RecordDict, agent: Any, seconds: float) -> RecordDict:
    answer = agent.Evaluate(_filled(pb.EvaluateRequest, content), timeout=seconds)
    return _released(answer, {wire.HEAD: answer.head, wire.PEOPLE: answer.people})


def _released(answer: Any, facts: dict[str, Any]) -> RecordDict:
    """What left the site, with ``facts`` and a weight that says nothing."""
    arrays = {t.name: Array(wire.decode(t.dtype, t.shape, t.data)) for t in answer.tensors}
    weight = MetricRecord({wire.WEIGHT: 1})
    return RecordDict({**_told(facts), wire.ARRAYS: ArrayRecord(arrays), wire.METRICS: weight})


def _aggregate(content: RecordDict, agent: Any, seconds: float) -> RecordDict:
    answer = agent.Aggregate(_filled(pb.AggregateRequest, content), timeout=seconds)
    return _told({wire.PAYLOAD: answer.payload, wire.HEAD: answer.head})


def _filled(kind: Any, content: RecordDict) -> Any:
    """A request whose fields are named as the words in ``content``; any other word fails."""
    request = kind(**content.config_records[wire.CONFIG], request=_id())
    for name, array in content.array_records.get(wire.ARRAYS, {}).items():
        encoded = wire.encode(array.numpy())
        request.tensors.add(name=name, dtype=encoded.dtype, shape=encoded.shape, data=encoded.data)
    return request


def _told(facts: dict[str, Any]) -> RecordDict:
    return RecordDict({wire.CONFIG: ConfigRecord(facts)})


def _id() -> str:
    """Names one request in the agent's log; random, so that it tells nothing."""
    return secrets.token_hex(8)


app = make_app(dial)
