"""The door of an agent: who can reach it, what a broken message does, how it closes."""

import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.agent.charters import Offer, Review
from client.agent.jobs import Jobs
from client.agent.main import REQUESTS, SERVICE, serve
from client.agent.service import AgentService
from client.serving.listening import Door
from client.serving.running import MAX_MESSAGE, Running
from common import wire
from common.errors import ConfigError
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc

SLOW_SITE = """
import sys, time
from client.agent.main import serve
from client.agent.service import AgentService
from client.serving.stopping import Stopping
class Slow:
    camera_type = trunk = "t"
    declared_people = 20
    def accept(self, offer):
        print("asked", flush=True)
        time.sleep(1.0)
        return "done"
    def head(self):
        return ""
with Stopping() as stopping, serve(AgentService(Slow()), sys.argv[1]):
    print("ready", flush=True)
    stopping.wait()
"""


class Quiet:
    """A trainer that is never asked to train."""

    camera_type, trunk, declared_people = "door", "t", 20
    site, usable = "north", True

    def presence(self, challenge: bytes) -> bytes:
        return challenge

    def review(self, offer: Offer) -> Review:
        return Review(charter="", epsilon=0.0, automatic=False)

    def accept(self, offer: Offer) -> str:
        return offer.charter

    def head(self) -> str:
        return ""

    def confirm(self, kept: str) -> None:
        pass

    def progress(self, run: str, number: int) -> float:
        return 0.0

    def train(self, run: str, number: int, arrays: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Running]:
    with serve(AgentService(Quiet()), f"unix:{tmp_path}/a.sock") as running:
        yield running


def send(address: str, method: str, raw: bytes) -> bytes:
    with grpc.insecure_channel(address) as channel:
        answer: bytes = channel.unary_unary(f"/{SERVICE}/{method}")(raw, timeout=10)
        return answer


def code(call: Callable[[], Any]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code()


def test_only_its_user_can_open_the_socket_and_it_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    mask = os.umask(0)
    try:
        with serve(AgentService(Quiet()), f"unix:{path}") as running:
            mode = path.stat().st_mode
            assert stat.S_ISSOCK(mode)
            assert stat.S_IMODE(mode) == 0o600
            assert send(running.address, "Describe", described())
        assert os.umask(0) == 0
    finally:
        os.umask(mask)
    assert not path.exists()


def described() -> bytes:
    return bytes(pb.DescribeRequest(protocol=wire.PROTOCOL).SerializeToString())


def test_a_socket_left_by_an_agent_that_is_gone_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with serve(AgentService(Quiet()), f"unix:{path}") as running:
        assert send(running.address, "Describe", described())


def test_a_second_agent_does_not_take_the_place_of_the_first(agent: Running) -> None:
    with pytest.raises(ConfigError, match="another agent"):
        serve(AgentService(Quiet()), agent.address)
    assert send(agent.address, "Describe", described())


def test_a_file_at_the_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", "utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in ("file", "link"):
        with pytest.raises(ConfigError, match="not a socket"):
            serve(AgentService(Quiet()), f"unix:{tmp_path}/{name}")
    assert (tmp_path / "file").read_text("utf-8") == "mine"


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0:5000",
        "[::]:5000",
        "192.168.1.4:5000",
        "example.org:80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:http",
        ":5000",
        "",
        "unix:",
        "unix:relative.sock",
        "unix:/no/such/folder/a.sock",
        "unix:/tmp/" + "long" * 30,
        "unix:/tmp/a%20b.sock",
        "dns:///example.org:80",
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(address: str) -> None:
    with pytest.raises(ConfigError):
        serve(AgentService(Quiet()), address)


@pytest.mark.parametrize("method", sorted(REQUESTS))
def test_a_broken_message_is_one_refusal_and_no_traceback(
    agent: Running, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(grpc.RpcError) as caught:
        send(agent.address, method, b"\x0a\xff\xff\xff\xff\xff")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert dict(caught.value.trailing_metadata())["reason"] == "INVALID_REQUEST"
    assert "Traceback" not in caplog.text
    assert not any(record.exc_info for record in caplog.records)
    assert send(agent.address, "Describe", described())


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(sorted(REQUESTS)), raw=st.binary(max_size=200))
def test_no_bytes_are_a_bug(agent: Running, method: str, raw: bytes) -> None:
    allowed = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION}
    try:
        send(agent.address, method, raw)
    except grpc.RpcError as error:
        assert error.code() in allowed


def test_a_message_over_the_cap_is_refused_unread(agent: Running) -> None:
    told = code(lambda: send(agent.address, "Train", bytes(MAX_MESSAGE + 1)))
    assert told == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert send(agent.address, "Describe", described())


def test_an_unknown_method_does_not_exist(agent: Running) -> None:
    assert code(lambda: send(agent.address, "Erase", b"")) == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_an_agent_finishes_what_it_was_doing(tmp_path: Path, number: int) -> None:
    address = f"unix:{tmp_path}/a.sock"
    command = [sys.executable, "-c", SLOW_SITE, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        answers: list[bytes] = []
        offer = pb.CharterRequest(protocol=wire.PROTOCOL).SerializeToString()
        asking = threading.Thread(
            target=lambda: answers.append(send(address, "AcceptCharter", offer))
        )
        asking.start()
        assert process.stdout.readline() == "asked\n"
        process.send_signal(number)
        asking.join(timeout=10)
        assert process.wait(timeout=10) == 0
    assert pb.AcceptResponse.FromString(answers[0]).charter_digest == "done"
    assert not (tmp_path / "a.sock").exists()


WORKING_SITE = """
import sys, time
import numpy as np
from client.agent.jobs import Jobs
from client.agent.main import serve
from client.agent.service import AgentService
from client.serving.stopping import Stopping
class Working:
    usable = True
    def train(self, run, number, arrays):
        print("training", flush=True)
        time.sleep(1.5)
        return {"done": np.ones(1, np.float32)}
    def head(self):
        return "head"
    def confirm(self, kept):
        pass
    def progress(self, run, number):
        return 0.5
service = AgentService(Working(), Jobs())
with Stopping() as stopping, serve(service, sys.argv[1]):
    print("ready", flush=True)
    stopping.wait()
"""


def told(call: Callable[[], Any]) -> str:
    """The reason of a refusal."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return str(dict(caught.value.trailing_metadata())["reason"])


def test_a_long_round_outlives_calls_and_a_stopping_agent_finishes_it(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/a.sock"
    command = [sys.executable, "-c", WORKING_SITE, address]
    request = pb.TrainRequest(protocol=wire.PROTOCOL, run="r1", round=1)
    other = pb.TrainRequest(protocol=wire.PROTOCOL, run="r2", round=1)
    status = pb.StatusRequest(protocol=wire.PROTOCOL)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with grpc.insecure_channel(address) as channel:
            agent = rpc.AgentStub(channel)  # type: ignore[no-untyped-call]
            assert told(lambda: agent.Train(request, timeout=0.5)) == "NOT_READY"
            assert process.stdout.readline() == "training\n"
            assert told(lambda: agent.Train(other, timeout=5)) == "BUSY"
            working = agent.Status(status, timeout=5)
            assert (working.state, working.progress) == (pb.STATE_WORKING, 0.5)
            process.send_signal(signal.SIGTERM)
            answer = agent.Train(request, timeout=10)
            assert [t.name for t in answer.tensors] == ["done"]
        assert process.wait(timeout=15) == 0
        assert process.stdout.read() == ""  # worked out once


def test_an_agent_about_to_stop_says_so(tmp_path: Path) -> None:
    jobs = Jobs()
    with serve(AgentService(Quiet(), jobs), f"unix:{tmp_path}/a.sock") as running:
        jobs.drain(0.0)
        with grpc.insecure_channel(running.address) as channel:
            agent = rpc.AgentStub(channel)  # type: ignore[no-untyped-call]
            asked = pb.TrainRequest(protocol=wire.PROTOCOL, run="r1", round=1)
            charter = pb.CharterRequest(protocol=wire.PROTOCOL)
            assert told(lambda: agent.Train(asked, timeout=5)) == "DRAINING"
            assert told(lambda: agent.AcceptCharter(charter, timeout=5)) == "DRAINING"
            state = agent.Status(pb.StatusRequest(protocol=wire.PROTOCOL), timeout=5).state
            assert state == pb.STATE_DRAINING


def test_a_socket_opened_to_a_group_is_open_to_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with serve(AgentService(Quiet()), f"unix:{path}", Door(group=os.getegid())):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_plain_port_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mutual TLS"):
        serve(AgentService(Quiet()), "127.0.0.1:0")


def test_a_peer_that_answers_no_ping_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.serving.running.KEEPALIVE", (1000, 500))
    agent = serve(AgentService(Quiet()), f"unix:{tmp_path / 'a.sock'}")
    with agent, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.settimeout(30)
        mute.connect(str(tmp_path / "a.sock"))
        mute.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        while mute.recv(4096):  # settings and pings, read and never answered
            pass


TIDY_SITE = """
import sys
from client.agent.main import serve
from client.agent.service import AgentService
from client.serving.stopping import Stopping
with Stopping() as stopping, serve(AgentService(object()), sys.argv[1]):
    print("ready", flush=True)
    stopping.wait(lambda: print("tidied", flush=True), 0.1)
"""


def test_an_agent_tidies_up_now_and_then_while_it_serves(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TIDY_SITE, f"unix:{tmp_path}/agent.sock"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)] == ["ready\n", "tidied\n", "tidied\n"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
