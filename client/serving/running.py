"""The one way in which a site serves: caps, pings, slots, and messages parsed by hand.

Requests arrive as raw bytes and are parsed here, because a broken message must become one refusal
with a reason, not a traceback in the log for every message a hostile client cares to send.
"""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from client.serving.answers import answers
from client.serving.listening import OWN_DOOR, Door, listen
from common.errors import WireError

log = logging.getLogger(__name__)

MAX_MESSAGE = 24 * 2**20  # bytes, either way: the widest tail and what belongs to it fit
WORKERS, STREAMS = 8, 16  # threads, and calls at once; the next is RESOURCE_EXHAUSTED
KEEPALIVE = 20_000, 10_000  # ms: who does not answer a ping in time is cut off, and its calls end
LIFE = 300_000, 610_000  # ms: of a connection, and of calls after it, who may begin and never end
GRACE = 30.0  # seconds that what is under way may still take when a server is asked to stop

Handler = Callable[[bytes, grpc.ServicerContext], Any]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Offered:
    """What is served: the full ``name`` of a service, its ``servicer``, and how each of its
    ``requests`` is read. ``limits`` are in bytes, for requests that have to be smaller than
    ``most``; ``drain`` waits so many seconds at most for work that outlives its call."""

    name: str
    servicer: object
    requests: Mapping[str, type[Message]]
    most: int = MAX_MESSAGE
    limits: Mapping[str, int] = field(default_factory=dict)
    drain: Callable[[float], object] = lambda grace: None


class Running:
    """A server that answers until ``stop``; as a context manager, until the block ends."""

    def __init__(
        self,
        server: grpc.Server,
        drain: Callable[[float], object],
        address: str,
        path: Path | None,
    ) -> None:
        self._server, self._drain, self._path = server, drain, path
        self.address = address  # as a client dials it, with the port that was taken

    def stop(self, grace: float = GRACE) -> None:
        """Takes no new work, lets what is under way finish for ``grace`` seconds, then ends.

        While it drains it still answers: DRAINING to new work, the bytes to those who wait.
        """
        begun = time.monotonic()
        self._drain(grace)
        self._server.stop(max(1.0, grace - (time.monotonic() - begun))).wait()
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(offered: Offered, address: str, door: Door = OWN_DOOR) -> Running:
    """Starts answering at ``address``: ``unix:/folder/name.sock`` or ``127.0.0.1:port``.

    A socket left over from a server that is gone is replaced. Raises ``ConfigError`` for an
    address beyond this machine unless the door leads ``abroad``, a port without TLS, a folder that
    is not there, a file that is no socket, a group this user is not in, and an address somebody
    answers at.
    Guarantee: only this user (mode 0600 from the first moment on), and the group of ``door`` where
    one is named (0660 afterwards), can connect to the socket; at a port, only the holder of a key
    whose certificate ``door`` names.
    """
    server = grpc.server(
        ThreadPoolExecutor(WORKERS, thread_name_prefix="agent"),
        options=[
            ("grpc.max_receive_message_length", offered.most),
            ("grpc.max_send_message_length", offered.most),
            ("grpc.max_concurrent_streams", STREAMS),
            ("grpc.keepalive_time_ms", KEEPALIVE[0]),
            ("grpc.http2.ping_timeout_ms", KEEPALIVE[1]),  # keepalive_timeout_ms cuts nobody off
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.max_connection_age_ms", LIFE[0]),
            ("grpc.max_connection_age_grace_ms", LIFE[1]),
            ("grpc.so_reuseport", 0),  # a second server at the same port is an error, not a rival
        ],
        maximum_concurrent_rpcs=STREAMS,
    )
    handlers = grpc.method_handlers_generic_handler(offered.name, handlers_of(offered))
    server.add_generic_rpc_handlers((handlers,))
    taken, path = listen(server, address, door)
    server.start()
    return Running(server, offered.drain, taken, path)


def handlers_of(offered: Offered) -> dict[str, grpc.RpcMethodHandler]:
    """Bytes to bytes, by the name of the method."""
    return {
        name: grpc.unary_unary_rpc_method_handler(
            _from_bytes(
                getattr(offered.servicer, name), request, offered.limits.get(name, offered.most)
            ),
            response_serializer=lambda answer: answer.SerializeToString(),
        )
        for name, request in offered.requests.items()
    }


def _from_bytes(method: Callable[..., Any], request: type[Message], most: int) -> Handler:
    @answers
    def parse(kind: type[Message], raw: bytes, context: grpc.ServicerContext) -> Message:
        if len(raw) > most:
            raise WireError("more bytes than a message of this kind has")
        try:
            return kind.FromString(raw)
        except DecodeError:
            raise WireError("not a message of this protocol") from None

    def call(raw: bytes, context: grpc.ServicerContext) -> Any:
        return method(parse(request, raw, context), context)

    return call
