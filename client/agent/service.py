"""The agent's RPCs for the courier: decode, call, encode. No logic, and no text of a bug."""

import functools
import logging
from collections.abc import Callable
from typing import Any, Protocol

import grpc
import numpy as np
from numpy.typing import NDArray

from client.agent.statuses import STATUS
from common import errors, wire
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc

log = logging.getLogger(__name__)


class Trainer(Protocol):
    """What the service calls; see client/agent/training.py."""

    @property
    def camera_type(self) -> str: ...

    @property
    def trunk(self) -> str: ...

    @property
    def declared_people(self) -> int: ...

    def accept(self, run: str, plan: str) -> str: ...

    def train(
        self, run: str, number: int, arrays: dict[str, NDArray[np.generic]]
    ) -> dict[str, NDArray[np.generic]]: ...


def answers(method: Callable[..., Any]) -> Callable[..., Any]:
    """Maps our errors to gRPC statuses. Anything else is a bug, and bugs tell nothing.

    Leaks: the stable ``reason`` only. It depends on the request, the plan, the policy and the
    ledger, never on a face.
    """

    @functools.wraps(method)
    def call(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request)
        except errors.MascaronError as error:
            log.warning("%s refused: %s", method.__name__, error.reason)
            code, reason = STATUS.get(error.reason, grpc.StatusCode.INTERNAL), error.reason
        except Exception as error:
            log.error("%s failed: %s", method.__name__, type(error).__name__)
            code, reason = grpc.StatusCode.INTERNAL, "INTERNAL"
        context.set_trailing_metadata((("reason", reason),))
        return context.abort(code, reason)  # never returns: it raises

    return call


class AgentService(rpc.AgentServicer):
    """Implements protos/agent.proto for the courier of one site."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    @answers
    def Describe(self, request: pb.DescribeRequest) -> pb.DescribeResponse:  # noqa: N802
        _same_version(request.protocol)
        return pb.DescribeResponse(
            protocol=wire.PROTOCOL,
            camera_type=self._trainer.camera_type,
            trunk=self._trainer.trunk,
            people=self._trainer.declared_people,
        )

    @answers
    def Accept(self, request: pb.AcceptRequest) -> pb.AcceptResponse:  # noqa: N802
        _same_version(request.protocol)
        return pb.AcceptResponse(plan_digest=self._trainer.accept(_run(request), request.plan))

    @answers
    def Train(self, request: pb.TrainRequest) -> pb.TrainResponse:  # noqa: N802
        _same_version(request.protocol)
        arrays = _decoded(request)
        answer = pb.TrainResponse()
        for name, array in self._trainer.train(_run(request), request.round, arrays).items():
            encoded = wire.encode(array)
            answer.tensors.add(
                name=name, dtype=encoded.dtype, shape=encoded.shape, data=encoded.data
            )
        return answer


def _same_version(version: int) -> None:
    if version != wire.PROTOCOL:
        raise errors.VersionError(f"speaks {version}, not {wire.PROTOCOL}")


def _run(request: pb.AcceptRequest | pb.TrainRequest) -> str:
    if not 1 <= len(request.run) <= wire.MAX_NAME or not request.run.isprintable():
        raise errors.WireError("a run id is missing or malformed")
    return request.run


def _decoded(request: pb.TrainRequest) -> dict[str, NDArray[np.generic]]:
    if len(request.tensors) > wire.MAX_TENSORS:
        raise errors.WireError("too many tensors")
    arrays = {t.name: wire.decode(t.dtype, t.shape, t.data) for t in request.tensors}
    if len(arrays) != len(request.tensors) or any(len(n) > wire.MAX_NAME for n in arrays):
        raise errors.WireError("tensor names are malformed")
    return arrays
