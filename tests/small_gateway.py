"""A gateway in a thread before a SuperLink that only remembers, and raw requests to throw at it."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn

from server.home import CentreHome
from server.serving.door import Door
from server.serving.gateway import Gateway
from server.serving.guard import GatewayLimits, Guard
from server.serving.listener import Shown, gateway_config, server_tls, upstream_client
from server.serving.tally import Tally

LIMITS = GatewayLimits(
    body=100_000,
    admission_body=1000,
    buffered=150_000,
    address_requests=6,
    address_connections=12,
    idle_seconds=0.5,
    body_seconds=0.5,
    send_seconds=0.5,
    upstream_seconds=20,
)
PULL = "/v1/fleet/pull-messages"


@dataclass
class FakeSuperLink:
    """Remembers every request; answers with what it was told to."""

    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200
    answer: bytes = b"answer"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        self.hold.set()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        self.seen.append((scope["method"], scope["raw_path"].decode(), headers, body))
        self.arrived.release()
        while not self.hold.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.answer})


class FakeAdmission:
    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []

    def answer(self, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
        self.asked.append((name, body))
        if name == "broken":
            raise ValueError("secret path /home/someone")
        return (200, {"name": name}) if name == "join" else (404, {"reason": "UNKNOWN"})


@dataclass
class Centre:
    home: CentreHome
    superlink: FakeSuperLink
    admission: FakeAdmission
    guard: Guard
    shown: Shown
    port: int
    stop_superlink: Callable[[], None]

    def client(self, sender: str = "127.0.0.1") -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.home.ca))
        way = httpx.HTTPTransport(verify=context, trust_env=False, local_address=sender)
        return httpx.Client(base_url=f"https://localhost:{self.port}", transport=way, timeout=20)

    def connect(self, sender: str = "127.0.0.1") -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.home.ca))
        to = ("127.0.0.1", self.port)
        plain = socket.create_connection(to, timeout=20, source_address=(sender, 0))
        return context.wrap_socket(plain, server_hostname="localhost")

    def raw(self, request: bytes) -> bytes:
        """What comes back, up to the end of the connection."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_all(connection)

    @property
    def tally(self) -> Tally:
        return self.guard.tally

    @property
    def held(self) -> int:
        """Connections that hold a place now."""
        return self.guard.connections._held.total()

    @property
    def quiet(self) -> bool:
        return not self.superlink.seen and not self.admission.asked


@contextmanager
def a_centre(home: CentreHome, limits: GatewayLimits) -> Iterator[Centre]:
    """A gateway and a fake SuperLink behind it, each in a thread with a loop of its own."""
    superlink, admission = FakeSuperLink(), FakeAdmission()
    guard, shown = Guard.of(limits, time.monotonic), Shown(home)
    with ExitStack() as stack:
        behind, before = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
        upstream = upstream_client(home, behind.getsockname()[1], limits)
        gateway = Gateway(upstream, admission, home.ca.read_bytes(), guard)
        plain = uvicorn.Config(
            superlink,  # type: ignore[arg-type]
            lifespan="off",
            http="h11",
            ws="none",
            log_config=None,
            ssl_context_factory=lambda _config, _default: server_tls(home),
        )
        stop = stack.enter_context(running(plain, behind))
        door = Door(before, guard)
        stack.enter_context(running(gateway_config(shown, gateway, guard), door, upstream))
        stack.callback(superlink.hold.set)
        port = door.getsockname()[1]
        yield Centre(home, superlink, admission, guard, shown, port, stop)


@contextmanager
def running(
    config: uvicorn.Config, sock: socket.socket, upstream: httpx.AsyncClient | None = None
) -> Iterator[Callable[[], None]]:
    """A server in a thread of its own, which closes ``upstream`` in its loop."""
    server = uvicorn.Server(config)
    config.timeout_graceful_shutdown = 1

    async def serve() -> None:
        async with upstream or AsyncExitStack():
            await server.serve(sockets=[sock])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)

    def stop() -> None:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()

    try:
        yield stop
    finally:
        stop()
        sock.close()


def read_all(connection: ssl.SSLSocket) -> bytes:
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except ConnectionError:
        pass
    return b"".join(pieces)


def request(target: str, method: str = "POST", headers: str = "", body: bytes = b"") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}"
    return head.encode("latin-1") + b"Content-Length: %d\r\n\r\n" % len(body) + body


def framed(target: str, headers: str, body: bytes = b"", method: str = "POST") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n"
    return head.encode("latin-1") + body


def refused(answer: bytes) -> bool:
    """A status of refusal without a word of the request, or a connection cut."""
    return not answer or (answer[9:10] in b"45" and b"fleet" not in answer)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("twenty seconds went by")
