"""The gateway lets the listed calls through and nothing else, whatever is thrown at it."""

import asyncio
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DeploymentError
from server.home import CentreHome
from server.serving.gateway import FLEET, Gateway, GatewayLimits, address, route
from server.serving.listener import Guard, gateway_config, listen, server_tls, upstream_client
from server.serving.tally import RefusedError, Tally
from tests.small_door import home_with_keys

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
    tally: Tally
    port: int
    stop_superlink: Callable[[], None]

    def client(self) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.home.ca))
        return httpx.Client(
            base_url=f"https://localhost:{self.port}", verify=context, trust_env=False, timeout=20
        )

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.home.ca))
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return context.wrap_socket(plain, server_hostname="localhost")

    def raw(self, request: bytes) -> bytes:
        """What comes back, up to the end of the connection."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_all(connection)

    @property
    def quiet(self) -> bool:
        return not self.superlink.seen and not self.admission.asked


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> CentreHome:
    return home_with_keys(tmp_path_factory.mktemp("centre"), time.time())


@pytest.fixture
def centre(home: CentreHome) -> Iterator[Centre]:
    with a_centre(home, LIMITS) as made:
        yield made


@contextmanager
def a_centre(home: CentreHome, limits: GatewayLimits) -> Iterator[Centre]:
    """A gateway and a fake SuperLink behind it, each in a thread with a loop of its own."""
    superlink, admission, tally = FakeSuperLink(), FakeAdmission(), Tally(time.monotonic)
    with ExitStack() as stack:
        behind, before = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
        upstream = upstream_client(home, behind.getsockname()[1], limits)
        gateway = Gateway(upstream, admission, home.ca.read_bytes(), limits, tally)
        plain = uvicorn.Config(
            superlink,  # type: ignore[arg-type]
            lifespan="off",
            http="h11",
            ws="none",
            log_config=None,
            ssl_context_factory=lambda _config, _default: server_tls(home),
        )
        stop = stack.enter_context(running(plain, behind))
        config = gateway_config(home, gateway, Guard(limits=limits, tally=tally))
        stack.enter_context(running(config, before, upstream))
        stack.callback(superlink.hold.set)
        port = before.getsockname()[1]
        yield Centre(home, superlink, admission, tally, port, stop)


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


PATHS = (
    "/",
    "/docs",
    "/openapi.json",
    "/v1/control/start-run",
    "/v1/control/register-node",
    "/v1/control/list-runs",
    "/v1/runtime/acquire-task",
    "/v1/runtime/pull-task-input",
    "/v1/fleet/register-node",
    "/v1/fleet/unregister-node",
    "/v1/fleet",
    "/v1/fleet/",
    "/v1/fleet/pull-messages/",
    "/v1/fleet//pull-messages",
    "//v1/fleet/pull-messages",
    "/v1//fleet/pull-messages",
    "/v1/fleet/../control/start-run",
    "/v1/fleet/./pull-messages",
    "/v1/fleet/%2e%2e/control/start-run",
    "/v1/fleet/%2E%2E/control/start-run",
    "/v1/fleet/..%2fcontrol%2fstart-run",
    "/v1/fleet/%252e%252e/control/start-run",
    "/v1%2ffleet%2fpull-messages",
    "/v1/fleet/pull%2dmessages",
    "/v1/fleet/pull-messages%00",
    "/v1/fleet/pull-messages%0d%0a",
    "/v1/fleet/pull-messages;a=b",
    "/v1/fleet/pull-messages#x",
    "/v1/fleet/pull-messages?x=1",
    "/v1/fleet/pull-messages/../../control/start-run",
    "/v1/fleet\\..\\control\\start-run",
    "/V1/FLEET/PULL-MESSAGES",
    "/v1/fleet/Pull-Messages",
    "/v2/fleet/pull-messages",
    "https://localhost/v1/fleet/pull-messages",
    "http://127.0.0.1/v1/control/start-run",
    "https://localhost/v1/control/start-run",
    "localhost:443",
    "*",
    "/mascaron/v1/",
    "/mascaron/v1/../../v1/control/start-run",
    "/mascaron/v1/UPPER",
    "/mascaron/v1/" + "a" * 33,
    "/mascaron/v1/a/b",
    "/mascaron/v2/join",
    "/health/../v1/control/start-run",
    "/healthz",
)
BEFORE = f"GET {PULL} HTTP/1.1"  # a second request hidden in the first
MALFORMED = {
    "no host": f"POST {PULL} HTTP/1.1\r\n\r\n".encode(),
    "not http": b"\x16\x03\x01 hello\r\n\r\n",
    "http 2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "space in target": framed("/v1/fleet/pull-messages /x", "Content-Length: 0"),
    "bytes in target": framed("/v1/fleet/p\xfcll", "Content-Length: 0"),
    "null in a header": framed(PULL, "X: a\x00b\r\nContent-Length: 0"),
    "space before colon": framed(PULL, "Content-Length : 4", b"abcd"),
    "both framings": framed(
        PULL, "Content-Length: 4\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + BEFORE.encode()
    ),
    "two lengths": framed(PULL, "Content-Length: 4\r\nContent-Length: 5", b"abcde"),
    "negative length": framed(PULL, "Content-Length: -1"),
    "length with a sign": framed(PULL, "Content-Length: +4", b"abcd"),
    "endless length": framed(PULL, "Content-Length: " + "9" * 40),
    "length beyond the cap": framed(PULL, "Content-Length: 100001", b"x"),
    "unknown coding": framed(PULL, "Transfer-Encoding: gzip, chunked", b"0\r\n\r\n"),
    "chunk size no number": framed(PULL, "Transfer-Encoding: chunked", b"zz\r\nab\r\n0\r\n\r\n"),
    "upgrade": framed(PULL, "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0"),
    "h2c": framed(PULL, "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 0"),
    "upgrade unannounced": framed(PULL, "Upgrade: h2c\r\nContent-Length: 0"),
    "head too long": framed(PULL, "X: " + "a" * 40_000 + "\r\nContent-Length: 0"),
    "too many headers": framed(PULL, "\r\n".join(f"X{n}: y" for n in range(4000))),
    "body with get": framed("/health", "Content-Length: 4", b"abcd", method="GET"),
}
METHODS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "FOO", "post")


def refused(answer: bytes) -> bool:
    """A status of refusal without a word of the request, or a connection cut."""
    return not answer or (answer[9:10] in b"45" and b"fleet" not in answer)


def test_only_what_is_listed_has_a_way_to_the_superlink(centre: Centre) -> None:
    with centre.client() as client:
        for name in sorted(FLEET):
            answer = client.post(f"/v1/fleet/{name}", content=name.encode())
            assert (answer.status_code, answer.content) == (200, b"answer")
        assert client.get("/health").status_code == 200
    wanted = [("POST", f"/v1/fleet/{name}", name.encode()) for name in sorted(FLEET)]
    found = [(method, path, body) for method, path, _, body in centre.superlink.seen]
    assert found == [*wanted, ("GET", "/health", b"")]


def test_the_list_is_flowers_own_without_registration() -> None:
    from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES

    fleet = {path for _, path in PROTOBUF_REQUEST_TYPES if path.startswith("/v1/fleet/")}
    administrators = {"/v1/fleet/register-node", "/v1/fleet/unregister-node"}
    assert {f"/v1/fleet/{name}" for name in FLEET} == fleet - administrators


def test_no_other_path_reaches_anything(centre: Centre) -> None:
    for path in PATHS:
        for method in ("POST", "GET"):
            answer = centre.raw(request(path, method, body=b"x"))
            assert refused(answer), (method, path, answer)
    assert centre.quiet


def test_no_other_method_reaches_anything(centre: Centre) -> None:
    for method in METHODS:
        for path in (PULL, "/mascaron/v1/join"):
            assert refused(centre.raw(request(path, method))), (method, path)
    for method in {"POST", *METHODS} - {"GET"}:
        assert refused(centre.raw(request("/health", method))), method
        assert refused(centre.raw(request("/mascaron/v1/ca", method))), method
    assert centre.quiet


def test_nothing_malformed_reaches_anything(centre: Centre) -> None:
    for what, sent in MALFORMED.items():
        answer = centre.raw(sent)
        assert refused(answer), (what, answer)
    assert centre.quiet


@given(
    path=st.text(max_size=40)
    | st.sampled_from(sorted(FLEET)).flatmap(
        lambda name: st.text("./%\\?#;2efEF-", min_size=1, max_size=6).flatmap(
            lambda noise: st.sampled_from(
                [f"/v1/fleet/{name}{noise}", f"/v1/fleet/{noise}{name}", f"{noise}/v1/fleet/{name}"]
            )
        )
    ),
    query=st.sampled_from([b"", b"a=b"]),
)
def test_a_path_is_known_letter_by_letter_or_refused(path: str, query: bytes) -> None:
    scope = {"raw_path": path.encode(), "query_string": query, "method": "POST", "headers": []}
    try:
        known = route(scope)
    except RefusedError:
        return
    assert known == path
    assert not query
    assert known.removeprefix("/v1/fleet/") in FLEET or known.startswith("/mascaron/v1/")


def test_headers_that_are_not_listed_end_at_the_gateway(centre: Centre) -> None:
    sent = {
        "flwr-public-key": "key",
        "flwr-signature": "signature",
        "flwr-timestamp": "now",
        "content-type": "application/protobuf",
        "flwr-superexec-signature": "forged",
        "flwr-task-token": "forged",
        "authorization": "forged",
        "cookie": "a=b",
        "x-forwarded-for": "1.2.3.4",
        "te": "trailers",
        "connection": "keep-alive, flwr-public-key",
        "keep-alive": "1",
        "proxy-authorization": "x",
        "accept-encoding": "gzip",
    }
    centre.superlink.headers = [
        (b"content-type", b"application/protobuf"),
        (b"server", b"SuperLink"),
        (b"set-cookie", b"a=b"),
        (b"x-powered-by", b"x"),
    ]
    with centre.client() as client:
        answer = client.post(PULL, headers=sent, content=b"x")
    (_, _, seen, _) = centre.superlink.seen[0]
    ours = {"host", "accept", "accept-encoding", "connection", "content-length", "user-agent"}
    assert set(seen) <= ours | {
        "flwr-public-key",
        "flwr-signature",
        "flwr-timestamp",
        "content-type",
    }
    assert seen["accept-encoding"] == "identity"
    assert seen["host"] == f"127.0.0.1:{seen['host'].split(':')[1]}"
    assert "server" not in answer.headers
    assert not {"set-cookie", "x-powered-by"} & set(answer.headers)
    assert answer.headers["content-type"] == "application/protobuf"


def test_every_answer_is_hardened(centre: Centre) -> None:
    with centre.client() as client:
        answers = [client.get("/health"), client.get("/"), client.post("/mascaron/v1/join")]
        answers += [client.post(PULL, content=bytes(LIMITS.body + 1)), client.put(PULL)]
    assert [a.status_code for a in answers] == [200, 404, 200, 413, 405]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers


def test_a_body_may_be_as_large_as_the_cap_and_no_larger(centre: Centre) -> None:
    with centre.client() as client:
        assert client.post(PULL, content=bytes(LIMITS.body)).status_code == 200
        assert client.post(PULL, content=bytes(LIMITS.body + 1)).status_code == 413
        whole = (bytes(LIMITS.body // 10) for _ in range(10))
        assert client.post(PULL, content=whole).status_code == 200
    assert [len(body) for *_, body in centre.superlink.seen] == [LIMITS.body, LIMITS.body]


def test_an_endless_chunked_body_is_cut_at_the_cap(centre: Centre) -> None:
    with centre.connect() as connection:
        connection.sendall(framed(PULL, "Transfer-Encoding: chunked"))
        piece = b"%x\r\n" % 10_000 + bytes(10_000) + b"\r\n"
        try:
            for _ in range(1000):
                connection.sendall(piece)
        except OSError:
            pass
        else:
            pytest.fail("ten megabytes were taken")
    assert centre.quiet
    assert centre.tally.total["body size"] == 1


def test_an_answer_of_the_superlink_comes_through_unchanged(centre: Centre) -> None:
    centre.superlink.answer = bytes(range(256)) * 8192  # 2 MiB
    for centre.superlink.status in (200, 401, 404, 500):
        with centre.client() as client:
            answer = client.post(PULL, content=b"x")
        assert answer.status_code == centre.superlink.status
        assert answer.content == centre.superlink.answer


def test_a_redirect_of_the_superlink_goes_nowhere(centre: Centre) -> None:
    centre.superlink.status = 307
    centre.superlink.headers = [(b"location", b"/v1/control/start-run")]
    with centre.client() as client:
        assert client.post(PULL, content=b"x").status_code == 502
    assert len(centre.superlink.seen) == 1


def test_without_a_superlink_the_gateway_says_so_and_goes_on(centre: Centre) -> None:
    centre.stop_superlink()
    with centre.client() as client:
        for _ in range(3):
            answer = client.post(PULL, content=b"x")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert client.get("/health").status_code == 503
        assert client.get("/mascaron/v1/ca").status_code == 200


def test_a_superlink_with_another_certificate_is_not_spoken_to(
    centre: Centre, tmp_path: Path
) -> None:
    other = home_with_keys(tmp_path / "other", time.time())
    tally, limits = Tally(time.monotonic), LIMITS
    with socket.create_server(("127.0.0.1", 0)) as sock:
        upstream = upstream_client(other, centre.port, limits)  # of another authority
        gateway = Gateway(upstream, FakeAdmission(), b"", limits, tally)
        config = gateway_config(other, gateway, Guard(limits=limits, tally=tally))
        with running(config, sock, upstream):
            context = ssl.create_default_context(cafile=str(other.ca))
            url = f"https://localhost:{sock.getsockname()[1]}{PULL}"
            with httpx.Client(verify=context, trust_env=False) as client:
                assert client.post(url, content=b"x").status_code == 503
    assert centre.quiet


def test_the_authority_is_there_for_all_to_read(centre: Centre) -> None:
    with centre.client() as client:
        answer = client.get("/mascaron/v1/ca")
    assert answer.content == centre.home.ca.read_bytes()
    assert centre.quiet


def test_admission_gets_name_and_body_and_nothing_else(centre: Centre) -> None:
    with centre.client() as client:
        answer = client.post("/mascaron/v1/join", content=b'{"a": 1}')
        assert (answer.status_code, answer.json()) == (200, {"name": "join"})
        assert answer.headers["content-type"] == "application/json"
        unknown = client.post("/mascaron/v1/other")
        assert (unknown.status_code, unknown.json()) == (404, {"reason": "UNKNOWN"})
        assert client.post("/mascaron/v1/join", content=bytes(1001)).status_code == 413
    assert centre.admission.asked == [("join", b'{"a": 1}'), ("other", b"")]
    assert not centre.superlink.seen


def test_a_bug_in_admission_tells_nothing(centre: Centre, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), centre.client() as client:
        answer = client.post("/mascaron/v1/broken", content=b"x")
    assert (answer.status_code, answer.content) == (500, b"")
    assert "secret path" not in caplog.text
    assert "ValueError" in caplog.text


def test_a_head_that_never_ends_is_cut(centre: Centre) -> None:
    """Before the first request, after one, and one byte at a time."""
    with centre.connect() as silent, centre.connect() as trickling, centre.connect() as second:
        second.sendall(framed("/health", "X: y", method="GET"))
        second.sendall(b"GET /heal")
        trickling.sendall(b"POST /v1/fleet/pull-messages HTTP/1.1\r\n")
        trickle(trickling, b"X: y\r\n")
        assert read_all(silent) == b""
        assert read_all(second).count(b"HTTP/1.1") == 1
    assert centre.tally.total["slow head"] == 3


def test_a_body_that_never_ends_is_cut(centre: Centre) -> None:
    with centre.connect() as connection:
        connection.sendall(framed(PULL, "Content-Length: 1000"))
        trickle(connection, b"x")
    with centre.connect() as silent:
        silent.sendall(framed(PULL, "Content-Length: 1000"))
        assert read_all(silent).startswith(b"HTTP/1.1 408")
    assert centre.tally.total["slow body"] == 2
    assert centre.quiet


def trickle(connection: ssl.SSLSocket, piece: bytes) -> None:
    """Sends ``piece`` again and again until the other side has had enough."""
    for _ in range(400):
        try:
            connection.sendall(piece)
        except OSError:
            return
        time.sleep(0.02)
    pytest.fail("eight seconds were borne")


def test_a_site_that_does_not_read_is_let_go(centre: Centre) -> None:
    centre.superlink.answer = bytes(64 * 2**20)
    with centre.connect() as connection:
        connection.sendall(request(PULL))
        wait_for(lambda: centre.tally.total["lost"] == 1)
    with centre.client() as client:
        centre.superlink.answer = b""
        assert client.post(PULL).status_code == 200


def test_one_address_has_a_bounded_number_of_requests(centre: Centre) -> None:
    centre.superlink.hold.clear()
    with ExitStack() as stack:
        waiting = [stack.enter_context(centre.connect()) for _ in range(LIMITS.address_requests)]
        for connection in waiting:
            connection.sendall(request(PULL))
            assert centre.superlink.arrived.acquire(timeout=20)
        with centre.client() as client:
            assert client.get("/mascaron/v1/ca").status_code == 503
        centre.superlink.hold.set()
        assert all(read_all(c).startswith(b"HTTP/1.1 200") for c in waiting)
        with centre.client() as client:
            assert client.get("/mascaron/v1/ca").status_code == 200


def test_all_addresses_together_have_a_bounded_number_of_requests(home: CentreHome) -> None:
    with a_centre(home, GatewayLimits(requests=1)) as centre:
        centre.superlink.hold.clear()
        with centre.connect() as connection, centre.client() as client:
            connection.sendall(request(PULL))
            assert centre.superlink.arrived.acquire(timeout=20)
            assert client.get("/mascaron/v1/ca").status_code == 503
            centre.superlink.hold.set()
            assert read_all(connection).startswith(b"HTTP/1.1 200")


def test_one_address_has_a_bounded_number_of_connections(centre: Centre) -> None:
    with ExitStack() as stack:
        for _ in range(LIMITS.address_connections + 8):
            try:
                stack.enter_context(centre.connect())
            except OSError:
                continue  # cut before the handshake had ended on this side
        wait_for(lambda: centre.tally.total["connections of one address"] == 8)
    with centre.client() as client:
        wait_for(lambda: client.get("/mascaron/v1/ca").status_code == 200)


def test_bodies_together_take_bounded_memory(centre: Centre) -> None:
    centre.superlink.hold.clear()
    with centre.connect() as first, centre.client() as client:
        first.sendall(request(PULL, body=bytes(LIMITS.body)))
        assert centre.superlink.arrived.acquire(timeout=20)
        assert client.post(PULL, content=bytes(LIMITS.body)).status_code == 503
        centre.superlink.hold.set()
        assert read_all(first).startswith(b"HTTP/1.1 200")
        assert client.post(PULL, content=bytes(LIMITS.body)).status_code == 200


def test_a_flood_leaves_few_lines_and_no_word_of_it(
    centre: Centre, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "server"), centre.client() as client:
        for number in range(80):
            client.post(f"/v1/control/start-run-{number}", content=b"x")
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("server")]
    assert ours == ["refused since the last line: path 1"]
    assert centre.tally.total["path"] == 80


def test_the_tally_tells_again_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    clock = iter(range(0, 1000, 10))
    tally = Tally(lambda: next(clock), seconds=60)
    with caplog.at_level(logging.WARNING, "server"):
        for cause in ("path", "method", "path", "path", "method", "path", "path"):
            tally.note(cause)
    assert len(caplog.records) == 2
    assert "method 2, path 4" in caplog.text


def test_old_tls_and_no_tls_are_refused(centre: Centre) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(centre.home.ca)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    plain = socket.create_connection(("127.0.0.1", centre.port), timeout=20)
    with plain, pytest.raises(OSError), context.wrap_socket(plain, server_hostname="localhost"):
        pass
    with socket.create_connection(("127.0.0.1", centre.port), timeout=20) as bare:
        bare.sendall(request(PULL))
        assert b"HTTP" not in bare.recv(4096)
    assert centre.quiet
    assert server_tls(centre.home).minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_taken_port_is_named(home: CentreHome, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = home_with_keys(tmp_path / "centre", time.time(), taken.getsockname()[1])
        with pytest.raises(DeploymentError, match=r"port \d+: Address already in use.*another"):
            listen(other)
    with listen(other) as had:
        assert had.getsockname()[0] == "127.0.0.1"


def test_addresses_are_counted_by_what_one_host_may_fill() -> None:
    assert address({"client": ("10.1.2.3", 5)}) == "10.1.2.3"
    first = address({"client": ("2001:db8::1", 5)})
    assert first == address({"client": ("2001:db8::ffff:2", 6)})
    assert first != address({"client": ("2001:db8:0:1::1", 5)})
    assert address({}) == address({"client": ("", 0)}) == "unknown"


def test_admission_is_asked_for_one_at_a_time(home: CentreHome) -> None:
    inside: list[int] = []

    class Slow:
        def answer(self, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
            inside.append(1)
            time.sleep(0.01)
            told = len(inside)
            inside.pop()
            return 200, json.loads(body) | {"inside": told}

    async def ask() -> list[dict[str, Any]]:
        gateway = Gateway(httpx.AsyncClient(), Slow(), b"", GatewayLimits(), Tally(time.monotonic))
        transport = httpx.ASGITransport(gateway)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="https://x") as client:
            calls = [client.post("/mascaron/v1/a", content=b"{}") for _ in range(8)]
            return [answer.json() for answer in await asyncio.gather(*calls)]

    assert asyncio.run(ask()) == [{"inside": 1}] * 8


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("twenty seconds went by")
