"""The bench of rounds: its figures, what it counts, and a small run over real daemons."""

import json
import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from client.agent.charters import Offer
from common import wire
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc
from simulations.benchmarks import rounds
from simulations.benchmarks.counting import counting_port
from simulations.benchmarks.rounds_flower import Size
from simulations.cli import main

SMALL = Size(4, 6, 3)


def one(who: str, repeat: int, seconds: float, passed: int) -> dict[str, Any]:
    return {"who": who, "repeat": repeat, "seconds": seconds, "bytes": passed, "numbers": 4}


def test_ratios_are_medians_of_what_was_measured_in_the_same_turn() -> None:
    seconds = {"site": (2.0, 9.0, 4.0), "echo": (1.0, 3.0, 4.0)}
    measured = [
        one(who, repeat, took, 10 if who == "echo" else 15)
        for who, all_took in seconds.items()
        for repeat, took in enumerate(all_took)
    ]
    told = rounds.report(SMALL, measured)
    assert (told["ratio_seconds"], told["ratio_bytes"]) == (2.0, 1.5)
    assert (told["seconds_site"], told["seconds_echo"]) == (4.0, 3.0)
    assert (told["sent"], told["answered"]) == (4 * 4 * (6 + 1), 16)


def test_the_agent_of_the_bench_is_a_sites_own_and_answers_every_round(tmp_path: Path) -> None:
    import grpc

    with (
        rounds.open_agent(SMALL, tmp_path) as agent,
        grpc.insecure_channel(agent.address) as channel,
    ):
        stub = rpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        for number in range(1, SMALL.repeats + 1):
            request = pb.TrainRequest(protocol=wire.PROTOCOL, run=rounds.RUN, round=number)
            for name, array in rounds.frame(SMALL).items():
                data = np.ascontiguousarray(array).tobytes()
                request.tensors.add(name=name, dtype="float32", shape=array.shape, data=data)
            [tensor] = stub.Train(request, timeout=30).tensors
            assert list(tensor.shape) == [SMALL.coordinates]
    offer = rounds.offered(tmp_path / "charter", rounds.frame(SMALL))
    assert isinstance(offer, Offer)


def test_every_byte_either_way_is_counted_and_passed_on(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as behind:

        def answer() -> None:
            near, _ = behind.accept()
            with near:
                near.sendall(near.recv(100).upper() + b"!")

        threading.Thread(target=answer, daemon=True).start()
        with (
            counting_port(behind.getsockname()[1], tmp_path / "count") as port,
            socket.create_connection(("127.0.0.1", port), 10) as one_end,
        ):
            one_end.sendall(b"hello")
            assert one_end.recv(100) == b"HELLO!"
            one_end.shutdown(socket.SHUT_WR)
            assert one_end.recv(100) == b""
            assert int((tmp_path / "count").read_text("ascii")) == 11


def test_the_bench_is_among_the_benches() -> None:
    told = CliRunner().invoke(main, ["bench", "rounds", "--help"]).output
    assert "--coordinates" in told


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:GitWildMatch:DeprecationWarning")  # flwr's own
def test_a_site_adds_little_to_a_message_of_flowers(capsys: pytest.CaptureFixture[str]) -> None:
    rounds.main(["--repeats", "2", "--coordinates", "16", "--features", "64"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["bytes_echo"] > told["sent"]
    assert told["ratio_bytes"] < 1.5
    assert told["ratio_seconds"] > 0
