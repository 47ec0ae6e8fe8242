"""Ideas of a courier that wants the agent to fall over: sizes, numbers, slowness, broken bytes."""

import os
import random
import socket
import struct
import time
from contextlib import ExitStack, suppress

import grpc

from common import wire
from common.privacy.plan import MomentMechanism
from protos.gen import agent_pb2 as pb
from tests.hostile.couriers import SERVICE, Catch, Scene, attack, train_request

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST, SETTINGS, CONTINUATION, DATA = 1, 3, 4, 9, 0
END_HEADERS, END_STREAM = 4, 1
METHODS = ("Describe", "ReviewCharter", "AcceptCharter", "Train", "Evaluate", "Status")


@attack("UNIMPLEMENTED")
def calls_what_is_not_there(scene: Scene, catch: Catch) -> None:
    with scene.channel() as agent:
        for method in ("Erase", "Faces", "train", "Train/", "__init__", "stop", "Describe\x00x"):
            with suppress(UnicodeError, ValueError):
                catch.ask(agent, method, b"")
        for path in ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/", "//Train"):
            try:
                catch.take(agent.unary_unary(path)(b"", timeout=5))
            except grpc.RpcError as error:
                catch.refusal(error)


@attack("RESOURCE_EXHAUSTED", "INVALID_REQUEST")
def sends_tensors_of_any_size(scene: Scene, catch: Catch) -> None:
    request = train_request("huge")
    request.tensors[0].data = bytes(25 * 2**20)
    with scene.channel(options=[("grpc.max_send_message_length", -1)]) as agent:
        catch.ask(agent, "Train", request)
        many = pb.TrainRequest(protocol=wire.PROTOCOL, run="many", round=1)
        for number in range(100_000):
            many.tensors.add(name=str(number), dtype="float32", shape=[0], data=b"")
        catch.ask(agent, "Train", many)


@attack("INVALID_REQUEST", "NOT_READY", "SIGNATURE_INVALID", "PROTOCOL_VERSION", some=True)
def sends_bytes_that_are_no_messages(scene: Scene, catch: Catch) -> None:
    rng = random.Random(1)  # noqa: S311
    honest = train_request("broken").SerializeToString()
    with scene.channel() as agent:
        for number in range(300):
            raw = rng.randbytes(rng.randrange(200))
            if number % 2:
                at = rng.randrange(len(honest))
                raw = honest[:at] + raw + honest[at + rng.randrange(20) :]
            method = METHODS[number % len(METHODS)]
            catch.ask(agent, method, raw)
        nested = b"\x22\xff\xff\xff\xff\x0f"
        catch.ask(agent, "Train", nested * 1000)


@attack("RESOURCE_EXHAUSTED", "INVALID_REQUEST")
def sends_a_bomb_of_zeros(scene: Scene, catch: Catch) -> None:
    """A little gzip that becomes much: the cap is on what it becomes."""
    options = [("grpc.max_send_message_length", -1)]
    with scene.channel(options=options, compression=grpc.Compression.Gzip) as agent:
        for size in (2**20, 200 * 2**20):
            catch.ask(agent, "Train", bytes(size))


@attack("RESOURCE_EXHAUSTED")
def sends_words_that_are_too_long(scene: Scene, catch: Catch) -> None:
    with scene.channel() as agent:
        for size in (10_000, 200_000):
            call = agent.unary_unary(f"/{SERVICE}/Status")
            metadata = (("x-word", "x" * size),)
            try:
                catch.take(call(_status(), timeout=10, metadata=metadata))
            except grpc.RpcError as error:
                catch.refusal(error)


@attack()
def asks_thousands_of_times_at_once(scene: Scene, catch: Catch) -> None:
    refused: set[str] = set()
    with ExitStack() as stack:
        channels = [stack.enter_context(scene.channel(options=_own())) for _ in range(8)]
        calls = [
            channels[number % 8].unary_unary(f"/{SERVICE}/Status").future(_status(), timeout=30)
            for number in range(2000)
        ]
        for call in calls:
            try:
                call.result()
            except grpc.RpcError as error:
                catch.take(str(error))
                refused.add(error.code().name)
    assert refused <= {"RESOURCE_EXHAUSTED", "UNAVAILABLE"}


@attack("CANCELLED", "DEADLINE_EXCEEDED", "BUSY", "NOT_READY", some=True, releases=1)
def has_no_time_and_changes_its_mind(scene: Scene, catch: Catch) -> None:
    """Deadlines of nothing and calls taken back: what was begun is finished and paid once."""
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("hasty", scene.plan(release_slot=0.3)))
        train = agent.unary_unary(f"/{SERVICE}/Train")
        for seconds in (0.0, 0.001):
            catch.ask(agent, "Train", train_request("hasty"), seconds)
        for _ in range(5):
            call = train.future(train_request("hasty").SerializeToString(), timeout=10)
            time.sleep(0.02)
            call.cancel()
        for _ in range(20):
            if catch.train(agent, "hasty") is not None:
                break
            time.sleep(0.2)


@attack()
def opens_a_thousand_connections_and_says_little(scene: Scene, catch: Catch) -> None:
    """Slow-loris: a byte now and then on each of them, while an honest call is made."""
    with ExitStack() as stack:
        held = [stack.enter_context(_connected(scene)) for _ in range(1000)]
        for at in range(3):
            for one in held:
                with suppress(OSError):
                    one.send(PREFACE[at : at + 1])
        _still_answers(scene, catch)


@attack()
def never_reads_what_it_asked_for(scene: Scene, catch: Catch) -> None:
    """HTTP/2 by hand, a window of nothing: the answers stay with the agent, who goes on."""
    with ExitStack() as stack:
        for _ in range(20):
            one = stack.enter_context(_connected(scene))
            settings = struct.pack(">HI", 4, 0)  # INITIAL_WINDOW_SIZE = 0
            one.sendall(PREFACE + _frame(SETTINGS, 0, 0, settings))
            with suppress(OSError):
                for stream in range(1, 41, 2):
                    one.sendall(_call(stream))


@attack()
def opens_and_resets_streams_as_fast_as_it_can(scene: Scene, catch: Catch) -> None:
    with _connected(scene) as one:
        one.sendall(PREFACE + _frame(SETTINGS, 0, 0, b""))
        with suppress(OSError):
            for stream in range(1, 6001, 2):
                reset = _frame(RST, 0, stream, struct.pack(">I", 8))
                one.sendall(_call(stream) + reset)
        _still_answers(scene, catch)


@attack()
def never_ends_its_headers(scene: Scene, catch: Catch) -> None:
    with _connected(scene) as one:
        one.sendall(PREFACE + _frame(SETTINGS, 0, 0, b"") + _frame(HEADERS, 0, 1, _words()))
        with suppress(OSError):
            for _ in range(500):
                one.sendall(_frame(CONTINUATION, 0, 1, b"\x00\x01x\x7f\x81\x07" + b"v" * 1000))
        _still_answers(scene, catch)


@attack()
def sends_rubbish_instead_of_a_protocol(scene: Scene, catch: Catch) -> None:
    rng = random.Random(2)  # noqa: S311
    for _ in range(50):
        with _connected(scene) as one, suppress(OSError):
            one.sendall(rng.choice((b"GET / HTTP/1.1\r\n\r\n", PREFACE, b"")) + rng.randbytes(500))
            one.settimeout(0.02)
            catch.take(one.recv(4096))
    _still_answers(scene, catch)


@attack("PRIVACY_BUDGET_EXHAUSTED", slow=True)
def trains_until_there_is_no_budget_left(scene: Scene, catch: Catch) -> None:
    """Run after run: what was accepted in all stays within what the operator allowed."""
    with scene.channel() as agent:
        for number in range(200):
            run, mean = (
                f"greedy-{number}",
                MomentMechanism(kind="mean", sigma=4.0, clip=1.0, name="m"),
            )
            if catch.accept(agent, scene.offer(run, scene.plan(mean))) is None:
                break
            catch.train(agent, run)
    catch.note["runs"] = number


def _still_answers(scene: Scene, catch: Catch) -> None:
    """An honest call is answered within 20 seconds, asked again where every slot is taken."""
    until = time.monotonic() + 20
    with scene.channel(options=_own()) as agent:
        while True:
            try:
                return catch.take(agent.unary_unary(f"/{SERVICE}/Status")(_status(), timeout=20))
            except grpc.RpcError as error:
                full = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                if not full or time.monotonic() > until:
                    raise
            time.sleep(0.1)


def _status() -> bytes:
    return bytes(pb.StatusRequest(protocol=wire.PROTOCOL).SerializeToString())


def _own() -> list[tuple[str, int]]:
    """A connection that is not shared with another channel of this process."""
    return [("grpc.use_local_subchannel_pool", 1), ("grpc.x", int.from_bytes(os.urandom(3)))]


def _connected(scene: Scene) -> socket.socket:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.settimeout(5)
    one.connect(scene.address.removeprefix("unix://"))
    return one


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _words() -> bytes:
    def word(name: bytes, value: bytes) -> bytes:
        return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value

    path = f"/{SERVICE}/Status".encode()
    known = b"\x83\x86" + word(b":path", path) + word(b":authority", b"localhost")
    return known + word(b"te", b"trailers") + word(b"content-type", b"application/grpc")


def _call(stream: int) -> bytes:
    body = b"\x00" + struct.pack(">I", len(_status())) + _status()
    headers = _frame(HEADERS, END_HEADERS, stream, _words())
    return headers + _frame(DATA, END_STREAM, stream, body)
