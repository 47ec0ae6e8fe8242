"""A real SuperLink behind the real gateway: a SuperNode works through it, and nobody does more."""

import json
import os
import signal
import ssl
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from common.errors import DeploymentError, RunError
from common.trust.keys import SigningKey
from common.trust.nodes import node_text
from common.trust.roster import SiteEntry
from server.admission.authority import Authority
from server.admission.issued import Issued
from server.admission.roster import RosterBook
from server.commands import fleet
from server.commands.init import init_command
from server.commands.serve import serving
from server.home import CentreConfig, CentreHome
from server.serving.superlink import CONNECTION, environment
from tests.small_door import free_port

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent
pytestmark = pytest.mark.slow

PROJECT = """
[project]
name = "toy"
version = "1"
[tool.flwr.app]
publisher = "somebody"
[tool.flwr.app.components]
serverapp = "toy:server"
clientapp = "toy:client"
[tool.flwr.app.config]
wait = false
"""
TOY = textwrap.dedent(
    """
    import time
    from pathlib import Path
    import numpy as np
    from flwr.app import Array, ArrayRecord, Message, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp

    server = ServerApp()
    client = ClientApp()

    @client.query()
    def query(message, context):
        return Message(message.content, reply_to=message)

    @server.main()
    def main(grid, context):
        (Path(__file__).parents[2] / "ran").touch()
        if context.run_config["wait"]:
            time.sleep(600)
        while not (nodes := list(grid.get_node_ids())):
            time.sleep(0.3)
        sent = np.arange(3_000_000, dtype=np.float32)  # 12 MB: more than one object
        content = RecordDict({"arrays": ArrayRecord({"x": Array(sent)})})
        message = Message(content, dst_node_id=nodes[0], message_type="query")
        (reply,) = grid.send_and_receive([message], timeout=90)
        assert not reply.has_error()
        assert (reply.content["arrays"]["x"].numpy() == sent).all()
    """
)


@pytest.fixture
def home(tmp_path: Path) -> CentreHome:
    """A federation made by `init`, on a free port of the loopback interface."""
    made = CentreHome(tmp_path / "centre")
    port = free_port()
    init_command(made, f"localhost:{port}", "e2e", (), time.time())
    config = CentreConfig(name="e2e", host="localhost", port=port, bind="127.0.0.1")
    made.settings.write_text(config.to_toml(), "utf-8")
    return made


@pytest.fixture
def node(tmp_path: Path) -> tuple[Path, str]:
    return node_key(tmp_path / "node.key")


def node_key(path: Path) -> tuple[Path, str]:
    """A node key in ``path`` and its public line."""
    key = ec.generate_private_key(ec.SECP384R1())
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    path.chmod(0o600)
    return path, node_text(key.public_key())


@contextmanager
def served(home: CentreHome) -> Iterator["subprocess.Popen[bytes]"]:
    """`mascaron-admin serve` as a process of its own, once it says that it is up."""
    code = "from server.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--home", home.folder]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            assert process.stdout
            assert json.loads(process.stdout.readline())["gateway"]["port"] == home.config().port
            yield process
        finally:
            process.terminate()
            process.wait(timeout=90)
    assert not left_of(home)


@contextmanager
def supernode(home: CentreHome, key: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A SuperNode of Flower that knows nothing but the gateway."""
    command = [SCRIPTS / "flower-supernode", "--root-certificates", home.ca]
    command += ["--superlink", f"localhost:{home.config().port}"]
    command += ["--auth-supernode-private-key", key, "--port", str(free_port())]
    surroundings = environment(home, os.environ)
    surroundings["PATH"] = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    surroundings["FLWR_HOME"] = str(key.parent / "site")
    with (key.parent / "supernode.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=surroundings, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield process
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, number)
                    process.wait(timeout=15)
            process.wait()


def left_of(home: CentreHome) -> list[str]:
    """Command lines of living processes that name the home."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(home.folder) in line:
            found.append(line)
    return found


def wait_for(condition: Callable[[], Any], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{seconds} seconds went by")
        time.sleep(0.3)


def run_toy(home: CentreHome, folder: Path, wait: bool = False) -> str:
    """Starts the toy as whoever reaches the loopback port could; the id of the run."""
    toy = folder / "toy"
    toy.mkdir(exist_ok=True)
    (toy / "pyproject.toml").write_text(PROJECT, "utf-8")
    (toy / "toy.py").write_text(TOY, "utf-8")
    command = [SCRIPTS / "flwr", "run", toy, CONNECTION, "--format", "json"]
    command += ["--run-config", f"wait={str(wait).lower()}"]
    done = subprocess.run(
        command, env=environment(home, os.environ), capture_output=True, check=True, timeout=60
    )
    assert b"run-id" in done.stdout, done.stdout
    return str(json.loads(done.stdout)["run-id"])


def admitted(home: CentreHome, line: str) -> None:
    """Puts a site with this node key into the roster, which `serve` follows."""
    identity, now = SigningKey.generate().public, time.time()
    certificate = Issued(home, Authority.load(home)).issue(identity, "north", now)
    entry = SiteEntry(
        name="north",
        identity=identity.text,
        node=line,
        camera_type="door",
        people=9,
        certificate=certificate,
    )
    book = RosterBook(home)
    with book.changing() as roster:
        book.write(roster.with_site(entry))


def status(home: CentreHome, run: str) -> str:
    return next(str(r["status"]) for r in fleet.runs(home) if str(r["run-id"]) == run)


def is_over(home: CentreHome, run: str) -> bool:
    return status(home, run).startswith("finished")


def online(home: CentreHome, line: str) -> bool:
    return fleet.nodes(home).get(line) == "online"


def test_a_supernode_works_through_the_gateway_and_cannot_do_more(
    home: CentreHome, node: tuple[Path, str], tmp_path: Path
) -> None:
    key, line = node
    admitted(home, line)  # before the centre serves: it is told when it starts
    with served(home), supernode(home, key):
        wait_for(lambda: online(home, line))
        context = ssl.create_default_context(cafile=str(home.ca))
        url = f"https://localhost:{home.config().port}"
        with httpx.Client(verify=context, base_url=url, trust_env=False) as client:
            for path in ("control/start-run", "control/list-runs", "runtime/acquire-task"):
                kind = {"content-type": "application/protobuf"}
                assert client.post(f"/v1/{path}", headers=kind, content=b"").status_code == 404
            assert client.post("/v1/fleet/register-node", content=b"").status_code == 404
            assert client.post("/v1/fleet/pull-messages", content=b"").status_code in (401, 415)

        foreign = run_toy(home, tmp_path)
        wait_for(lambda: is_over(home, foreign))
        assert status(home, foreign) == "finished:failed"
        assert not (home.flwr_home / "ran").exists()  # not a line of it
        assert not (home.flwr_home / "apps").exists()  # not a byte on the disk

        (home.launchers / "flwr-serverapp").unlink()  # so that the toy may run at all
        toy = run_toy(home, tmp_path)
        wait_for(lambda: is_over(home, toy))
        assert status(home, toy) == "finished:completed", (home.logs / "superexec.log").read_text()
        assert (home.flwr_home / "ran").exists()  # the same code does run where nothing is pinned


def test_our_own_run_starts_our_own_app(home: CentreHome) -> None:
    with pytest.raises(DeploymentError, match="mascaron-admin serve"):
        fleet.start_run(home, {})
    with served(home):
        run = fleet.start_run(home, {"charter": "/nowhere with 'a' \"quote\"", "resume": False})
        wait_for(lambda: is_over(home, str(run)))
        assert status(home, str(run)) == "finished:failed"  # there is no such charter
        told = subprocess.run(
            [SCRIPTS / "flwr", "log", str(run), CONNECTION, "--show"],
            env=environment(home, os.environ),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "/nowhere with 'a' \"quote\"" in told.stdout + told.stderr
        with pytest.raises(RunError):
            fleet.start_run(home, {"unknown": "key"})


def test_keys_come_and_go_while_the_centre_serves(
    home: CentreHome, node: tuple[Path, str], tmp_path: Path
) -> None:
    key, line = node
    stranger, other = node_key(tmp_path / "stranger.key")
    with served(home):
        with supernode(home, stranger) as refused:
            wait_for(lambda: refused.poll() is not None)
        fleet.register_node(home, line)
        fleet.register_node(home, f"{line} a comment")  # the same key
        assert fleet.nodes(home) == {line: "registered"}
        with supernode(home, key) as process:
            wait_for(lambda: online(home, line))
            fleet.unregister_node(home, line)
            wait_for(lambda: process.poll() is not None)
        assert line not in fleet.nodes(home)
        fleet.unregister_node(home, other)  # never was in


def test_a_superlink_that_died_knows_its_nodes_again(
    home: CentreHome, node: tuple[Path, str]
) -> None:
    key, line = node
    admitted(home, line)
    with served(home), supernode(home, key) as process:
        wait_for(lambda: online(home, line))
        before = superlink(home)
        os.kill(before["pid"], signal.SIGKILL)
        wait_for(
            lambda: superlink(home)["state"] == "up" and superlink(home)["pid"] != before["pid"]
        )
        wait_for(lambda: process.poll() is not None)  # its id is another: it has to start again
        with supernode(home, key):
            wait_for(lambda: online(home, line))


def superlink(home: CentreHome) -> dict[str, Any]:
    state = serving(home)
    assert state
    return dict(state["daemons"]["superlink"])


def test_nothing_outlives_a_centre_that_is_killed_not_even_a_run(
    home: CentreHome, tmp_path: Path
) -> None:
    with served(home) as process:
        guarded = (home.launchers / "flwr-serverapp").read_text("utf-8")
        unpinned = guarded.replace(
            "main(sys.argv.pop(1))",
            "import server.serving.launcher as l; l.pin = lambda _: None; main(sys.argv.pop(1))",
        )
        (home.launchers / "flwr-serverapp").write_text(unpinned, "utf-8")
        run_toy(home, tmp_path, wait=True)
        wait_for((home.flwr_home / "ran").exists)
        assert any("flwr-serverapp" in line or "launcher" in line for line in left_of(home))
        process.kill()
        wait_for(lambda: not left_of(home))


def test_no_secret_is_on_a_command_line_or_readable_by_others(home: CentreHome) -> None:
    with served(home):
        secrets = [home.secret.read_bytes(), home.secret.read_bytes().hex().encode()]
        lines = " ".join(left_of(home)).encode()
        assert lines
        assert not any(secret in lines for secret in secrets)
        files = [path for path in home.folder.rglob("*") if path.is_file()]
        assert {path.stat().st_mode & 0o077 for path in (home.secret, home.ca_key)} == {0}
        assert home.folder.stat().st_mode & 0o077 == 0
        assert not [path for path in files if path.name.endswith((".db", ".db-wal"))]
