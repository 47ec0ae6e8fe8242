"""The courier: the Flower ClientApp that relays typed messages between centre and agent.

It runs code sent by the centre, so it is hostile by assumption: it holds nothing, knows the wire
and the generated messages only, and no text of an exception ever passes through it.
"""

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
    app.query("describe")(_guarded(connect, _describe))
    app.query("accept")(_guarded(connect, _accept))
    app.train()(_guarded(connect, _train))
    return app


def dial(context: Context) -> Any:
    """The agent named by the node, or the simulated one of this partition."""
    address = context.node_config.get("agent-address")
    if address is None:
        folder = Path(str(context.run_config["agent-folder"]))
        address = f"unix://{folder.resolve() / str(context.node_config['partition-id'])}.sock"
    limits = [("grpc.max_receive_message_length", wire.MAX_ELEMENTS)]
    return rpc.AgentStub(grpc.insecure_channel(str(address), limits))  # type: ignore[no-untyped-call]


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
    answer = agent.Describe(pb.DescribeRequest(protocol=wire.PROTOCOL), timeout=seconds)
    facts = ConfigRecord({wire.VERSION: answer.protocol, wire.CAMERA_TYPE: answer.camera_type})
    facts.update({wire.TRUNK: answer.trunk, wire.PEOPLE: answer.people})
    return RecordDict({wire.CONFIG: facts})


def _accept(content: RecordDict, agent: Any, seconds: float) -> RecordDict:
    config: Any = content.config_records[wire.CONFIG]
    request = pb.AcceptRequest(
        protocol=config[wire.VERSION], run=config[wire.RUN], plan=config[wire.PLAN]
    )
    answer = agent.Accept(request, timeout=seconds)
    return RecordDict({wire.CONFIG: ConfigRecord({wire.PLAN_DIGEST: answer.plan_digest})})


def _train(content: RecordDict, agent: Any, seconds: float) -> RecordDict:
    config: Any = content.config_records[wire.CONFIG]
    request = pb.TrainRequest(
        protocol=config[wire.VERSION], run=config[wire.RUN], round=config[wire.ROUND]
    )
    for name, array in content.array_records[wire.ARRAYS].items():
        encoded = wire.encode(array.numpy())
        request.tensors.add(name=name, dtype=encoded.dtype, shape=encoded.shape, data=encoded.data)
    answer = agent.Train(request, timeout=seconds)
    arrays = {t.name: Array(wire.decode(t.dtype, t.shape, t.data)) for t in answer.tensors}
    return RecordDict(
        {wire.ARRAYS: ArrayRecord(arrays), wire.METRICS: MetricRecord({wire.WEIGHT: 1})}
    )


app = make_app(dial)
