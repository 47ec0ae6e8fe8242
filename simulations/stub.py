"""An agent reached without a socket: the same service, the same statuses, no transport."""

from typing import Any, NoReturn

import grpc

from client.agent.service import AgentService


class AbortedError(grpc.RpcError):  # type: ignore[misc]
    """What a remote caller would get: a status and trailing metadata, no text of ours."""

    def __init__(self, code: grpc.StatusCode, metadata: tuple[tuple[str, str], ...]) -> None:
        super().__init__(code.name)
        self._code, self._metadata = code, metadata

    def code(self) -> grpc.StatusCode:
        return self._code

    def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata


class InProcessStub:
    """Has the methods of the generated ``AgentStub`` and calls the service directly."""

    def __init__(self, service: AgentService) -> None:
        self._service = service

    def Describe(self, request: Any, timeout: float | None = None) -> Any:  # noqa: N802
        return self._service.Describe(request, _Context())

    def ReviewCharter(self, request: Any, timeout: float | None = None) -> Any:  # noqa: N802
        return self._service.ReviewCharter(request, _Context())

    def AcceptCharter(self, request: Any, timeout: float | None = None) -> Any:  # noqa: N802
        return self._service.AcceptCharter(request, _Context())

    def Train(self, request: Any, timeout: float | None = None) -> Any:  # noqa: N802
        return self._service.Train(request, _Context())

    def Aggregate(self, request: Any, timeout: float | None = None) -> Any:  # noqa: N802
        return self._service.Aggregate(request, _Context())

    def Evaluate(self, request: Any, timeout: float | None = None) -> Any:  # noqa: N802
        return self._service.Evaluate(request, _Context())

    def Status(self, request: Any, timeout: float | None = None) -> Any:  # noqa: N802
        return self._service.Status(request, _Context())


def gone() -> AbortedError:
    """What a remote caller gets when the agent's process is no more: a status and no reason."""
    return AbortedError(grpc.StatusCode.UNAVAILABLE, ())


class _Context:
    """The four things our methods use of a ``grpc.ServicerContext``."""

    def __init__(self) -> None:
        self._metadata: tuple[tuple[str, str], ...] = ()

    def set_trailing_metadata(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata

    def time_remaining(self) -> float | None:
        """None: nobody is in a hurry."""

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise AbortedError(code, self._metadata)
