"""In-memory stand-ins that implement the same interfaces as the real rooms."""

from collections.abc import Callable
from typing import Any

import numpy as np
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
from common.trust.charter import charter_digest
from common.trust.signed import Signed

TRUNK = "7a" * 32
PEOPLE = 10  # that every fake site declares
Answer = Callable[[Message, dict[str, np.ndarray]], Message]


def fake_site(train: Answer, camera_type: Callable[[int], str] = lambda i: "door") -> ClientApp:
    """A ClientApp that describes itself, accepts every charter, and trains as ``train`` says."""
    app = ClientApp()

    @app.query("describe")
    def describe(message: Message, context: Context) -> Message:
        kind = camera_type(int(context.node_config["partition-id"]))
        facts = ConfigRecord({wire.VERSION: wire.PROTOCOL, wire.CAMERA_TYPE: kind})
        facts.update({wire.TRUNK: TRUNK, wire.PEOPLE: PEOPLE})
        return Message(RecordDict({wire.CONFIG: facts}), reply_to=message)

    @app.query("accept")
    def accept(message: Message, context: Context) -> Message:
        text = str(message.content.config_records[wire.CONFIG][wire.CHARTER])
        answer = ConfigRecord({wire.CHARTER_DIGEST: charter_digest(Signed.from_json(text))})
        return Message(RecordDict({wire.CONFIG: answer}), reply_to=message)

    @app.train()
    def handle(message: Message, context: Context) -> Message:
        record = message.content.array_records[wire.ARRAYS]
        return train(message, {name: array.numpy() for name, array in record.items()})

    app.evaluate()(handle)
    return app


def reply(message: Message, arrays: dict[str, np.ndarray], **metrics: float) -> Message:
    """A reply as the courier makes it, or with other ``metrics``."""
    content = RecordDict(
        {
            wire.ARRAYS: ArrayRecord({n: Array(a) for n, a in arrays.items()}),
            wire.METRICS: MetricRecord({**(metrics if metrics else {wire.WEIGHT: 1})}),
        }
    )
    return Message(content, reply_to=message)


def refusal(message: Message, reason: str = "NOT_READY") -> Message:
    return Message(Error(wire.ERROR_CODE, reason), reply_to=message)


class Stub:
    """An AgentStub whose methods are given as functions of the request."""

    def __init__(self, **methods: Callable[[Any], Any]) -> None:
        self._methods = methods

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda request, timeout=None: self._methods[name](request)
