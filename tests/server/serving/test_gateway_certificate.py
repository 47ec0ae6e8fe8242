"""A gateway that runs shows a renewed certificate to whoever comes next, and never a broken one."""

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509

from common.trust import storing
from server.admission.authority import renew_server
from server.home import CentreHome
from server.serving.guard import GatewayLimits
from server.serving.listener import listen, run_gateway
from tests.small_door import free_port, home_with_keys
from tests.small_gateway import FakeAdmission, framed, wait_for

NOTHING = 1  # a port where no SuperLink is


@pytest.fixture
def own(tmp_path: Path) -> CentreHome:
    return home_with_keys(tmp_path / "centre", time.time(), free_port())


@pytest.fixture
def port(own: CentreHome) -> Iterator[int]:
    """The port of a gateway that runs as `mascaron-admin serve` runs it."""
    loop, limits = asyncio.new_event_loop(), GatewayLimits(look_seconds=0.05)
    door = listen(own)
    number = int(door.getsockname()[1])

    async def run() -> None:
        with suppress(asyncio.CancelledError):
            await run_gateway(own, door, NOTHING, FakeAdmission(), limits)

    task = loop.create_task(run())
    thread = threading.Thread(target=loop.run_until_complete, args=(task,))
    thread.start()
    shown(own, number)  # what is on the disk changes only once it was read
    yield number
    loop.call_soon_threadsafe(task.cancel)
    thread.join(20)
    assert not thread.is_alive()
    loop.close()


def connected(home: CentreHome, port: int) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(home.ca))
    plain = socket.create_connection(("127.0.0.1", port), timeout=20)
    return context.wrap_socket(plain, server_hostname="localhost")


def serial(connection: ssl.SSLSocket) -> int:
    certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


def shown(home: CentreHome, port: int) -> int:
    with connected(home, port) as connection:
        return serial(connection)


def on_disk(home: CentreHome) -> int:
    return x509.load_pem_x509_certificate(home.server_certificate.read_bytes()).serial_number


def asks(connection: ssl.SSLSocket) -> bytes:
    connection.sendall(framed("/mascaron/v1/hello", "X: y", method="GET"))
    answer = b""
    while b"protocol" not in answer:
        answer += connection.recv(4096)
    return answer


def test_a_renewed_certificate_is_shown_and_who_is_connected_stays_so(
    own: CentreHome, port: int
) -> None:
    old = on_disk(own)
    with connected(own, port) as before:
        assert serial(before) == old
        assert asks(before).startswith(b"HTTP/1.1 200")
        assert renew_server(own, time.time(), due=False)
        assert on_disk(own) != old
        wait_for(lambda: shown(own, port) == on_disk(own))
        assert asks(before).startswith(b"HTTP/1.1 200")
    assert renew_server(own, time.time(), due=False)
    wait_for(lambda: shown(own, port) == on_disk(own))


@pytest.mark.parametrize("broken", ["another's", "torn", "gone", "text"])
def test_a_certificate_that_is_broken_leaves_the_old_one_in_place(
    own: CentreHome, port: int, broken: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, old = own.server_certificate.read_bytes(), on_disk(own)
    other = home_with_keys(tmp_path / "other", time.time()).server_certificate.read_bytes()
    content = {"another's": other, "torn": whole[: len(whole) // 2], "text": b"x", "gone": None}
    with caplog.at_level(logging.WARNING, "server"):
        if content[broken] is None:
            own.server_certificate.unlink()
        else:
            storing.replace(own.server_certificate, content[broken] or b"")
        wait_for(lambda: "cannot be shown" in caplog.text)
        assert shown(own, port) == old
        assert len(caplog.records) == 1  # told once, not every time
        storing.replace(own.server_certificate, whole)
        wait_for(lambda: "from now on" in caplog.text)
        assert shown(own, port) == old
        renew_server(own, time.time(), due=False)
        wait_for(lambda: shown(own, port) == on_disk(own))
    assert str(own.folder) not in caplog.text
