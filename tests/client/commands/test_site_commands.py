"""The operator at a real agent: it serves, is looked at, decides, drains, and the site leaves."""

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner

from client.agent.charters import Offer
from client.cli import main
from common import wire
from common.privacy import accountant
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc
from tests.small_home import (
    POLICY,
    SERVE,
    Home,
    crops_folder,
    frame,
    heard,
    make_home,
    plan,
    serving,
)

ASKED = POLICY.replace("epsilon = 8.0\nrounds = 10", "epsilon = 0.0\nrounds = 0")
NAMES = b"canary person"


@contextmanager
def courier(address: str) -> Iterator[Any]:
    with grpc.insecure_channel(address) as channel:
        yield rpc.AgentStub(channel)  # type: ignore[no-untyped-call]


def offered(offer: Offer) -> pb.CharterRequest:
    request = pb.CharterRequest(protocol=wire.PROTOCOL, charter=offer.charter)
    for name, digest in offer.initial.items():
        request.initial.add(name=name, digest=digest)
    return request


def round_one(run: str = "r1") -> pb.TrainRequest:
    request = pb.TrainRequest(protocol=wire.PROTOCOL, run=run, round=1)
    for name, array in frame().items():
        encoded = wire.encode(array)
        request.tensors.add(name=name, dtype="float32", shape=encoded.shape, data=encoded.data)
    return request


def ask(made: Home, *command: str, code: int = 0) -> Any:
    told = CliRunner().invoke(main, [*command, "--home", str(made.home.folder)])
    assert told.exit_code == code, told.output
    assert NAMES not in told.output.encode()
    return json.loads(told.stdout) if code == 0 else told.stderr


def refusal(call: Any, request: Any) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    return str(dict(caught.value.trailing_metadata())["reason"])


def test_a_site_serves_is_looked_at_and_drains(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    assert ask(made, "status")["agent"] == "UNREACHABLE"
    with serving(made) as (process, address), courier(address) as agent:
        path = Path(address.removeprefix("unix://"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        agent.AcceptCharter(offered(made.offer()), timeout=30)
        assert ask(made, "status")["epsilon"] == 0.0
        answer = agent.Train(round_one(), timeout=30)
        status = ask(made, "status")
        cost = accountant.epsilon(plan().events(), 1e-4)
        assert (status["agent"], status["epsilon"]) == ("IDLE", pytest.approx(cost))
        runs = status["runs_left"]
        afforded = accountant.epsilon(plan().events() * (runs + 1), 1e-4)
        assert afforded <= 8.0 < accountant.epsilon(plan().events() * (runs + 2), 1e-4)
        [sent] = ask(made, "outbox")["sent"]
        arrays = {t.name: wire.decode(t.dtype, t.shape, t.data) for t in answer.tensors}
        payload = wire.dump(arrays)
        told = (sent["run"], sent["round"], sent["bytes"], sent["sha256"])
        assert told == ("r1", 1, len(payload), hashlib.sha256(payload).hexdigest())
        assert sent["epsilon"] == pytest.approx(cost)
        kinds = [entry["kind"] for entry in ask(made, "ledger", "show")["entries"]]
        assert kinds == ["accept", "reserve", "release"]
        assert ask(made, "ledger", "verify")["verified"] == 3
        assert "LEDGER_CORRUPT" in ask(made, "leave", "--yes", code=1)  # while it runs
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert NAMES.decode() not in process.stderr.read()
    assert not path.exists()


def test_a_charter_beyond_the_limits_is_shown_exactly_and_waits_for_the_operator(
    tmp_path: Path,
) -> None:
    made = make_home(tmp_path, ASKED)
    with serving(made) as (_, address), courier(address) as agent:
        assert ask(made, "charter", "list") == {"charters": []}
        request = offered(made.offer())
        assert not agent.ReviewCharter(request, timeout=30).automatic
        assert refusal(agent.AcceptCharter, request) == "CHARTER_PENDING"
        [waiting] = ask(made, "charter", "list")["charters"]
        assert (waiting["run"], waiting["state"]) == ("r1", "waiting")
        shown = ask(made, "charter", "show", waiting["digest"])
        assert ask(made, "join", "--dry-run") == {"charters": [shown]}
        assert ask(made, "charter", "accept", waiting["digest"])["state"] == "accepted"
        accepted = agent.AcceptCharter(request, timeout=30)
        assert accepted.charter_digest == waiting["digest"]
        agent.Train(round_one(), timeout=30)
    [sent], [told] = ask(made, "outbox")["sent"], shown["rounds"]
    assert told["bytes"] == sent["bytes"]
    assert told["epsilon"] == pytest.approx(sent["epsilon"])
    assert shown["epsilon"] == pytest.approx(waiting["epsilon"])
    assert ask(made, "charter", "list")["charters"][0]["state"] == "accepted"


def test_the_word_of_the_operator_is_a_private_file_about_one_charter(tmp_path: Path) -> None:
    made = make_home(tmp_path, ASKED)
    assert "CHARTER_REFUSED" in ask(made, "charter", "accept", "0" * 64, code=1)
    assert "CHARTER_REFUSED" in ask(made, "charter", "show", "../policy", code=1)
    with serving(made) as (_, address), courier(address) as agent:
        request = offered(made.offer())
        assert refusal(agent.AcceptCharter, request) == "CHARTER_PENDING"
        [waiting] = ask(made, "charter", "list")["charters"]
        ask(made, "charter", "accept", waiting["digest"])
        decision = made.home.accepted / waiting["digest"]
        decision.chmod(0o644)
        assert refusal(agent.AcceptCharter, request) == "CHARTER_PENDING"
        decision.chmod(0o600)
        other = offered(made.offer(expires=2**41))
        assert refusal(agent.AcceptCharter, other) == "CHARTER_PENDING"
        assert agent.AcceptCharter(request, timeout=30).charter_digest == waiting["digest"]


def test_a_courier_of_another_user_reaches_the_socket_through_a_group(tmp_path: Path) -> None:
    import grp

    made, group = make_home(tmp_path), grp.getgrgid(os.getegid()).gr_name
    with serving(made, "--group", group) as (_, address), courier(address) as agent:
        path = Path(address.removeprefix("unix://"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o710
        assert agent.Status(pb.StatusRequest(protocol=wire.PROTOCOL), timeout=30).state


def test_a_group_may_be_a_number(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    with serving(made, "--group", str(os.getegid())) as (_, address):
        assert stat.S_IMODE(Path(address.removeprefix("unix://")).stat().st_mode) == 0o660


def test_before_it_is_admitted_an_agent_waits_and_says_so_once(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    away = made.home.ca.rename(tmp_path / "away")
    command = [sys.executable, "-c", SERVE, "serve", "--home", str(made.home.folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert heard(process.stderr, "waiting for admission")
        away.rename(made.home.ca)
        assert process.stderr.readline().startswith("admitted")  # an unreachable centre is untold
        assert heard(process.stderr, "serving at ")
        process.terminate()
        assert process.wait(30) == 0


def test_an_agent_that_waits_for_admission_can_be_stopped(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    made.home.centre_key.unlink()
    command = [sys.executable, "-c", SERVE, "serve", "--home", str(made.home.folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert heard(process.stderr, "waiting for admission")
        process.terminate()
        assert (process.wait(30), process.stderr.read()) == (0, "")


def test_pictures_that_are_left_out_are_counted_for_the_operator_alone(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    for what in ("faces", "public"):
        crops_folder(tmp_path / what, broken=what == "faces")
    settings = made.home.settings.read_text("utf-8").replace(".npz", "")
    made.home.settings.write_text(f"{settings}aligned = true\n", "utf-8")
    command = [sys.executable, "-c", SERVE, "serve", "--home", str(made.home.folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = heard(process.stderr, "faces: ")
        assert told == "faces: 1 pictures skipped: 1 broken, 0 faceless\n"
        assert heard(process.stderr, "serving at ")
        process.terminate()
        process.wait(30)
    kept = [p for p in made.home.folder.rglob("*") if p.is_file()]
    assert not any(b"skipped" in path.read_bytes() for path in kept)


@pytest.mark.parametrize(
    "command",
    [
        ("admission",),
        ("charter", "accept", "0" * 64),
        ("charter", "list"),
        ("join",),
        ("join", "--dry-run"),
        ("leave", "--yes"),
        ("ledger", "show"),
        ("ledger", "verify"),
        ("outbox",),
        ("serve",),
        ("status",),
    ],
)
def test_every_command_says_where_no_site_is_and_makes_nothing(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    told = CliRunner().invoke(main, [*command, "--home", str(tmp_path / "none")])
    assert told.exit_code == 2
    assert "there is no site at" in told.output
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_who_may_not_look_is_told_whom_to_be_and_no_traceback() -> None:
    """As nobody at a site of root's: every command that is about the agent's folder."""
    code = (
        "import os, sys, click.testing, client.commands.charters, client.commands.ledger\n"
        "import client.commands.admission, client.commands.serve, client.commands.status\n"
        "import client.agent.main, client.agent.opening, client.agent.training\n"
        "import client.door.answering\n"
        "import client.commands.outbox, client.policy\n"
        "from client.cli import main\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "for line in sys.argv[2:]:\n"
        "    words = [*line.split(), '--home', sys.argv[1]]\n"
        "    done = click.testing.CliRunner().invoke(main, words)\n"
        "    print(done.exit_code, done.output.strip().replace('\\n', ' '), [done.exception])\n"
    )
    commands = ["status", "outbox", "ledger show", "charter list", "join --dry-run", "admission"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = make_home(Path(folder))
        done = subprocess.run(
            [sys.executable, "-c", code, str(made.home.folder), *commands, "serve"],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
        )
    lines = done.stdout.splitlines()
    assert len(lines) == 7, done.stderr
    for line in lines:
        assert line.startswith("1 Error: DEPLOYMENT_FAILED: this user may not look into"), line


def test_a_home_that_is_not_ready_is_told_and_serves_nothing(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    made.home.identity_key.unlink()
    assert "CONFIG_INVALID" in ask(made, "serve", code=2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_leaving_as_one_of_two_users_says_what_is_the_other_ones(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    made.home.node_key.write_text("key", "utf-8")
    code = (
        "import os, sys; from pathlib import Path; from client.home import SiteHome\n"
        "from client.commands.leave import leave_federation\n"
        "os.setuid(65534); print(leave_federation(SiteHome(Path(sys.argv[1]))))"
    )
    tmp_path.chmod(0o755)
    for folder in (made.home.courier, *made.home.courier.rglob("*")):
        os.chown(folder, 65534, 65534)
    home = Path("/proc/self/cwd")  # the folders of a test are closed to others
    done = subprocess.run(
        [sys.executable, "-c", code, str(home)],
        cwd=made.home.folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
    )
    assert "'removed': ['courier/node.key']" in done.stdout, done.stderr
    assert "'not_reached': ['agent']" in done.stdout
    assert made.home.identity_key.exists()


def test_leaving_destroys_keys_and_features_and_keeps_the_record(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    with serving(made) as (process, address), courier(address) as agent:
        agent.AcceptCharter(offered(made.offer()), timeout=30)
        agent.Train(round_one(), timeout=30)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    identity = made.home.identity_key.read_bytes()
    told = ask(made, "leave", "--yes")
    assert told["removed"] == ["agent/features/features.key", "agent/identity.key"]
    assert told["features_removed"]
    assert told["kept"] == ["agent/ledger.db", "agent/ledger.key"]
    assert not any(identity in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert ask(made, "ledger", "verify")["verified"] == 3
    assert len(ask(made, "outbox")["sent"]) == 1
    assert told["not_reached"] == []
    assert ask(made, "leave", "--yes")["removed"] == []
    assert "CONFIG_INVALID" in ask(made, "serve", code=2)
