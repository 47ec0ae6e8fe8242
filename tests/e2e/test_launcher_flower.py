"""A real SuperLink and a real courier: what the site installed answers, whatever it is sent."""

import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from client.courier.supernode import make_node_key
from client.home import SiteHome
from client.launcher import REFUSED
from common import wire
from common.daemons.surroundings import QUIET
from tests.small_node import describing_agent
from tests.small_pki import Issuer

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))
SECONDS = 120
JOIN = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from client.commands.join import Surroundings, join_command
from client.home import SiteHome

admitted = SimpleNamespace(state="admitted", reason="", node_known=True)
around = Surroundings(
    fetch=lambda home: admitted, say=lambda line: print(line, file=sys.stderr, flush=True)
)
print(json.dumps(join_command(SiteHome(Path(sys.argv[1])), sys.argv[2] or None, around)))
"""
PROBE = """
import json
from pathlib import Path
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()

@app.main()
def main(grid, context):
    [node] = grid.get_node_ids()
    content = RecordDict({"config": ConfigRecord({"protocol": 1})})
    [reply] = grid.send_and_receive([Message(content, node, "query.describe")], timeout=100)
    told = (
        {"code": reply.error.code, "reason": reply.error.reason} if reply.has_error()
        else dict(reply.content.config_records["config"])
    )
    Path(context.run_config["answer"]).write_text(json.dumps(told, default=str))
"""
PLANTED = "from pathlib import Path\nPath({mark!r}).write_text('run')\napp = None\n"
PROJECT = """
[project]
name = "probe"
version = "1.0.0"
description = "A centre that ships code of its own."
license = "Apache-2.0"
[tool.flwr.app]
publisher = "centre"
fab-include = ["probe/*.py", "client/*.py", "LICENSE"]
[tool.flwr.app.components]
serverapp = "probe.app:app"
clientapp = "client.app:app"
[tool.flwr.app.config]
answer = "{answer}"
"""


@dataclass(frozen=True)
class Centre:
    """A SuperLink with TLS and node keys, and how to command it."""

    folder: Path
    port: int
    environment: dict[str, str]

    def flwr(self, *words: str | Path) -> str:
        done = subprocess.run(
            [SCRIPTS / "flwr", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def app(self, name: str) -> tuple[Path, Path, Path]:
        """A folder of code of the centre's; where its answer and its mark would be."""
        app = self.folder / "apps" / name
        answer, mark = self.folder / f"{name}.json", self.folder / f"{name}.mark"
        for path, text in {
            "pyproject.toml": PROJECT.format(answer=answer),
            "LICENSE": "Apache-2.0",
            "probe/__init__.py": "",
            "probe/app.py": PROBE,
            "client/__init__.py": "",
            "client/app.py": PLANTED.format(mark=str(mark)),
        }.items():
            (app / path).parent.mkdir(parents=True, exist_ok=True)
            (app / path).write_text(text, "utf-8")
        return app, answer, mark


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for sockets, and open to the courier's user as a home is."""
    folder = Path(tempfile.mkdtemp(prefix="mascaron"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:GitWildMatch:DeprecationWarning")  # flwr's own
def test_a_centre_gets_answers_of_the_installed_courier_and_runs_no_code_at_the_site(
    folder: Path,
) -> None:
    from flwr.cli.build import build_fab_from_disk

    user = courier_user()
    with centre(folder) as link:
        home = site(folder, link)
        allowed, answer, mark = link.app("allowed")
        home.fabs.write_text(hashlib.sha256(build_fab_from_disk(allowed)).hexdigest() + "\n")
        link.flwr("supernode", "register", home.node_public, "centre")
        with agent(home, user), joined(home, user) as courier:
            for process in processes(home):
                assert environment_of(process).keys().isdisjoint({"SECRET", "PYTHONPATH"})
                assert not user or owner(process) == pwd.getpwnam(user).pw_uid
            link.flwr("run", allowed, "centre", "--stream")
            told = json.loads(answer.read_text("utf-8"))
            assert (told[wire.CAMERA_TYPE], told[wire.PEOPLE]) == ("door", 20)
            other, refusal, other_mark = link.app("other")
            link.flwr("run", other, "centre", "--stream")
            told = json.loads(refusal.read_text("utf-8"))
            assert told == {"code": wire.ERROR_CODE, "reason": REFUSED}
            assert not mark.exists()
            assert not other_mark.exists()
            assert not list(home.flwr_home.rglob("*.py"))
            courier.terminate()
            stopped = json.loads(courier.communicate(timeout=60)[0])
            assert stopped == {"site": "north-gate", "stopped": "SIGTERM", "restarts": 0}
            assert not processes(home)


@pytest.mark.slow
def test_an_unknown_node_waits_a_killed_one_comes_back_and_a_killed_join_leaves_nothing(
    folder: Path,
) -> None:
    with centre(folder) as link:
        home = site(folder, link)
        with joined(home, "", until="refused") as courier:
            link.flwr("supernode", "register", home.node_public, "centre")
            await_true(lambda: standing(home) == "connected", "the node was not let in")
            [node] = [p for p in processes(home) if "flower-supernode" in command_of(p)]
            os.kill(node, signal.SIGKILL)
            await_true(lambda: standing(home) == "ended", "the supervisor noticed nothing")
            await_true(lambda: standing(home) == "connected", "the node did not come back")
            courier.kill()
            await_true(lambda: not processes(home), "something was left running")


def courier_user() -> str:
    """Another user, where this one can become it and it may run this interpreter."""
    if os.geteuid() != 0:
        return ""
    try:
        subprocess.run([sys.executable, "-c", ""], user="nobody", check=True)
    except PermissionError:
        return ""
    return "nobody"


def standing(home: SiteHome) -> str:
    return str(json.loads(home.standing.read_text("utf-8"))["state"])


def site(folder: Path, link: Centre) -> SiteHome:
    home = SiteHome(folder / "site")
    home.prepare()
    make_node_key(home)
    shutil.copy(folder / "ca.crt", home.ca)
    home.identity_key.write_text("not read here", "utf-8")
    home.settings.write_text(
        f'[site]\nname = "north-gate"\ncentre = "127.0.0.1:{link.port}"\ncamera_type = "door"\n'
        'people = 20\ntrunk = "t"\nfaces = "f"\npublic = "p"\n',
        "utf-8",
    )
    return home


@contextmanager
def agent(home: SiteHome, user: str) -> Iterator[None]:
    path = home.run / "agent.sock"
    with describing_agent(path, lambda: None):
        if user:
            os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        yield


@contextmanager
def centre(folder: Path) -> Iterator[Centre]:
    issuer = Issuer.make(folder)
    certificate, key = issuer.issue()
    port = free_port()
    flwr_home = folder / "flwr"
    flwr_home.mkdir()
    (flwr_home / "config.toml").write_text(
        f'[superlink]\ndefault = "centre"\n[superlink.centre]\naddress = "127.0.0.1:{port}"\n'
        f'root-certificates = "{issuer.ca}"\n',
        "utf-8",
    )
    environment = {**QUIET, "FLWR_HOME": str(flwr_home), "HOME": str(folder)}
    environment["PATH"] = f"{SCRIPTS}{os.pathsep}/usr/bin:/bin"
    command = [SCRIPTS / "flower-superlink", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--ssl-ca-certfile", issuer.ca, "--ssl-certfile", certificate]
    command += ["--ssl-keyfile", key, "--enable-supernode-auth"]
    command += ["--disable-runtime-dependency-installation"]
    with (folder / "superlink.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            await_true(lambda: answers(port), "the SuperLink did not start")
            yield Centre(folder, port, environment)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def joined(
    home: SiteHome, user: str, until: str = "connected"
) -> Iterator["subprocess.Popen[str]"]:
    """`join` in a process of its own, an operator's environment around it."""
    process = subprocess.Popen(
        [sys.executable, "-c", JOIN, str(home.folder), user],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SECRET": "x"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        await_true(
            lambda: (
                process.poll() is not None or (home.standing.exists() and standing(home) == until)
            ),
            f"the courier was never {until}",
        )
        assert process.poll() is None, "the courier ended"
        yield process
    finally:
        process.kill()
        process.communicate()


def processes(home: SiteHome) -> list[int]:
    """The daemons of this site, wherever in the tree of processes they are."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = command_of(int(path.name))
        except OSError:
            continue
        if str(home.courier) in words and "flower-" in words:
            found.append(int(path.name))
    return found


def command_of(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")


def environment_of(process: int) -> dict[str, str]:
    pairs = Path(f"/proc/{process}/environ").read_text().split("\0")
    return dict(pair.partition("=")[::2] for pair in pairs if pair)


def owner(process: int) -> int:
    [line] = [
        line
        for line in Path(f"/proc/{process}/status").read_text().splitlines()
        if line.startswith("Uid:")
    ]
    [uid] = set(line.split()[1:])
    return int(uid)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_true(condition: Callable[[], bool], told: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, told
        time.sleep(0.1)
