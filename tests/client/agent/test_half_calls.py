"""A peer that keeps its connection alive and never ends its calls holds the agent for a while."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from client.agent.jobs import LONGEST, Jobs
from client.agent.main import SERVICE, serve
from client.agent.service import AgentService
from client.serving.running import LIFE, STREAMS
from common import wire
from protos.gen import agent_pb2 as pb

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, SETTINGS, PING, ACK, END_HEADERS = 1, 4, 6, 1, 4
STATUS = f"/{SERVICE}/Status"


class Idle:
    """A trainer that is never asked to train."""

    usable = True


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def half_a_call(stream: int) -> bytes:
    """The head of a call whose message never comes."""
    words = {":path": STATUS, ":authority": "a", "te": "trailers"}
    told = b"\x83\x86"  # POST, http
    for pair in {**words, "content-type": "application/grpc"}.items():
        told += b"\x00" + b"".join(bytes((len(word),)) + word.encode() for word in pair)
    return frame(HEADERS, END_HEADERS, stream, told)


def stay(peer: socket.socket) -> None:
    """Answers what keeps the connection alive, and nothing else, until it is cut off."""
    heard = b""
    with suppress(OSError):
        while piece := peer.recv(65536):
            heard += piece
            while len(heard) >= (end := 9 + int.from_bytes(heard[:3], "big")) >= 9:
                kind, flags, payload, heard = heard[3], heard[4], heard[9:end], heard[end:]
                if kind in (SETTINGS, PING) and not flags & ACK:
                    peer.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))


@contextmanager
def greedy(path: Path) -> Iterator[threading.Thread]:
    """A peer with as many half calls as the agent bears; the thread ends when it is cut off."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(60)
        peer.connect(str(path))
        calls = b"".join(half_a_call(stream) for stream in range(1, 2 * STREAMS, 2))
        peer.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + calls)
        thread = threading.Thread(target=stay, args=(peer,))
        thread.start()
        yield thread
        thread.join(60)


def refused(address: str) -> bool:
    """Whether a call of somebody else is one too many now."""
    asked = pb.StatusRequest(protocol=wire.PROTOCOL).SerializeToString()
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary(STATUS)(asked, timeout=10)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            return True
    return False


def test_half_calls_end_with_their_connection_though_its_pings_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.serving.running.LIFE", (1500, 500))
    with serve(AgentService(Idle(), Jobs()), f"unix:{tmp_path / 'a.sock'}") as agent:  # type: ignore[arg-type]
        with greedy(tmp_path / "a.sock") as thread:
            turned_away = 0
            while thread.is_alive():
                turned_away += refused(agent.address)
                time.sleep(0.05)
        assert turned_away
        assert not refused(agent.address)


def test_whoever_waits_for_a_round_is_not_cut_off_with_them() -> None:
    assert LIFE[1] > 1000 * LONGEST
