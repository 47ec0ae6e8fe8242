"""An agent behind a port: the courier of its site gets in, and nobody else on this machine."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.common.config import parse_config_args

from client import ends as room
from client.app import dial, make_app
from client.cli import main
from client.commands.doctor import ask_agent
from client.commands.status import show_status
from client.courier.supernode import node_config
from client.ends import agent_end, make_ends, own_end
from client.home import SiteHome
from client.serving.tls import make_end
from common import wire
from common.errors import ConfigError, DeploymentError
from protos.gen import agent_pb2 as pb
from simulations.grid import InProcessGrid
from tests.small_home import Home, make_home, serving

NOW = 1.8e9
STATUS = pb.StatusRequest(protocol=wire.PROTOCOL)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")


def with_port(folder: Path) -> Home:
    """A site whose `site.toml` names a port that was free just now."""
    made = make_home(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = made.home.settings.read_text("utf-8") + f'agent = "127.0.0.1:{port}"\n'
    made.home.settings.write_text(text, "utf-8")
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Such a site, with `mascaron-site serve` at work in a process of its own."""
    made = with_port(tmp_path_factory.mktemp("port"))
    with serving(made) as (process, address):
        assert address == made.home.config().agent
        yield made
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Which other users may look into, unlike the folders of tests."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def ask(told: dict[str, Any]) -> Message:
    """What the courier answers the centre, where Flower's node was given ``told``."""
    grid = InProcessGrid(make_app(lambda _: dial(SimpleNamespace(node_config=told))), 1, {})  # type: ignore[arg-type]
    record = RecordDict({wire.CONFIG: ConfigRecord({wire.CHALLENGE: b"c" * 32})})
    [reply] = grid.send_and_receive([Message(record, 2, "query.describe", ttl=5.0)])
    return reply


def carried(home: SiteHome) -> dict[str, Any]:
    """The node config as Flower takes it from the SuperNode's command line."""
    return dict(parse_config_args([node_config(home, home.config())]))


def reason(reply: Message) -> str:
    return str(reply.error.reason)


def test_the_courier_reaches_the_agent_by_what_flower_carries_to_it(made: Home) -> None:
    told = carried(made.home)
    assert set(told) == {"agent-address", "agent-tls"}
    reply = ask(told)
    facts = reply.content.config_records[wire.CONFIG]
    assert (facts[wire.SITE], facts[wire.CAMERA_TYPE]) == ("north", "door")


def test_a_courier_with_another_certificate_is_refused(made: Home, tmp_path: Path) -> None:
    make_end(tmp_path, "courier")
    (tmp_path / "agent.crt").write_bytes(made.home.agent_certificate.read_bytes())
    assert reason(ask({**carried(made.home), "agent-tls": str(tmp_path)})) == "UNAVAILABLE"


def test_a_certificate_without_its_key_is_refused(made: Home, tmp_path: Path) -> None:
    """The certificates are public: whoever copies them has gained nothing."""
    make_end(tmp_path, "courier")
    for name, path in (("agent", room.AGENT), ("courier", room.COURIER)):
        certificate = getattr(made.home, f"{path}_certificate")
        (tmp_path / f"{name}.crt").write_bytes(certificate.read_bytes())
    told = reason(ask({**carried(made.home), "agent-tls": str(tmp_path)}))
    assert told in ("UNAVAILABLE", "INTERNAL")


def test_a_courier_does_not_speak_to_another_agent(made: Home, tmp_path: Path) -> None:
    for name in ("courier.key", "courier.crt"):
        (tmp_path / name).write_bytes((made.home.courier_tls / name).read_bytes())
    make_end(tmp_path, "agent")
    assert reason(ask({**carried(made.home), "agent-tls": str(tmp_path)})) == "UNAVAILABLE"


def without_a_certificate(home: SiteHome) -> grpc.Channel:
    credentials = grpc.ssl_channel_credentials(home.agent_certificate.read_bytes())
    named = [("grpc.ssl_target_name_override", "mascaron-agent")]
    return grpc.secure_channel(str(home.config().agent), credentials, named)


def in_plain(home: SiteHome) -> grpc.Channel:
    return grpc.insecure_channel(str(home.config().agent))


@pytest.mark.parametrize("opened", [without_a_certificate, in_plain])
def test_nobody_gets_in_without_a_certificate(
    made: Home, opened: Callable[[SiteHome], grpc.Channel]
) -> None:
    with opened(made.home) as channel:
        call = channel.unary_unary("/mascaron.v1.Agent/Status")
        with pytest.raises(grpc.RpcError) as caught:
            call(STATUS.SerializeToString(), timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert ask_agent(made.home, made.home.config()) == ""  # still well


def test_plain_words_get_no_answer_of_the_agent(made: Home) -> None:
    host, port = str(made.home.config().agent).split(":")
    with socket.create_connection((host, int(port)), 5) as plain:
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
        answer = plain.recv(4096)
    assert b"mascaron" not in answer
    assert len(answer) < 32  # an alert of TLS at most


def test_the_operator_is_answered_at_the_port_too(made: Home) -> None:
    assert show_status(made.home)["agent"] == "IDLE"


def test_a_proxy_of_the_operators_session_is_not_asked(
    made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert show_status(made.home)["agent"] == "IDLE"
    assert ask(carried(made.home)).has_content()


def test_a_second_agent_at_the_port_is_refused(made: Home, tmp_path: Path) -> None:
    other = make_home(tmp_path)
    text = other.home.settings.read_text("utf-8") + f'agent = "{made.home.config().agent}"\n'
    other.home.settings.write_text(text, "utf-8")
    told = CliRunner().invoke(main, ["serve", "--home", str(other.home.folder)])
    assert told.exit_code == 2
    assert "cannot listen" in told.output


def test_a_new_courier_is_let_in_and_the_old_one_out_without_a_restart(tmp_path: Path) -> None:
    made = with_port(tmp_path)
    home = made.home
    with serving(made):
        before = tmp_path / "before"
        before.mkdir()
        for name in ("courier.key", "courier.crt", "agent.crt"):
            (before / name).write_bytes((home.courier_tls / name).read_bytes())
        (home.courier_tls / "courier.crt").unlink()
        make_ends(home, time.time())
        assert ask(carried(home)).has_content()
        old = {**carried(home), "agent-tls": str(before)}
        assert reason(ask(old)) == "UNAVAILABLE"


def test_the_group_of_a_socket_makes_no_sense_at_a_port(tmp_path: Path) -> None:
    made = with_port(tmp_path)
    told = CliRunner().invoke(main, ["serve", "--group", "0", "--home", str(made.home.folder)])
    assert told.exit_code == 2
    assert "drop one" in told.output


@pytest.mark.parametrize(
    ("door", "told"),
    [
        ('"0.0.0.0:9443"', "of this machine alone"),
        ('"localhost:9443"', "of this machine alone"),
        ('"fl.example:9443"', "of this machine alone"),
        ('"127.0.0.1:0"', "of this machine alone"),
        ('"127.0.0.1"', "of this machine alone"),
        ('"[::]:9443"', "of this machine alone"),
        ('"127.0.0.1:9443"\nsocket = "run/a.sock"', "not both"),
    ],
)
def test_a_door_that_others_could_reach_is_refused(tmp_path: Path, door: str, told: str) -> None:
    made = make_home(tmp_path)
    text = made.home.settings.read_text("utf-8") + f"agent = {door}\n"
    made.home.settings.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=told):
        made.home.config()


def test_ends_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    home = SiteHome(tmp_path)
    home.prepare()
    make_ends(home, NOW)
    files = sorted(path for path in home.folder.rglob("*") if path.is_file())
    first = [path.read_bytes() for path in files]
    for path in files:
        assert path.stat().st_mode & 0o777 == (0o600 if path.suffix == ".key" else 0o644)
    make_ends(home, NOW + 3600)
    assert [path.read_bytes() for path in files] == first
    assert (home.courier_tls / "agent.crt").read_bytes() == home.agent_certificate.read_bytes()


def test_an_end_about_to_expire_is_made_anew_and_published(tmp_path: Path) -> None:
    home = SiteHome(tmp_path)
    home.prepare()
    make_ends(home, NOW)
    before = home.agent_certificate.read_bytes(), home.courier_certificate.read_bytes()
    make_ends(home, NOW + 3640 * 86400)
    after = home.agent_certificate.read_bytes(), home.courier_certificate.read_bytes()
    assert before[0] != after[0] and before[1] != after[1]
    assert (home.courier_tls / "agent.crt").read_bytes() == after[0]


def test_without_either_key_the_operator_is_told_whom_to_be(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="run as the agent's user"):
        own_end(SiteHome(tmp_path))
    with pytest.raises(ConfigError, match="there is no"):
        agent_end(SiteHome(tmp_path)).server()


@as_root
def test_root_makes_each_end_as_its_owner_and_falls_into_no_trap(open_folder: Path) -> None:
    """The courier has put a link to a folder of root's where its end is to be made."""
    home = SiteHome(open_folder / "site")
    home.prepare()
    trap = open_folder / "roots"
    trap.mkdir(mode=0o700)
    os.chown(home.courier, 61002, 61002)
    os.chown(home.agent, 61001, 61001)
    home.courier_tls.symlink_to(trap)
    with pytest.raises(DeploymentError, match="not a folder"):
        make_ends(home, NOW)
    assert not list(trap.iterdir())
    assert os.geteuid() == 0
    home.courier_tls.unlink()
    make_ends(home, NOW)
    owners = {path.name: path.stat().st_uid for path in home.folder.rglob("*.key")}
    assert owners == {"agent.key": 61001, "courier.key": 61002}
    assert home.courier_certificate.stat().st_uid == 0  # the courier cannot choose who gets in


@as_root
def test_a_couriers_user_dials_with_nothing_of_the_agents(open_folder: Path) -> None:
    """Two users and a real agent: each reads its own key and not the other's."""
    made = with_port(open_folder)
    home = made.home
    make_ends(home, time.time())
    for path in (home.courier, *home.courier.rglob("*")):
        os.chown(path, 61002, 61002, follow_symlinks=False)
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom client.home import SiteHome\n"
        "from client.commands.doctor import ask_agent\n"
        "home = SiteHome(Path(sys.argv[1])); config = home.config()\n"
        "os.setgroups([]); os.setgid(61002); os.setuid(61002)\n"
        "print(repr(ask_agent(home, config)), os.access(home.agent, os.R_OK | os.X_OK))"
    )
    with serving(made):
        done = subprocess.run(
            [sys.executable, "-c", code, str(home.folder)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
        )
    assert done.stdout.strip() == "'' False", done.stderr
