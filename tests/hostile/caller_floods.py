"""Ideas of callers that want the door to fall over: numbers, slowness, half of everything."""

import random
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import grpc

from client.door.main import SERVICE
from client.door.proofs import TOKEN
from tests.hostile.caller_cameras import everything
from tests.hostile.callers import Haul, attack, filled, mouth, socket_of
from tests.hostile.courier_floods import (
    CONTINUATION,
    END_HEADERS,
    HEADERS,
    PREFACE,
    RST,
    SETTINGS,
    _frame,
)
from tests.hostile.doorstep import Doorstep


@attack("RESOURCE_EXHAUSTED", "UNAVAILABLE", "ROLE_REFUSED", some=True)
def asks_hundreds_of_times_at_once(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "camera") as camera, ThreadPoolExecutor(40) as pool:
        list(pool.map(lambda _: camera("Status"), range(200)))


@attack("INVALID_REQUEST", "PROTOCOL_VERSION", "RESOURCE_EXHAUSTED", some=True)
def sends_bytes_that_are_no_messages(site: Doorstep, haul: Haul) -> None:
    rng = random.Random(1)  # noqa: S311
    sound = everything(site)
    with mouth(site, haul, "camera") as camera:
        for number in range(300):
            method = rng.choice(sorted(sound))
            honest = filled(method, {} if number % 3 else sound[method])[:2000]
            at = rng.randrange(len(honest))
            raw = honest[:at] + rng.randbytes(rng.randrange(1, 40)) + b"\xff" * (number % 5)
            camera.raw(method, raw)
        camera.raw("Erase", b"\x12\x10" + bytes(16) + b"\x12\x10" * 5000)
        camera.raw("Verify", b"\x0b" * 60_000)  # groups in groups
    haul.reasons = [one for one in haul.reasons if one != "ROLE_REFUSED"]
    assert set(haul.answered) <= {"Verify"}


@attack("RESOURCE_EXHAUSTED", "INVALID_REQUEST", some=True)
def sends_zeros_that_were_packed(site: Doorstep, haul: Haul) -> None:
    options = [("grpc.max_send_message_length", -1)]
    address = f"unix://{site.home.door_socket()}"
    shown = ((TOKEN, site.tokens["camera"]),)
    with grpc.insecure_channel(address, options, compression=grpc.Compression.Gzip) as door:
        for size in (2**17, 200 * 2**20):
            haul.ask(door, "Verify", bytes(size), shown)
            haul.ask(door, "Status", bytes(size), shown)


@attack("RESOURCE_EXHAUSTED")
def sends_words_without_end(site: Doorstep, haul: Haul) -> None:
    with socket_of(site) as door:
        for size in (20_000, 300_000):
            haul.ask(door, "Status", {}, ((TOKEN, "x" * size),))


@attack()
def opens_hundreds_of_connections_and_says_half(site: Doorstep, haul: Haul) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(_connected(site)) for _ in range(300)]
        for at in range(3):
            for one in held:
                with suppress(OSError):
                    one.send(PREFACE[at : at + 1])
        site.check_answers()


@attack()
def leaves_calls_half_said(site: Doorstep, haul: Haul) -> None:
    """Headers and no message, on more streams than there are slots; then the connection goes."""
    with ExitStack() as stack:
        for _ in range(4):
            one = stack.enter_context(_connected(site))
            with suppress(OSError):
                one.sendall(PREFACE + _frame(SETTINGS, 0, 0, b""))
                for stream in range(1, 33, 2):
                    one.sendall(_frame(HEADERS, END_HEADERS, stream, _words(site)))


@attack()
def opens_and_resets_as_fast_as_it_can(site: Doorstep, haul: Haul) -> None:
    with _connected(site) as one, suppress(OSError):
        one.sendall(PREFACE + _frame(SETTINGS, 0, 0, b""))
        for stream in range(1, 4001, 2):
            reset = _frame(RST, 0, stream, struct.pack(">I", 8))
            one.sendall(_frame(HEADERS, END_HEADERS, stream, _words(site)) + reset)


@attack()
def never_ends_its_headers(site: Doorstep, haul: Haul) -> None:
    with _connected(site) as one, suppress(OSError):
        one.sendall(PREFACE + _frame(SETTINGS, 0, 0, b"") + _frame(HEADERS, 0, 1, _words(site)))
        for _ in range(300):
            one.sendall(_frame(CONTINUATION, 0, 1, b"\x00\x01x\x7f\x81\x07" + b"v" * 1000))


@attack()
def speaks_no_protocol_at_all(site: Doorstep, haul: Haul) -> None:
    rng = random.Random(2)  # noqa: S311
    for _ in range(40):
        with _connected(site) as one, suppress(OSError):
            one.sendall(rng.choice((b"GET / HTTP/1.1\r\n\r\n", PREFACE, b"")) + rng.randbytes(400))
            one.settimeout(0.02)
            haul.take(one.recv(4096))


def _connected(site: Doorstep) -> socket.socket:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.settimeout(5)
    one.connect(str(site.home.door_socket()))
    return one


def _words(site: Doorstep) -> bytes:
    def word(name: bytes, value: bytes) -> bytes:
        return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value

    path = f"/{SERVICE}/Status".encode()
    known = b"\x83\x86" + word(b":path", path) + word(b":authority", b"localhost")
    shown = word(TOKEN.encode(), site.tokens["camera"].encode())
    return known + word(b"te", b"trailers") + word(b"content-type", b"application/grpc") + shown
