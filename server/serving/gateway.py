"""The gateway: the only door of the centre, with a closed list of what may pass to the SuperLink.

Guarantee: whatever arrives, the SuperLink is asked for nothing but the listed fleet calls and its
health, each rebuilt from a known path, listed headers and a whole body of bounded size. The paths
that start runs, take tasks or register nodes cannot be reached from here.
Leaks: that a mascaron centre is here, its version of the protocol, its CA certificate, and whether
its SuperLink is well.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, Protocol

import httpx

from common.wire import PROTOCOL
from server.serving.guard import Guard, address
from server.serving.tally import RefusedError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

FLEET = frozenset(
    {
        "activate-node",
        "confirm-message-received",
        "deactivate-node",
        "get-fab",
        "get-run",
        "pull-messages",
        "pull-object",
        "push-messages",
        "push-object",
        "send-node-heartbeat",
    }
)  # all that a SuperNode with a key calls; only the administrator registers or removes a node
MEMBERS_ONLY = "/v1/fleet/pull-messages"  # answered with 200 to nodes of the roster alone
HEAD, MOST_HEADERS = 16 * 2**10, 64  # bytes and lines of a request head
HEALTH, CA, HELLO = "/health", "/mascaron/v1/ca", "/mascaron/v1/hello"
_PATHS = {f"/v1/fleet/{name}": "POST" for name in FLEET}
_PATHS |= dict.fromkeys((HEALTH, CA, HELLO), "GET")
_ADMISSION = re.compile(r"/mascaron/v1/([a-z][a-z0-9-]{0,31})")

# Headers that pass. Everything else, hop-by-hop ones first, ends here.
_TO_SUPERLINK = frozenset(
    {
        b"accept",
        b"content-type",
        b"flwr-component-name",
        b"flwr-package-name",
        b"flwr-package-version",
        b"flwr-public-key",
        b"flwr-signature",
        b"flwr-timestamp",
    }
)
_TO_SITE = frozenset({b"content-encoding", b"content-length", b"content-type"})
JSON = (b"content-type", b"application/json")
HARDENED: Headers = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
]


class Admission(Protocol):
    """Answers the requests of `/mascaron/v1`; asked for one at a time."""

    def answer(self, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """The HTTP status and the JSON object for the request ``name``."""


class Gateway:
    """The ASGI application. ``upstream`` is a client that knows where the SuperLink is."""

    def __init__(
        self,
        upstream: httpx.AsyncClient,
        admission: Admission,
        ca: bytes,
        guard: Guard,
    ) -> None:
        self._upstream, self._admission, self._ca = upstream, admission, ca
        self._guard, self._limits, self._tally = guard, guard.limits, guard.tally
        self._buffered = 0
        self._admitting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request; nothing else is spoken here."""
        if scope["type"] != "http":
            return
        try:
            await self._answer_or_refuse(scope, receive, send)
        except (TimeoutError, ConnectionError):
            self._tally.note("lost")  # the site went away or reads too slowly: nobody to tell
            self._guard.cut(scope["client"])  # else the server waits to say that we said nothing
        except Exception as error:
            self._tally.note(f"bug {type(error).__name__}")
            raise  # told as 500, without a word

    async def _answer_or_refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            path = route(scope)
            with self._turn(address(scope)):
                await self._answer(path, scope, receive, send)
        except RefusedError as refusal:
            self._tally.note(refusal.cause)
            headers = [(b"connection", b"close")]
            if refusal.status == 503:
                headers.append((b"retry-after", b"2"))
            await self._respond(send, refusal.status, headers)

    async def _answer(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        asked = None if path in _PATHS else _ADMISSION.fullmatch(path)
        cap = self._limits.admission_body if asked else self._limits.body
        async with self._body(scope, receive, cap) as body:
            if path == CA:
                kind = [(b"content-type", b"application/x-pem-file")]
                await self._respond(send, 200, kind, self._ca)
            elif path == HELLO:  # for doctors, who want to know before they trust anybody
                told = json.dumps({"protocol": PROTOCOL}).encode()
                await self._respond(send, 200, [JSON], told)
            elif asked:
                status, told = await self._admit(asked[1], body)
                await self._respond(send, status, [JSON], told)
            else:
                await self._forward(path, scope, body, send)

    async def _admit(self, name: str, body: bytes) -> tuple[int, bytes]:
        async with self._admitting:
            try:
                status, table = await asyncio.to_thread(self._admission.answer, name, body)
                return status, json.dumps(table).encode()
            except Exception as error:  # a bug tells nothing
                raise RefusedError(500, f"admission raised {type(error).__name__}") from None

    async def _forward(self, path: str, scope: Scope, body: bytes, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name in _TO_SUPERLINK]
        headers.append((b"accept-encoding", b"identity"))
        request = self._upstream.build_request(scope["method"], path, headers=headers, content=body)
        try:
            answer = await self._upstream.send(request, stream=True)
        except httpx.HTTPError:
            raise RefusedError(503, "SuperLink away") from None
        async with aclosing(answer):
            if answer.has_redirect_location:
                raise RefusedError(502, "SuperLink redirects")
            if path == MEMBERS_ONLY and answer.status_code == 200:
                self._guard.members.note(address(scope))
            async with asyncio.timeout(self._limits.answer_seconds):
                await self._pass_on(answer, send)

    async def _pass_on(self, answer: httpx.Response, send: Send) -> None:
        kept = [(n.lower(), v) for n, v in answer.headers.raw if n.lower() in _TO_SITE]
        await self._start(send, answer.status_code, kept)
        try:
            async for piece in answer.aiter_raw():
                await self._send(send, piece, more=True)
        except httpx.HTTPError:
            raise ConnectionError from None  # too late for a status: the connection ends
        await self._send(send, b"", more=False)

    @asynccontextmanager
    async def _body(self, scope: Scope, receive: Receive, cap: int) -> AsyncIterator[bytes]:
        """The whole body, counted for as long as it is held."""
        held = bytearray()
        try:
            try:
                async with asyncio.timeout(self._limits.body_seconds):
                    await self._read(scope, receive, cap if scope["method"] == "POST" else 0, held)
            except TimeoutError:
                raise RefusedError(408, "slow body") from None
            yield bytes(held)
        finally:
            self._buffered -= len(held)

    async def _read(self, scope: Scope, receive: Receive, cap: int, held: bytearray) -> None:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if int(declared) > cap:
            raise RefusedError(413, "body size")
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise ConnectionError
            piece = message.get("body", b"")
            if len(held) + len(piece) > cap:
                raise RefusedError(413, "body size")
            if self._buffered + len(piece) > self._limits.buffered:
                raise RefusedError(503, "memory")
            held += piece
            self._buffered += len(piece)
            more = message.get("more_body", False)

    @contextmanager
    def _turn(self, sender: str) -> Iterator[None]:
        cause = self._guard.requests.take(sender)
        if cause is not None:
            raise RefusedError(503, cause)
        try:
            yield
        finally:
            self._guard.requests.leave(sender)

    async def _respond(self, send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
        await self._start(send, status, [*headers, (b"content-length", b"%d" % len(body))])
        await self._send(send, body, more=False)

    async def _start(self, send: Send, status: int, headers: Headers) -> None:
        async with asyncio.timeout(self._limits.send_seconds):
            start = {"type": "http.response.start", "status": status}
            await send({**start, "headers": [*HARDENED, *headers]})

    async def _send(self, send: Send, body: bytes, *, more: bool) -> None:
        async with asyncio.timeout(self._limits.send_seconds):
            await send({"type": "http.response.body", "body": body, "more_body": more})


def route(scope: Scope) -> str:
    """The path of a request that may go on, taken from the bytes that were sent and never decoded.

    Whatever is not one of the known paths letter by letter is refused: encodings, dots, double
    slashes, absolute targets, queries. Raises ``RefusedError``.
    """
    path = scope["raw_path"].decode("ascii", "replace")
    wanted = _PATHS.get(path) or ("POST" if _ADMISSION.fullmatch(path) else None)
    if wanted is None or scope["query_string"]:
        raise RefusedError(404, "path")
    if scope["method"] != wanted:
        raise RefusedError(405, "method")
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    if size > HEAD or len(scope["headers"]) > MOST_HEADERS:
        raise RefusedError(431, "head size")
    names = Counter(name for name, _ in scope["headers"])
    framing = names[b"content-length"] + names[b"transfer-encoding"]
    if names[b"upgrade"] or framing > 1:
        raise RefusedError(400, "framing")
    return str(path)
