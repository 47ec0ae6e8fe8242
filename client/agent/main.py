"""Serving an agent to its courier: gRPC on a unix socket of this user, or on loopback.

Requests arrive as raw bytes and are parsed here, because a broken message must become one refusal
with a reason, not a traceback in the log for every message a hostile courier cares to send.
"""

import logging
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from client.agent.service import AgentService, answers
from common import wire
from common.errors import ConfigError, WireError
from protos.gen import agent_pb2 as pb

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["Agent"].full_name
REQUESTS: dict[str, type[Message]] = {
    "Describe": pb.DescribeRequest,
    "ReviewCharter": pb.CharterRequest,
    "AcceptCharter": pb.CharterRequest,
    "Train": pb.TrainRequest,
    "Status": pb.StatusRequest,
}
MAX_MESSAGE = wire.MAX_ELEMENTS  # bytes, either way
WORKERS = 4
GRACE = 30.0  # seconds that a round under way may still take when the agent is asked to stop
UNIX = "unix:"
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
LONGEST_PATH = 100  # bytes; the system's limit for a socket is a little above

Handler = Callable[[bytes, grpc.ServicerContext], Any]


class RunningAgent:
    """A server that answers until ``stop``; as a context manager, until the block ends."""

    def __init__(self, server: grpc.Server, address: str, path: Path | None) -> None:
        self._server, self._path = server, path
        self.address = address  # as a courier dials it, with the port that was taken

    def stop(self, grace: float = GRACE) -> None:
        """Takes no new request, lets those under way finish for ``grace`` seconds, then ends."""
        self._server.stop(grace).wait()
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()

    def wait_for_signal(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serves until SIGTERM or SIGINT, then drains. Only for the main thread of a process.

        ``ready`` is called as soon as those signals no longer end the process at once.
        """
        asked = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: asked.set())
        ready()
        asked.wait()
        log.info("asked to stop: draining")
        self.stop()

    def __enter__(self) -> "RunningAgent":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def serve(service: AgentService, address: str) -> RunningAgent:
    """Starts answering at ``address``: ``unix:/folder/name.sock`` or ``127.0.0.1:port``.

    A socket left over from an agent that is gone is replaced. Raises ``ConfigError`` for an
    address beyond this machine, a folder that is not there, a file that is no socket, and an
    address somebody answers at.
    Guarantee: only this user can connect to the socket (mode 0600 from its first moment on).
    Leaks: on loopback every user of the machine can connect; prefer the socket.
    """
    server = grpc.server(
        ThreadPoolExecutor(WORKERS, thread_name_prefix="agent"),
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
            ("grpc.so_reuseport", 0),  # a second agent at the same port is an error, not a rival
        ],
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, _handlers(service)),)
    )
    if address.startswith(UNIX):
        path = _free_socket(address)
        _bind_private(server, path)
        taken = f"{UNIX}//{path}"
    else:
        path, taken = None, _bind_loopback(server, address)
    server.start()
    return RunningAgent(server, taken, path)


def _handlers(service: AgentService) -> dict[str, grpc.RpcMethodHandler]:
    return {
        name: grpc.unary_unary_rpc_method_handler(
            _from_bytes(getattr(service, name), request),
            response_serializer=lambda answer: answer.SerializeToString(),
        )
        for name, request in REQUESTS.items()
    }


def _from_bytes(method: Callable[..., Any], request: type[Message]) -> Handler:
    def call(raw: bytes, context: grpc.ServicerContext) -> Any:
        return method(_parsed(request, raw, context), context)

    return call


@answers
def _parsed(request: type[Message], raw: bytes) -> Message:
    try:
        return request.FromString(raw)
    except DecodeError:
        raise WireError("not a message of the agent's protocol") from None


def _free_socket(address: str) -> Path:
    """The absolute path in ``address``, with nothing at it."""
    path = Path(address.removeprefix(UNIX).removeprefix("//"))
    if set(str(path)) & set("%?# ") or len(os.fsencode(path)) > LONGEST_PATH:
        raise ConfigError(f"no socket can be at {path}: too long, or one of '%?# ' in it")
    if not path.is_absolute():
        raise ConfigError(f"the socket needs an absolute path, not {path}")
    if not path.parent.is_dir():
        raise ConfigError(f"no folder {path.parent} for the socket")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return path
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is there already and is not a socket")
    if _answered(path):
        raise ConfigError(f"another agent answers at {path}")
    path.unlink()
    return path


def _answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _bind_private(server: grpc.Server, path: Path) -> None:
    before = os.umask(0o177)
    try:
        server.add_insecure_port(f"{UNIX}//{path}")
    except RuntimeError as error:
        raise ConfigError(f"cannot listen at {path}") from error
    finally:
        os.umask(before)


def _bind_loopback(server: grpc.Server, address: str) -> str:
    host, separator, port = address.rpartition(":")
    if host not in LOOPBACK or not separator or not port.isascii() or not port.isdigit():
        raise ConfigError(f"an agent listens at unix:/path or 127.0.0.1:port, not {address}")
    try:
        taken = server.add_insecure_port(address)
    except RuntimeError as error:
        raise ConfigError(f"cannot listen at {address}") from error
    return f"{host}:{taken}"
