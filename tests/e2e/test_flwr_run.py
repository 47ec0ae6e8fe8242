"""The same apps and agents under Flower itself: what it ships, and a run on its Ray simulation."""

import importlib.util
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from client.agent.facts import SiteFacts
from client.agent.main import serve
from client.agent.people import SitePeople
from client.agent.service import AgentService
from client.agent.training import Training
from client.privacy.ledger import Budget, Ledger
from common.models.tail import BIAS, WEIGHT
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.privacy.plan import (
    EvaluationMechanism,
    GradientMechanism,
    MomentMechanism,
    PrivacyPlan,
)
from server.charter import Charter
from server.checkpoint import RunState, read_checkpoint
from server.monitor import save_public
from simulations.entropy import SeededEntropy
from simulations.federation import Door, Federation, LaboratoryPolicy
from simulations.signing import member, publish
from tests.fakes import TRUNK

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent
RUN_SECONDS = 240
SEED = (5,)
PEOPLE = 6  # at each site, as declared
SITES = 2
D, K = 12, 6

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture
def app_folder(tmp_path: Path) -> Path:
    """A checkout whose name Flower accepts: it refuses dots and underscores."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for room in ("client", "common", "protos", "server", "simulations"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "README.md").write_text("Faces never leave the site.\n", "utf-8")
    return folder


@pytest.mark.filterwarnings("ignore:GitWildMatch:DeprecationWarning")  # flwr's own
def test_the_bundle_sent_to_sites_holds_the_courier_and_nothing_secret(app_folder: Path) -> None:
    from flwr.cli.build import build_fab_from_disk

    (app_folder / "client" / "secret.py").write_text("KEY = 1\n", "utf-8")
    (app_folder / "secret.json").write_text("{}\n", "utf-8")
    with zipfile.ZipFile(io.BytesIO(build_fab_from_disk(app_folder))) as bundle:
        held = {n for n in bundle.namelist() if not n.startswith(".info/")}
        shipped = tomllib.loads(bundle.read("pyproject.toml").decode())
    included = {
        path.relative_to(app_folder).as_posix()
        for pattern in shipped["tool"]["flwr"]["app"]["fab-include"]
        for path in app_folder.glob(pattern)
    }
    assert held == included | {"pyproject.toml"}
    assert {n for n in held if n.startswith("client/")} == {"client/__init__.py", "client/app.py"}
    assert not any(n.startswith(("simulations/", "secret")) for n in held)


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="needs the extra 'ray'")
def test_a_run_under_flower_ends_where_the_run_inside_one_process_does(
    app_folder: Path, tmp_path: Path
) -> None:
    doors = [
        Door(name=f"site-{n}", camera_type="door", people=people(n), declared_people=PEOPLE)
        for n in range(SITES)
    ]
    federation = Federation(
        doors=doors,
        trunk=TRUNK,
        negatives=negatives(),
        watched=public(),
    )
    inside = federation.run(plan(), initial(), tmp_path / "inside", SEED).pools
    outside = under_flower(app_folder, tmp_path).pools
    assert set(inside) == set(outside) == {"door"}
    assert set(inside["door"]) == set(outside["door"])
    for name, array in inside["door"].items():
        np.testing.assert_array_equal(outside["door"][name], array)


def plan() -> PrivacyPlan:
    mean = MomentMechanism(kind="mean", sigma=1.0, clip=1.0, name="mean")
    step = GradientMechanism(sigma=1.0, clip=1.0, rate=0.5, rounds=1, negatives=8)
    mechanisms = (mean, step, EvaluationMechanism(sigma=1.0, name="after"))
    return PrivacyPlan(mechanisms=mechanisms, people=PEOPLE, delta=1e-4, trunk=TRUNK, cohort=SITES)


def initial() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = {WEIGHT: (K, D), BIAS: (K,), FRAME_WEIGHT: (K, D), FRAME_BIAS: (K,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def people(number: int) -> SitePeople:
    rng = np.random.default_rng([number, 4])
    return SitePeople(rng.normal(size=(18, D)).astype(np.float32), np.arange(18) % PEOPLE)


def negatives() -> np.ndarray:
    return np.random.default_rng(6).normal(size=(20, D)).astype(np.float32)


def public() -> tuple[np.ndarray, np.ndarray]:
    features = np.random.default_rng(7).normal(size=(60, D)).astype(np.float32)
    return features, np.arange(60)


def under_flower(app_folder: Path, tmp_path: Path) -> RunState:
    """Agents behind sockets, a SuperLink in simulation mode, one ``flwr run``; the checkpoint."""
    run_folder = tmp_path / "run"
    charter = Charter(run=f"run-{SEED[0]}", plan=plan(), timeout=RUN_SECONDS)
    centre = publish(charter, initial(), run_folder)
    save_public(run_folder, *public())
    sockets = tmp_path / "s"
    sockets.mkdir()
    with ExitStack() as stack:
        for number in range(SITES):
            ledger = Ledger(tmp_path / f"{number}.db", bytes(32), Budget(50.0, plan().delta))
            stack.enter_context(ledger)
            facts = SiteFacts(
                camera_type="door",
                trunk=TRUNK,
                people=people(number),
                negatives=negatives(),
                membership=member(f"site-{number}", centre),
            )
            policy = LaboratoryPolicy(epsilon=50.0, delta=plan().delta, declared_people=PEOPLE)
            training = Training(facts, policy, ledger, SeededEntropy(*SEED, number))
            stack.enter_context(serve(AgentService(training), f"unix:{sockets}/{number}.sock"))
        environment = stack.enter_context(superlink(tmp_path))
        config = {"charter": run_folder, "folder": run_folder, "agent-folder": sockets}
        told = " ".join(f'{key}="{value}"' for key, value in config.items())
        resources = f"num-supernodes={SITES} client-resources-num-cpus=1"
        command = [SCRIPTS / "flwr", "run", app_folder, "smoke", "--stream"]
        command += ["--run-config", told, "--federation-config", resources]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS
        )
    state = read_checkpoint(run_folder, plan().digest)
    assert state is not None, done.stdout + done.stderr
    assert state.round == len(plan().rounds), done.stdout + done.stderr
    return state


@contextmanager
def superlink(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a client of a SuperLink of our own; it and its children end with us."""
    home = tmp_path / "flwr"
    home.mkdir()
    port, control = free_port(), free_port()
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "smoke"\n[superlink.smoke]\naddress = "127.0.0.1:{port}"\n'
        "insecure = true\n",
        "utf-8",
    )
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **QUIET, "FLWR_HOME": str(home), "PATH": path}
    environment.pop("PYTHONWARNINGS", None)
    command = [SCRIPTS / "flower-superlink", "--insecure", "--simulation"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--control-api-address", f"127.0.0.1:{control}"]
    command += ["--disable-runtime-dependency-installation"]
    with (tmp_path / "superlink.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        await_health(f"http://127.0.0.1:{port}/health", process)
        yield environment
    finally:
        end_group(process)


def await_health(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("the SuperLink did not start")


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """The SuperLink and everything it started; only its own process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            continue


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
