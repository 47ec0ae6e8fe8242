"""A real federation whose every process is killed in turn: it ends in the undisturbed model."""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from common.errors import DeploymentError
from common.faces.store import save_pack
from common.synthetic.generate import synthetic_faces
from server.checkpoint import read_checkpoint
from server.runs.progress import read_progress
from simulations.deployment import Deployment, Programs
from simulations.sources import STARTER

ROOT = Path(__file__).parents[2]
SITES, PEOPLE, SECONDS = 2, 6, 400.0
PROGRAM = """#!{python}
import sys
sys.path.insert(0, {root!r})
from {module} import main
main()
"""
POLICY = """epsilon = 50.0
delta = 1e-4
declared_people = {people}
[auto_accept]
epsilon = 50.0
rounds = 1000
"""
VICTIMS = {  # who is killed: words that are all on its command line
    "agent": ("mascaron-site", "serve"),
    "SuperNode": ("flower-supernode", "site-1"),
    "courier": ("client.launcher", "site-1"),
    "SuperExec": ("flower-superexec", "site-1"),
    "gateway": ("server.commands.gateway",),
    "SuperLink": ("flower-superlink",),
    "ServerApp": ("server.serving.launcher",),
}


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    folder = Path(tempfile.mkdtemp(prefix="kills"))
    try:
        with Deployment(folder, programs(folder), lambda line: None, False) as made:
            provision(made)
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def programs(folder: Path) -> Programs:
    """The real commands of this checkout, but for the agent's: that is the test build."""
    told = {"mascaron-admin": "server.cli", "mascaron-site": "client.cli"}
    for name, modules in {"real": told, "test": {"mascaron-site": "tests.seeded_agent"}}.items():
        (folder / name).mkdir()
        for command, module in modules.items():
            text = PROGRAM.format(python=sys.executable, root=str(ROOT), module=module)
            (folder / name / command).write_text(text, "utf-8")
            (folder / name / command).chmod(0o755)
    return Programs(centre=folder / "real", agent=folder / "test", courier=folder / "real")


def provision(made: Deployment) -> None:
    token = made.found()
    made.wait("the centre", lambda: up(made), SECONDS)
    public = made.folder / "public.npz"
    save_pack(public, synthetic_faces(20, 3, 999))
    for number in range(1, SITES + 1):
        site, faces = f"site-{number}", made.folder / f"faces-{number}.npz"
        save_pack(faces, synthetic_faces(PEOPLE, 3, number))
        facts = {"--centre": token["address"], "--token": token["token"]}
        facts |= {"--camera-type": "door", "--people": str(PEOPLE), "--public": str(public)}
        made.join(site, faces, {**facts, "--trunk": str(STARTER / "trunk.toml")})
        made.daemon(f"{site}-agent").kill()
        (made.home(site) / "policy.toml").write_text(POLICY.format(people=PEOPLE), "utf-8")
        made.start_agent(site)


def up(made: Deployment) -> bool:
    with suppress(DeploymentError):
        states = made.admin("status", quiet=True)["daemons"].values()
        return bool(states) and set(states) == {"up"}
    return False


def signed(made: Deployment, run: str) -> None:
    asked = {"--run": run, "--epsilon": "2.0", "--people": str(PEOPLE), "--cohort": str(SITES)}
    asked |= {"--rounds": "2", "--timeout": "1m", "--release-slot": "1", "--steps": "20"}
    asked |= {"--public": str(made.folder / "public.npz"), "--trunk": str(STARTER / "trunk.toml")}
    made.admin("charter", "propose", *[word for pair in asked.items() for word in pair])
    made.admin("charter", "sign", run)


def finished(made: Deployment, run: str, kills: list[str]) -> dict[tuple[str, str], bytes]:
    """The model at the end of ``run``, during which ``kills`` happen, one after the other."""
    signed(made, run)
    made.run(run)
    begun, rng, left = time.monotonic(), random.Random(run), list(kills)  # noqa: S311
    due = begun + rng.uniform(5, 15)
    folder = made.centre_home / "runs" / run
    while (told := read_progress(folder)) is None or told.state != "done":
        assert time.monotonic() < begun + SECONDS, made.tails()
        if left and time.monotonic() > due and killed(made, left[0]):
            left.pop(0)
            due = time.monotonic() + rng.uniform(5, 15)
        if not made.daemon("run").alive and up(made):
            made.run(run, resume=True)
        time.sleep(0.3)
    made.daemon("run").stop()  # it ends by itself, a moment after the run
    assert left == [], "the run was over before everybody was killed"
    state = read_checkpoint(folder, told.plan)
    assert state is not None
    pools = state.pools.items()
    return {(pool, name): a.tobytes() for pool, arrays in pools for name, a in arrays.items()}


def killed(made: Deployment, who: str) -> bool:
    """Kills one process of that kind, if there is one now; an agent is started again."""
    if who == "agent":
        made.daemon("site-1-agent").kill()
        made.start_agent("site-1")
        return True
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if all(word in line for word in (*VICTIMS[who], str(made.folder))):
                os.kill(int(path.parent.name), signal.SIGKILL)
                return True
    return False


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:GitWildMatch:DeprecationWarning")  # flwr's own
def test_two_runs_with_every_process_killed_end_in_the_model_of_an_undisturbed_one(
    deployment: Deployment,
) -> None:
    undisturbed = finished(deployment, "calm", [])
    assert undisturbed
    for run, victims in (
        ("one", ["agent", "courier", "ServerApp", "gateway"]),
        ("two", ["SuperNode", "SuperExec", "SuperLink"]),
    ):
        assert finished(deployment, run, victims) == undisturbed
    for site in deployment.sites:
        told = deployment.site(site, "outbox")["sent"]
        assert len(told) == len({(row["run"], row["round"]) for row in told})
        assert deployment.site(site, "ledger", "verify")["verified"] >= 3 * len(told) / 2
