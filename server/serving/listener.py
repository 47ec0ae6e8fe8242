"""How the gateway listens: TLS 1.2 or newer, one HTTP/1.1 parser, nobody waits for long.

Guarantee: a connection that has not sent a whole request head in time is cut; a renewed certificate
is shown to whoever connects from then on, and only if it is whole; no request text is ever logged.
Leaks: to whoever connects, the server's certificate.
"""

import asyncio
import logging
import socket
import ssl
import time

import httpx
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from common.errors import DeploymentError
from common.trust.storing import read
from server.home import CentreHome
from server.serving.door import Door
from server.serving.gateway import HEAD, Admission, Gateway
from server.serving.guard import GatewayLimits, Guard

log = logging.getLogger(__name__)

DEFAULTS = GatewayLimits()
BACKLOG = 256
DRAIN_SECONDS = 10  # for requests under way when the gateway is told to stop


class GuardedProtocol(H11Protocol):
    """uvicorn's own protocol with the one clock that it lacks: for a head that never ends."""

    guard: Guard

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.guard.cuts[self.client] = transport.abort
        self._since = self.loop.time()
        self._watch: asyncio.TimerHandle | None = None
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.guard.cuts.pop(self.client, None)
        if self._watch is not None:
            self._watch.cancel()

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        super().on_response_complete()

    def _look(self) -> None:
        """Cuts a connection whose request is overdue; else looks again when it could be."""
        allowed = self.guard.limits.idle_seconds
        left = allowed
        if self.cycle is None or self.cycle.response_complete:
            left = self._since + allowed - self.loop.time()
        if left <= 0:
            self.guard.tally.note("slow head")
            self.transport.abort()
        else:
            self._watch = self.loop.call_later(left, self._look)


class Shown:
    """The certificate of ``home`` as sites are shown it, in a TLS context that lives on."""

    def __init__(self, home: CentreHome) -> None:
        self._home = home
        self._seen = read(home.server_certificate)
        self.context = server_tls(home)

    def look(self) -> None:
        """Takes a renewed certificate; one that is not of the key leaves the old one in place."""
        home = self._home
        try:
            found = read(home.server_certificate)
            if found == self._seen:
                return
            self._seen = found
            server_tls(home)  # tried on a context that nobody is shown
            self.context.load_cert_chain(home.server_certificate, home.server_key)
        except OSError as error:  # those of TLS are such, too
            log.error("the renewed certificate cannot be shown: %s", type(error).__name__)
        else:
            log.warning("the renewed certificate is shown from now on")

    async def keep_looking(self, seconds: float) -> None:
        """Looks every so many ``seconds`` until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            self.look()


def gateway_config(shown: Shown, app: Gateway, guard: Guard) -> uvicorn.Config:
    """uvicorn's settings for ``app`` with the certificate that is ``shown``."""
    protocol = type("BoundProtocol", (GuardedProtocol,), {"guard": guard})
    limits = guard.limits
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(limits.idle_seconds) + 1,  # ours is the one that counts
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=HEAD,
        ssl_context_factory=lambda _config, _default: shown.context,
    )


def server_tls(home: CentreHome) -> ssl.SSLContext:
    """The context with which sites are met."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(home.server_certificate, home.server_key)
    return context


def upstream_client(home: CentreHome, port: int, limits: GatewayLimits) -> httpx.AsyncClient:
    """A client of the SuperLink on ``port`` of this machine, which must show our certificate."""
    context = ssl.create_default_context(cafile=str(home.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{port}",
        verify=context,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(limits.upstream_seconds, connect=5.0),
        limits=httpx.Limits(max_connections=limits.requests, max_keepalive_connections=32),
    )


def listen(home: CentreHome) -> socket.socket:
    """The socket that `centre.toml` asks for; ``DeploymentError`` if it cannot be had."""
    config = home.config()
    family = socket.AF_INET6 if ":" in config.bind else socket.AF_INET
    try:
        return socket.create_server((config.bind, config.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise DeploymentError(
            f"cannot listen on {config.bind} port {config.port}: {error.strerror}; "
            f"stop what does, or choose another port in {home.settings}"
        ) from None


async def run_gateway(
    home: CentreHome,
    sock: socket.socket,
    port: int,
    admission: Admission,
    limits: GatewayLimits = DEFAULTS,
) -> None:
    """Serves sites on ``sock`` until SIGTERM; the SuperLink is on ``port`` of this machine."""
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # one line a request, at a flood's rate
    guard, shown = Guard.of(limits, time.monotonic), Shown(home)
    async with upstream_client(home, port, limits) as upstream:
        door = Door(sock, guard)
        app = Gateway(upstream, admission, home.ca.read_bytes(), guard)
        config = gateway_config(shown, app, guard)
        looking = asyncio.create_task(shown.keep_looking(limits.look_seconds))
        try:
            await uvicorn.Server(config).serve(sockets=[door])
        finally:
            looking.cancel()
            door.close()
