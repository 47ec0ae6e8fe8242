"""Serving an agent to its courier: gRPC on a unix socket, or on loopback behind mutual TLS.

Requests arrive as raw bytes and are parsed here, because a broken message must become one refusal
with a reason, not a traceback in the log for every message a hostile courier cares to send.
"""

import logging
import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from client.agent.service import AgentService, answers
from client.agent.tls import Tls
from common.errors import ConfigError, WireError
from protos.gen import agent_pb2 as pb

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["Agent"].full_name
REQUESTS: dict[str, type[Message]] = {
    "Describe": pb.DescribeRequest,
    "ReviewCharter": pb.CharterRequest,
    "AcceptCharter": pb.CharterRequest,
    "Train": pb.TrainRequest,
    "Aggregate": pb.AggregateRequest,
    "Evaluate": pb.EvaluateRequest,
    "Status": pb.StatusRequest,
}
MAX_MESSAGE = 24 * 2**20  # bytes, either way: the widest tail and what belongs to it fit
WORKERS, STREAMS = 8, 16  # threads, and calls at once; the next is RESOURCE_EXHAUSTED
KEEPALIVE = 20_000, 10_000  # ms: who does not answer a ping in time is cut off, and its calls end
LIFE = 300_000, 610_000  # ms: of a connection, and of calls after it, who may begin and never end
TIDY = 60.0  # seconds between two looks for what is not needed any more
GRACE = 30.0  # seconds that a round under way may still take when the agent is asked to stop
UNIX = "unix:"
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
LONGEST_PATH = 100  # bytes; the system's limit for a socket is a little above

Handler = Callable[[bytes, grpc.ServicerContext], Any]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Door:
    """Who may come in: on a socket this user, and ``group`` where one is named; on loopback only
    who shows the certificate that ``tls`` names."""

    group: int | None = None  # numeric id
    tls: Tls | None = None


OWN_DOOR = Door()


class RunningAgent:
    """A server that answers until ``stop``; as a context manager, until the block ends."""

    def __init__(
        self, server: grpc.Server, service: AgentService, address: str, path: Path | None
    ) -> None:
        self._server, self._jobs, self._path = server, service.jobs, path
        self.address = address  # as a courier dials it, with the port that was taken

    def stop(self, grace: float = GRACE) -> None:
        """Takes no new work, lets what is under way finish for ``grace`` seconds, then ends.

        While it drains it still answers: DRAINING to new work, the bytes to those who wait.
        """
        begun = time.monotonic()
        if self._jobs is not None:
            self._jobs.drain(grace)
        self._server.stop(max(1.0, grace - (time.monotonic() - begun))).wait()
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()

    def wait_for_signal(
        self,
        ready: Callable[[], None] = lambda: None,
        tidy: Callable[[], None] = lambda: None,
        every: float = TIDY,
    ) -> None:
        """Serves until SIGTERM or SIGINT, then drains. Only for the main thread of a process.

        ``ready`` is called as soon as those signals no longer end the process at once, ``tidy``
        after each ``every`` seconds.
        """
        asked = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: asked.set())
        ready()
        while not asked.wait(every):
            tidy()
        log.info("asked to stop: draining")
        self.stop()

    def __enter__(self) -> "RunningAgent":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(service: AgentService, address: str, door: Door = OWN_DOOR) -> RunningAgent:
    """Starts answering at ``address``: ``unix:/folder/name.sock`` or ``127.0.0.1:port``.

    A socket left over from an agent that is gone is replaced. Raises ``ConfigError`` for an
    address beyond this machine, loopback without TLS, a folder that is not there, a file that is
    no socket, a group this user is not in, and an address somebody answers at.
    Guarantee: only this user (mode 0600 from the first moment on), and the group of ``door`` where
    one is named (0660 afterwards), can connect to the socket; on loopback, only the holder of the
    key whose certificate ``door`` names.
    """
    server = grpc.server(
        ThreadPoolExecutor(WORKERS, thread_name_prefix="agent"),
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
            ("grpc.max_concurrent_streams", STREAMS),
            ("grpc.keepalive_time_ms", KEEPALIVE[0]),
            ("grpc.http2.ping_timeout_ms", KEEPALIVE[1]),  # keepalive_timeout_ms cuts nobody off
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.max_connection_age_ms", LIFE[0]),
            ("grpc.max_connection_age_grace_ms", LIFE[1]),
            ("grpc.so_reuseport", 0),  # a second agent at the same port is an error, not a rival
        ],
        maximum_concurrent_rpcs=STREAMS,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, _handlers(service)),)
    )
    if address.startswith(UNIX):
        path = _free_socket(address)
        _bind_private(server, path)
        _open_to(door.group, path)
        taken = f"{UNIX}//{path}"
    else:
        path, taken = None, _bind_loopback(server, address, door.tls)
    server.start()
    return RunningAgent(server, service, taken, path)


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
def _parsed(request: type[Message], raw: bytes, context: grpc.ServicerContext) -> Message:
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


def _open_to(group: int | None, path: Path) -> None:
    if group is None:
        return
    try:
        os.chown(path, -1, group)
        path.chmod(0o660)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigError(
            f"cannot open {path} to group {group}: {error.strerror}; add this user to the group"
        ) from None


def _bind_loopback(server: grpc.Server, address: str, tls: Tls | None) -> str:
    host, separator, port = address.rpartition(":")
    if host not in LOOPBACK or not separator or not port.isascii() or not port.isdigit():
        raise ConfigError(f"an agent listens at unix:/path or 127.0.0.1:port, not {address}")
    if tls is None:
        raise ConfigError(
            "every user of this machine could connect to a plain port: listen on a socket, or "
            "name certificates for mutual TLS"
        )
    try:
        taken = server.add_secure_port(address, tls.server())
    except RuntimeError as error:
        raise ConfigError(f"cannot listen at {address}") from error
    return f"{host}:{taken}"
