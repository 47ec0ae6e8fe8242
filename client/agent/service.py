"""The agent's RPCs for the courier: decode, call, encode. No logic, and no text of a bug."""

import functools
import re
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import grpc
import numpy as np
from numpy.typing import NDArray

from client.agent.charters import Offer, Review
from client.agent.jobs import Jobs
from client.agent.sums import Asked
from client.serving.answers import answers
from common import errors, wire
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc

Asking: TypeAlias = pb.TrainRequest | pb.AggregateRequest | pb.EvaluateRequest

_ID = re.compile(r"[0-9a-f]{0,32}")


class Trainer(Protocol):
    """What the service calls; see client/agent/training.py."""

    @property
    def camera_type(self) -> str: ...

    @property
    def trunk(self) -> str: ...

    @property
    def declared_people(self) -> int: ...

    @property
    def site(self) -> str: ...

    @property
    def usable(self) -> bool: ...

    def presence(self, challenge: bytes) -> bytes: ...

    def review(self, offer: Offer) -> Review: ...

    def accept(self, offer: Offer) -> str: ...

    def train(
        self, run: str, number: int, arrays: dict[str, NDArray[np.generic]]
    ) -> dict[str, NDArray[np.generic]]: ...

    def evaluate(
        self, run: str, number: int, arrays: dict[str, NDArray[np.generic]]
    ) -> dict[str, NDArray[np.generic]]: ...

    def aggregate(self, asked: Asked) -> bytes: ...

    def head(self) -> str: ...

    def confirm(self, kept: str) -> None: ...

    def progress(self, run: str, number: int) -> float: ...


class AgentService(rpc.AgentServicer):
    """Implements protos/agent.proto for the courier of one site.

    With ``jobs`` a round outlives the call that asked for it; without, it is worked out in the
    call itself (the laboratory).
    """

    def __init__(self, trainer: Trainer, jobs: Jobs | None = None) -> None:
        self._trainer, self.jobs = trainer, jobs

    @answers
    def Describe(  # noqa: N802
        self, request: pb.DescribeRequest, context: grpc.ServicerContext
    ) -> pb.DescribeResponse:
        _checked(request)
        site = self._trainer
        return pb.DescribeResponse(
            protocol=wire.PROTOCOL,
            camera_type=site.camera_type,
            trunk=site.trunk,
            people=site.declared_people,
            site=site.site,
            signature=site.presence(request.challenge),
        )

    @answers
    def ReviewCharter(  # noqa: N802
        self, request: pb.CharterRequest, context: grpc.ServicerContext
    ) -> pb.ReviewResponse:
        review = self._trainer.review(_offer(request))
        return pb.ReviewResponse(
            charter_digest=review.charter, epsilon=review.epsilon, automatic=review.automatic
        )

    @answers
    def AcceptCharter(  # noqa: N802
        self, request: pb.CharterRequest, context: grpc.ServicerContext
    ) -> pb.AcceptResponse:
        if self.jobs is not None:
            self.jobs.check_open()
        digest = self._trainer.accept(_offer(request))
        return pb.AcceptResponse(charter_digest=digest, head=self._trainer.head())

    @answers
    def Train(  # noqa: N802
        self, request: pb.TrainRequest, context: grpc.ServicerContext
    ) -> pb.TrainResponse:
        _checked(request)
        self._trainer.confirm(request.head)
        answer = pb.TrainResponse()
        self._perform(self._trainer.train, request, answer, context)
        return answer

    @answers
    def Aggregate(  # noqa: N802
        self, request: pb.AggregateRequest, context: grpc.ServicerContext
    ) -> pb.AggregateResponse:
        _checked(request)
        self._trainer.confirm(request.head)
        asked = Asked(
            run=_run(request),
            round=request.round,
            attempt=request.attempt,
            phase=request.phase,
            payload=request.payload,
            arrays=_decoded(request),
        )
        work = functools.partial(self._trainer.aggregate, asked)
        if self.jobs is None:
            said = work()
        else:
            said = self.jobs.do(
                (asked.run, asked.round, asked.digest), work, context.time_remaining()
            )
        return pb.AggregateResponse(payload=said, head=self._trainer.head())

    @answers
    def Evaluate(  # noqa: N802
        self, request: pb.EvaluateRequest, context: grpc.ServicerContext
    ) -> pb.EvaluateResponse:
        """A round that a charter paid for; without a run public constants, and nobody looks."""
        _checked(request)
        self._trainer.confirm(request.head)
        answer = pb.EvaluateResponse(people=self._trainer.declared_people)
        if request.run:
            self._perform(self._trainer.evaluate, request, answer, context)
        elif request.round or request.tensors:
            raise errors.WireError("a run id is missing")
        return answer

    @answers
    def Status(  # noqa: N802
        self, request: pb.StatusRequest, context: grpc.ServicerContext
    ) -> pb.StatusResponse:
        _checked(request)
        working = self.jobs.working if self.jobs is not None else None
        progress = self._trainer.progress(*working[:2]) if working else 0.0
        return pb.StatusResponse(
            state=self._state(working is not None), protocol=wire.PROTOCOL, progress=progress
        )

    def _perform(
        self, method: Callable[..., Any], request: Any, answer: Any, context: grpc.ServicerContext
    ) -> None:
        """One round by ``method`` of the trainer, one at a time; fills ``answer``."""
        run, number, arrays = _run(request), request.round, _decoded(request)
        work = functools.partial(method, run, number, arrays)
        if self.jobs is None:
            released = work()
        else:
            key = (run, number, wire.digest(method.__name__, wire.dump(arrays)))
            released = self.jobs.do(key, work, context.time_remaining())
        for name, array in released.items():
            encoded = wire.encode(array)
            answer.tensors.add(
                name=name, dtype=encoded.dtype, shape=encoded.shape, data=encoded.data
            )
        answer.head = self._trainer.head()

    def _state(self, working: bool) -> pb.State:
        if self.jobs is not None and self.jobs.draining:
            return pb.STATE_DRAINING
        if not self._trainer.usable:
            return pb.STATE_REFUSING
        return pb.STATE_WORKING if working else pb.STATE_IDLE


def _checked(request: Any) -> None:
    """Refuses another version of the protocol, and an id that is not one."""
    if request.protocol != wire.PROTOCOL:
        raise errors.VersionError(f"speaks {request.protocol}, not {wire.PROTOCOL}")
    if not _ID.fullmatch(request.request):
        raise errors.WireError("a request's id is at most 32 of 0-9 and a-f")


def _run(request: Asking) -> str:
    if not 1 <= len(request.run) <= wire.MAX_NAME or not request.run.isprintable():
        raise errors.WireError("a run id is missing or malformed")
    return request.run


def _offer(request: pb.CharterRequest) -> Offer:
    _checked(request)
    digests = {entry.name: entry.digest for entry in request.initial}
    if len(digests) != len(request.initial) or len(digests) > wire.MAX_TENSORS:
        raise errors.WireError("the digests of the initial arrays are malformed")
    words = {"charter": request.charter, "head": request.head, "roster": request.roster}
    return Offer(**words, initial=digests)


def _decoded(request: Asking) -> dict[str, NDArray[np.generic]]:
    if len(request.tensors) > wire.MAX_TENSORS:
        raise errors.WireError("too many tensors")
    arrays = {t.name: wire.decode(t.dtype, t.shape, t.data) for t in request.tensors}
    if len(arrays) != len(request.tensors) or any(len(n) > wire.MAX_NAME for n in arrays):
        raise errors.WireError("tensor names are malformed")
    return arrays
