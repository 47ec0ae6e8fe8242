"""A real agent over planted canaries, and a courier's process beside it, each its own OS user.

An interpreter below root's home cannot be started by another user, so each process starts as this
user, loads what it needs, and becomes the other one before anything of the site is opened.
"""

import dataclasses
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from client.privacy.entropy import OsEntropy
from client.privacy.reading import Spending, read_ledger
from common.faces.load import load_faces
from common.models.tail import BIAS, WEIGHT
from common.models.trunk import load_trunk
from common.moments.names import SHIFT
from common.privacy.plan import GradientMechanism, PrivacyPlan
from common.trust.keys import SigningKey
from tests.hostile.canaries import Canaries
from tests.hostile.couriers import Catch, Scene
from tests.hostile.party import PEERS
from tests.small_home import POLICY, STARTER, Home, initial, make_home, starter_hash

ROOT = Path(__file__).parents[2]
OWN = re.compile(
    r"(INFO|WARNING|ERROR) [a-z._]+: [^\x00-\x1f]*$|(serving|the door answers) at \S+$"
    r"|there is no vault yet, so no door: `mascaron-site init`, typed again, makes one$"
)
AGENT, COURIER, NOBODY = 61_900, 61_901, 65_534  # users, and the group between them
SERVE = """
import sys
from tests.hostile.deployed import serve_as
serve_as(sys.argv[1], *map(int, sys.argv[2:4]))
"""
WORK = """
import sys
from tests.hostile.couriers import work
work(*(map(int, sys.argv[1:3]) if sys.argv[1:] else (None, None)))
"""
LIMITS = POLICY.replace("rounds = 10", "rounds = 4").replace(
    "[auto_accept]\nepsilon = 8.0", "[auto_accept]\nepsilon = 1.0"
)


def separable() -> bool:
    """Whether processes here can become other users."""
    return sys.platform.startswith("linux") and os.geteuid() == 0


@dataclass
class Worker:
    """The courier's process; a new one is started when it has died."""

    separate: bool
    process: "subprocess.Popen[str] | None" = None

    def do(self, scene: Scene, name: str) -> Catch | None:
        """What the attack ``name`` brought in; None if the process died of it."""
        process = self._running()
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps([name, scene.to_json()]) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            self.close()
            return None
        return Catch(file=scene.loot / name, **json.loads(answer))

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.process = None

    def _running(self) -> "subprocess.Popen[str]":
        if self.process is None:
            users = [str(COURIER), str(NOBODY)] if self.separate else []
            pipe = subprocess.PIPE
            command = [sys.executable, "-c", WORK, *users]
            self.process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, env=environment(), text=True
            )
            assert self.process.stdout
            assert self.process.stdout.readline() == "ready\n"
        return self.process


@dataclass(kw_only=True)
class Deployed:
    """One site that is up, what is known of it, and what must not come out of it."""

    made: Home
    scene: Scene
    canaries: Canaries
    worker: Worker
    agents: ExitStack  # ends the one that runs
    delta: float = 1e-4

    def restart(self, ledger: dict[str, bytes] | None = None) -> None:
        """SIGKILL, perhaps another ``ledger`` in the place of the one there, another agent."""
        self.agents.close()
        if ledger is not None:
            for path in self._ledger_files():
                path.write_bytes(ledger.get(path.name, b""))
        process, address = self.agents.enter_context(serving(self.made, self.worker.separate))
        self.scene = dataclasses.replace(self.scene, pid=process.pid, address=address)

    def spending(self) -> Spending:
        """The ledger as it stands on the disk, its chain checked."""
        return read_ledger(self.made.home.ledger, self.made.home.ledger_key.read_bytes())

    def copy_of_ledger(self) -> dict[str, bytes]:
        """Its files, as a backup has them."""
        return {path.name: path.read_bytes() for path in self._ledger_files()}

    def _ledger_files(self) -> list[Path]:
        name = self.made.home.ledger.name
        return [p for p in self.made.home.agent.glob(name + "*") if not p.name.endswith("-shm")]

    def released(self) -> set[str]:
        """SHA-256 of every payload that the ledger says has left."""
        kinds = ("release", "masked")
        rows = [entry for entry in self.spending().entries if entry.kind in kinds]
        return {str(entry.payload_digest) for entry in rows}


@contextmanager
def deployed(policy: str = LIMITS) -> Iterator[Deployed]:
    """A site as `init` and `join` leave it, served by the real command; all of it ends here."""
    folder = Path(tempfile.mkdtemp(prefix="mascaron"))
    separate = separable()
    worker = Worker(separate)
    try:
        folder.chmod(0o755)
        (folder / "deployed").mkdir(mode=0o755)
        made = make_home(folder / "deployed", policy)
        canaries = planted(made)
        if separate:
            hand_out(made, folder)
        with ExitStack() as agents:
            process, address = agents.enter_context(serving(made, separate))
            scene = scene_of(folder, made, process.pid, address)
            yield Deployed(made=made, scene=scene, canaries=canaries, worker=worker, agents=agents)
    finally:
        worker.close()
        shutil.rmtree(folder)


def scene_of(folder: Path, made: Home, pid: int, address: str) -> Scene:
    theirs = folder / "centre"  # what centre and courier have to themselves
    theirs.mkdir()
    made.centre.save(theirs / "centre.key")
    owner = os.geteuid()
    for name in PEERS:
        SigningKey.generate().save(theirs / f"{name}.key")
    if separable():
        for path in (theirs, *theirs.iterdir()):
            os.chown(path, COURIER, NOBODY)
        owner = AGENT
    return Scene(
        home=made.home.folder,
        address=address,
        pid=pid,
        owner=owner,
        trunk=starter_hash(),
        federation=made.federation,
        centre=str(theirs / "centre.key"),
        identity=SigningKey.load(made.home.identity_key).public.text,
        loot=theirs,
    )


def planted(made: Home) -> Canaries:
    """Everything secret of a home: names, pictures, features, embeddings, keys."""
    canaries = Canaries()
    faces, _ = load_faces(made.home.folder / "../faces.npz")
    trunk, _ = load_trunk(STARTER)
    features = trunk.features(faces.crops(range(len(faces))))
    weight = initial()["tail.weight"]
    canaries.feature(features)
    canaries.feature(features @ weight.T)
    for name in faces.names:
        canaries.name(name)
    with np.load(made.home.folder / "../faces.npz", allow_pickle=False) as pack:
        ends = pack["offsets"]
        for first, last in itertools.pairwise(ends):
            canaries.blob("picture", pack["jpeg"][first + 700 : last].tobytes())
    for crop in faces.crops(range(len(faces))):
        canaries.blob("picture", np.ascontiguousarray(crop).tobytes())
    canaries.blob("key", os.urandom(32))
    for path in (made.home.identity_key, made.home.ledger_key):
        canaries.blob("key", path.read_bytes())
    return canaries


def hand_out(made: Home, folder: Path) -> None:
    """The owners of a deployment: the agent's, the courier's, and what both may read."""
    for path in (folder / "deployed").rglob("*"):
        os.chown(path, AGENT, AGENT, follow_symlinks=False)
    os.chown(folder / "deployed", AGENT, AGENT)
    for path in (made.home.courier, *made.home.courier.rglob("*")):
        os.chown(path, COURIER, NOBODY, follow_symlinks=False)
    for name in ("faces.npz", "public.npz"):
        (folder / "deployed" / name).chmod(0o600)


@contextmanager
def serving(made: Home, separate: bool) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`mascaron-site serve`, and the address it answers at."""
    users = (AGENT, NOBODY) if separate else (-1, -1)
    command = [sys.executable, "-c", SERVE, str(made.home.folder), *map(str, users)]
    log = made.home.folder.parent.parent / "agent.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stderr=output, env=environment(), text=True)
    try:
        yield process, _address(process, log)
        check_log(log)
    finally:
        process.kill()
        process.wait()


def check_log(log: Path) -> None:
    """Lines of the agent's own words, and no more of them than it allows itself."""
    said = log.read_text("utf-8", "replace").splitlines()
    foreign = [line for line in said if not OWN.match(line)]
    assert foreign == []
    assert len(said) < 120 * 5


def _address(process: "subprocess.Popen[str]", log: Path) -> str:
    while True:
        said = log.read_text("utf-8")
        if found := re.search(r"serving at (\S+)\n", said):
            return found[1]
        assert process.poll() is None, said
        time.sleep(0.05)


def serve_as(folder: str, user: int, group: int) -> None:
    """Runs the real command on ``folder``, as ``user`` with the couriers' ``group``."""
    from client.cli import main
    from tests.hostile.couriers import become

    load_all()
    words = ["serve", "--home", folder]
    if user >= 0:
        import grp

        words += ["--group", grp.getgrgid(group).gr_name]
        become(user, user, (group,))
    main(words)


def load_all() -> None:
    """Everything that an agent loads later on, by doing all of it once on nobody's data."""
    import client.commands.serve  # noqa: F401
    from client.agent.opening import open_site
    from client.agent.training import Training

    with tempfile.TemporaryDirectory() as folder:
        made = make_home(Path(folder))
        with closing((site := open_site(made.home)).ledger):
            training = Training(site.facts, site.policy, site.ledger, OsEntropy())
            step = GradientMechanism(sigma=9.0, clip=1.0, rate=1.0, rounds=1, negatives=1)
            told = {"people": 10, "delta": 1e-4, "trunk": starter_hash()}
            offer = made.offer("r", plan=PrivacyPlan(mechanisms=(step,), **told))
            training.review(offer)
            training.accept(offer)
            size = initial()[WEIGHT].shape[1]
            tail = {name: initial()[name] for name in (WEIGHT, BIAS)}
            training.train("r", 1, {**tail, SHIFT: np.zeros(size, np.float32)})
            training.head()
        open_site(made.home).ledger.close()  # its features are kept now


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def told(catch: Catch) -> dict[str, Any]:
    """What an attack noted, without the arrays."""
    return {name: value for name, value in catch.note.items() if name != "arrays"}
