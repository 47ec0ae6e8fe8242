"""The gateway lets the listed calls through and nothing else, whatever is thrown at it."""

import asyncio
import json
import logging
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DeploymentError
from server.home import CentreHome
from server.serving.gateway import FLEET, Gateway, route
from server.serving.guard import GatewayLimits, Guard
from server.serving.listener import Shown, gateway_config, listen, server_tls, upstream_client
from server.serving.tally import RefusedError
from tests.small_door import home_with_keys
from tests.small_gateway import (
    LIMITS,
    PULL,
    Centre,
    FakeAdmission,
    framed,
    refused,
    request,
    running,
)

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
    guard = Guard.of(LIMITS, time.monotonic)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        upstream = upstream_client(other, centre.port, LIMITS)  # of another authority
        gateway = Gateway(upstream, FakeAdmission(), b"", guard)
        config = gateway_config(Shown(other), gateway, guard)
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
        gateway = Gateway(
            httpx.AsyncClient(), Slow(), b"", Guard.of(GatewayLimits(), time.monotonic)
        )
        transport = httpx.ASGITransport(gateway)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="https://x") as client:
            calls = [client.post("/mascaron/v1/a", content=b"{}") for _ in range(8)]
            return [answer.json() for answer in await asyncio.gather(*calls)]

    assert asyncio.run(ask()) == [{"inside": 1}] * 8
