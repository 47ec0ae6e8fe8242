"""A SuperLink, two SuperNodes and one app of Flower for the bench of rounds; bytes are counted.

One node's PATH has the site's own launcher, so that the bundle's client is never run there; the
other node runs it. Nothing is encrypted: both ways alike, and bytes are those of Flower.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.home import SiteHome
from client.launcher import write_launchers
from common.errors import DeploymentError
from simulations.benchmarks.counting import counting_port

SCRIPTS = Path(sysconfig.get_path("scripts"))
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "OMP_NUM_THREADS": "1",
}
START, RUN_SECONDS = 90.0, 540.0
PROJECT = """
[project]
name = "rounds"
version = "1.0.0"
description = "Sends a message and times the reply."
license = "Apache-2.0"
[tool.flwr.app]
publisher = "bench"
fab-include = ["rounds/*.py", "LICENSE"]
[tool.flwr.app.components]
serverapp = "rounds.app:server"
clientapp = "rounds.app:client"
[tool.flwr.app.config]
settings = ""
"""
APP = """
import json, time
from pathlib import Path
import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

server = ServerApp()
client = ClientApp()

@client.query("describe")
def describe(message, context):
    return Message(RecordDict({"config": ConfigRecord({"echo": 1})}), reply_to=message)

@client.train()
def train(message, context):
    bias = message.content["arrays"]["frame.bias"].numpy()
    content = RecordDict({"arrays": ArrayRecord({"echo": Array(bias)})})
    content["metrics"] = MetricRecord({"num-examples": 1})
    return Message(content, reply_to=message)

@server.main()
def main(grid, context):
    told = json.loads(Path(context.run_config["settings"]).read_text())
    while len(nodes := list(grid.get_node_ids())) < 2:
        time.sleep(0.3)
    who = {}
    ask = RecordDict({"config": ConfigRecord({"protocol": told["protocol"]})})
    for node in nodes:
        [reply] = grid.send_and_receive([Message(ask, node, "query.describe")], timeout=120)
        who["echo" if "echo" in reply.content["config"] else "site"] = node
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(told["coordinates"], told["features"])).astype(np.float32)
    arrays = {"frame.weight": weight, "frame.bias": np.zeros(told["coordinates"], np.float32)}
    measured = []
    for repeat in range(told["repeats"]):
        for name in ("site", "echo") if repeat % 2 else ("echo", "site"):
            record = ArrayRecord({key: Array(value) for key, value in arrays.items()})
            config = {"protocol": told["protocol"], "run": told["run"], "round": repeat + 1}
            content = RecordDict({"arrays": record, "config": ConfigRecord(config)})
            before, start = counted(told, name), time.perf_counter()
            message = Message(content, who[name], "train")
            [reply] = grid.send_and_receive([message], timeout=120)
            seconds = time.perf_counter() - start
            numbers = sum(a.numpy().size for a in reply.content["arrays"].values())
            passed = counted(told, name) - before
            one = {"who": name, "repeat": repeat, "seconds": seconds, "numbers": numbers}
            measured.append({**one, "bytes": passed})
    Path(told["answer"]).write_text(json.dumps(measured))

def counted(told, name):
    return int(Path(told["counts"][name]).read_text())
"""


@dataclass(frozen=True)
class Size:
    """Arrays (K, D) and (K,) float32 go down, (K,) comes up, ``repeats`` times."""

    coordinates: int
    features: int
    repeats: int

    @property
    def sent(self) -> int:
        """Bytes of arrays a round sends down."""
        return 4 * self.coordinates * (self.features + 1)

    @property
    def answered(self) -> int:
        """Bytes of arrays a round sends up."""
        return 4 * self.coordinates


def exchange(size: Size, agent: str, folder: Path) -> list[dict[str, Any]]:
    """Runs the app over both nodes: who, repeat, seconds, bytes, numbers of each exchange.

    Raises ``DeploymentError`` where Flower does not get on.
    """
    from common import wire

    app, answer = folder / "app", folder / "answer.json"
    (app / "rounds").mkdir(parents=True)
    for name, text in {
        "pyproject.toml": PROJECT,
        "LICENSE": "Apache-2.0",
        "rounds/app.py": APP,
    }.items():
        (app / name).write_text(text, "utf-8")
    (app / "rounds" / "__init__.py").touch()
    with ExitStack() as stack:
        port, environment = stack.enter_context(_superlink(folder))
        counts = {}
        for name in ("site", "echo"):
            counts[name] = folder / f"{name}.count"
            door = stack.enter_context(counting_port(port, counts[name]))
            stack.enter_context(_supernode(folder / name, door, agent, name == "site"))
        told = {"protocol": wire.PROTOCOL, "run": "bench", "answer": str(answer)}
        told |= {"counts": {name: str(path) for name, path in counts.items()}}
        told |= {"coordinates": size.coordinates, "features": size.features}
        settings = folder / "settings.json"
        settings.write_text(json.dumps({**told, "repeats": size.repeats}), "utf-8")
        _run(app, settings, environment)
    if not answer.exists():
        logs = "".join(p.read_text("utf-8", "replace")[-1500:] for p in folder.rglob("*.log"))
        raise DeploymentError(f"the bench's app did not end: {logs}")
    return list(json.loads(answer.read_text("utf-8")))


def allow(home: SiteHome, app: Path) -> None:
    """Writes launchers and an allow-list that names the bench's own bundle."""
    import hashlib

    from flwr.cli.build import build_fab_from_disk

    home.prepare()
    write_launchers(home)
    home.fabs.write_text(hashlib.sha256(build_fab_from_disk(app)).hexdigest() + "\n", "utf-8")


def _run(app: Path, settings: Path, environment: Mapping[str, str]) -> None:
    command = [str(SCRIPTS / "flwr"), "run", str(app), "bench", "--stream"]
    command += ["--run-config", f'settings="{settings}"']
    try:
        done = subprocess.run(  # noqa: S603 - Flower's own program
            command,
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DeploymentError(f"the bench took more than {RUN_SECONDS:.0f} s") from None
    if done.returncode:
        raise DeploymentError(f"Flower did not run the bench: {done.stdout}{done.stderr}")


@contextmanager
def _superlink(folder: Path) -> Iterator[tuple[int, dict[str, str]]]:
    port, home = _free_port(), folder / "flwr"
    home.mkdir()
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "bench"\n[superlink.bench]\naddress = "127.0.0.1:{port}"\n'
        "insecure = true\n",
        "utf-8",
    )
    environment = _environment(home)
    command = ["flower-superlink", "--insecure", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--disable-runtime-dependency-installation"]
    with _daemon(command, environment, folder / "superlink.log") as process:
        _await_health(port, process)
        yield port, environment


@contextmanager
def _supernode(folder: Path, door: int, agent: str, ours: bool) -> Iterator[None]:
    home = SiteHome(folder)
    first: tuple[Path, ...] = ()
    if ours:
        allow(home, folder.parent / "app")
        first = (home.bin,)
    folder.mkdir(exist_ok=True)
    environment = _environment(folder / "flwr", *first)
    command = ["flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{door}"]
    command += ["--host", "127.0.0.1", "--port", str(_free_port())]
    command += ["--node-config", f'agent-address="{agent}"']
    with _daemon(command, environment, folder / "supernode.log"):
        yield


@contextmanager
def _daemon(
    command: list[str], environment: Mapping[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program of Flower's in a process group of its own, which ends with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - Flower's own programs
            [str(SCRIPTS / command[0]), *command[1:]],
            env=dict(environment),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(10)
        process.wait()


def _environment(home: Path, *first: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = (*first, SCRIPTS, Path(sys.executable).parent, Path("/usr/bin"), Path("/bin"))
    return {**kept, **QUIET, "FLWR_HOME": str(home), "PATH": os.pathsep.join(map(str, path))}


def _await_health(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    raise DeploymentError("the SuperLink did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
