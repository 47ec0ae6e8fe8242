"""The gateway bears floods, endless bodies and connections that stand still, in bounded room."""

import dataclasses
import logging
import ssl
import time
from contextlib import ExitStack

import pytest

from server.home import CentreHome
from server.serving.guard import GatewayLimits
from server.serving.tally import Tally
from tests.small_gateway import LIMITS, PULL, Centre, a_centre, framed, read_all, request, wait_for


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


def test_one_address_has_a_bounded_number_of_connections(home: CentreHome) -> None:
    patient = dataclasses.replace(LIMITS, idle_seconds=20.0)  # none is cut for being slow
    with a_centre(home, patient) as centre:
        with ExitStack() as stack:
            for _ in range(LIMITS.address_connections + 8):
                try:
                    stack.enter_context(centre.connect())
                except OSError:
                    continue  # cut before the handshake had ended on this side
            wait_for(lambda: centre.tally.total["connections of one address"] == 8)
        wait_for(lambda: centre.held == 0)
        with centre.client() as client:
            assert client.get("/mascaron/v1/ca").status_code == 200


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
