"""A real federation on this machine that stands for a whole test module: run after run is made in
it, and in any of them a process may be killed.

What is killed is brought back as in a deployment: by its supervisor, and by an administrator who
types `run --resume` once a run ended early. The agent's supervisor is systemd; here it is this.
"""

import dataclasses
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client.home import SiteHome
from client.privacy.chain import LedgerEntry
from client.privacy.reading import read_ledger
from common.faces.store import save_pack
from common.synthetic.generate import synthetic_faces
from server.charter import write_charter
from server.checkpoint import read_checkpoint
from server.commands.charter import find
from server.home import CentreHome
from server.runs.progress import read_progress, read_rounds
from server.standing import daemon_states, signing_key
from simulations.deployment import Deployment, Programs
from simulations.sources import STARTER

ROOT = Path(__file__).parents[1]
PEOPLE, PATIENCE = 6, 400.0  # seconds that a run may take, whatever is killed
ROUND = 25.0  # seconds that a round may take: so long is waited for whoever died with its message
HALVES = ("agent", "courier")
TEMPLATE = "template"  # the run that is proposed and signed; the others are signed like it
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
    "agent": (),
    "SuperNode": ("flower-supernode", "{site}"),
    "SuperExec": ("flower-superexec", "{site}"),
    "courier": ("client.launcher", "{site}"),
    "gateway": ("server.commands.gateway",),
    "SuperLink": ("flower-superlink",),
    "SuperExec of the centre": ("flower-superexec", "{centre}"),
    "ServerApp": ("server.serving.launcher",),
}
BRIEF = {"courier": 0.8, "ServerApp": 0.0}  # seconds of its life within which it is killed

Model = dict[tuple[str, str], bytes]
Released = dict[tuple[str, int], str]  # site and round: SHA-256 of what left


@dataclass(frozen=True, kw_only=True)
class Kill:
    """Who is killed in a run, and when: as a share of the time an undisturbed run takes."""

    kind: str
    site: str
    moment: float
    pause: float = 0.0  # seconds of the victim's life, where that is short

    @classmethod
    def drawn(cls, sites: int, *seed: int) -> "Kill":
        """One of a federation of ``sites``; the same for the same ``seed``."""
        rng = random.Random(repr(seed))  # noqa: S311 - no secret
        kind = rng.choice(tuple(VICTIMS))
        site = f"site-{rng.randint(1, sites)}"
        pause = rng.uniform(0, BRIEF.get(kind, 0.0))
        return cls(kind=kind, site=site, moment=rng.uniform(0, 0.85), pause=pause)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a run left behind: ``released`` by the ledgers, ``heard`` by the notes of the centre.

    ``unpaid`` are releases without a charge for the same request before them, ``charged`` all
    charges. ``attempts``: how often the run was started.
    """

    model: Model
    released: Released
    heard: frozenset[tuple[str, int]]
    unpaid: int
    charged: int
    seconds: float
    attempts: int
    killed: bool


@dataclass(kw_only=True)
class StandingFederation:
    """The ``deployment`` of so many ``sites``, founded by `provision`. ``say`` hears every step.

    Its runs have two rounds of moments and ``gradients`` of gradients.
    """

    folder: Path
    sites: int = 3
    gradients: int = 1
    say: Callable[[str], None] = lambda line: None
    deployment: Deployment = field(init=False)

    def __post_init__(self) -> None:
        programs = _programs(self.folder)
        self.deployment = Deployment(self.folder, programs, self.say, separate=False)

    @property
    def centre(self) -> CentreHome:
        return CentreHome(self.deployment.centre_home)

    def provision(self) -> None:
        """Founds the centre, admits the sites, and signs a charter that others are made of."""
        made, public = self.deployment, self.folder / "public.npz"
        token = made.found()
        save_pack(public, synthetic_faces(6, 3, 999))
        proposing = threading.Thread(target=self._propose, args=(public,))
        proposing.start()
        for number in range(1, self.sites + 1):
            save_pack(self.folder / f"faces-{number}.npz", synthetic_faces(PEOPLE, 3, number))
        made.wait("the centre", self.is_up, PATIENCE)
        for number in range(1, self.sites + 1):
            facts = {"--centre": token["address"], "--token": token["token"]}
            facts |= {"--camera-type": "door", "--people": str(PEOPLE), "--public": str(public)}
            facts |= {"--trunk": str(STARTER / "trunk.toml")}
            made.enter(f"site-{number}", self.folder / f"faces-{number}.npz", facts)
        proposing.join()
        for site in made.sites:
            (made.home(site) / "policy.toml").write_text(POLICY.format(people=PEOPLE), "utf-8")
            made.start_agent(site)
            made.start_courier(site)
        made.admin("charter", "sign", TEMPLATE)

    def is_up(self) -> bool:
        """Whether all daemons of the centre are."""
        states = daemon_states(self.centre).values()
        return bool(states) and set(states) == {"up"}

    def run(self, name: str, *kills: Kill, usual: float = 0.0) -> Ended:
        """Makes the run ``name`` and sees it to its end, with ``kills`` on the way.

        ``usual`` are the seconds of an undisturbed run. ``killed`` is False if it was over before.
        """
        self._sign(name)
        made, folder, begun = self.deployment, self.centre.run(name), time.monotonic()
        hunts = [_Hunt(self, kill, begun + usual * kill.moment) for kill in kills]
        made.run(name)
        while (told := read_progress(folder)) is None or told.state != "done":
            assert time.monotonic() < begun + PATIENCE, f"{told}\n{made.tails()}"
            made.check()
            for hunt in hunts:
                hunt.go_on()
            if not made.daemon("run").alive and self.is_up():
                made.run(name, resume=True)
            time.sleep(0.05)
        self._wait_for_command()
        return dataclasses.replace(
            self._left(name),
            seconds=time.monotonic() - begun,
            killed=all(hunt.done for hunt in hunts),
        )

    def kill(self, kind: str, site: str, process: int | None) -> None:
        """SIGKILL to ``process``, or to the agent of ``site``, which is started again."""
        if kind == "agent":
            self.deployment.daemon(f"{site}-agent").kill()
            self.deployment.start_agent(site)
        elif process is not None:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def find(self, kind: str, site: str) -> set[int]:
        """The numbers of the processes of that kind that live."""
        places = {"site": f"{self.deployment.home(site)}/", "centre": f"{self.centre.folder}/"}
        words = [word.format(**places) for word in (*VICTIMS[kind], f"{self.folder}/")]
        found = set()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if all(word in line for word in words):
                    found.add(int(path.parent.name))
        return found

    def close(self) -> None:
        """Kills all: a supervisor's daemons die with it."""
        made = self.deployment
        for name in ("centre", "run", *(f"{s}-{half}" for s in made.sites for half in HALVES)):
            with suppress(KeyError):
                made.daemon(name).kill()

    def _left(self, name: str) -> Ended:
        """What is on the disks of the centre and of its sites after the run ``name``."""
        folder = self.centre.run(name)
        told = read_progress(folder)
        state = read_checkpoint(folder, told.plan if told else "")
        assert told is not None
        assert state is not None
        pools = state.pools.items()
        books = {site: self._rows(site, name) for site in self.deployment.sites}
        rows = [(site, row) for site, book in books.items() for row in book]
        return Ended(
            model={
                (pool, n): array.tobytes() for pool, arrays in pools for n, array in arrays.items()
            },
            released={(s, r.round): r.payload_digest for s, r in rows if r.kind == "release"},
            heard=frozenset(
                (site, note["round"]) for note in read_rounds(folder) for site in note["answered"]
            ),
            unpaid=sum(_unpaid(book) for book in books.values()),
            charged=sum(row.kind == "reserve" for _, row in rows),
            seconds=0.0,
            attempts=told.attempt,
            killed=False,
        )

    def _wait_for_command(self) -> None:
        """Until `run` has seen the end of the run too."""
        daemon = self.deployment.daemon("run")
        for _ in range(200):
            if not daemon.alive:
                return
            time.sleep(0.05)
        raise AssertionError(f"`run` goes on after the run\n{self.deployment.tails()}")

    def _propose(self, public: Path) -> None:
        asked = {"--run": TEMPLATE, "--epsilon": "1.0", "--people": str(PEOPLE)}
        asked |= {"--rounds": str(self.gradients)}
        asked |= {"--cohort": str(self.sites), "--timeout": "1m", "--release-slot": "0.2"}
        asked |= {"--public": str(public), "--trunk": str(STARTER / "trunk.toml"), "--steps": "20"}
        words = [word for pair in asked.items() for word in pair]
        self.deployment.admin("charter", "propose", *words)

    def _sign(self, name: str) -> None:
        """A charter like the template for the run ``name``."""
        terms, initial, _ = find(self.centre, TEMPLATE)
        signed = dataclasses.replace(terms, run=name, timeout=ROUND).sign(signing_key(self.centre))
        write_charter(self.centre.charter(name), signed, dict(initial))
        for path in self.centre.charter(TEMPLATE).glob("public*"):
            (self.centre.charter(name) / path.name).write_bytes(path.read_bytes())

    def _rows(self, site: str, run: str) -> list[LedgerEntry]:
        """The rows of ``run`` in a site's ledger, whose chain of tags was checked."""
        home = SiteHome(self.deployment.home(site))
        spending = read_ledger(home.ledger, home.ledger_key.read_bytes())
        return [row for row in spending.entries if row.run == run]


@dataclass
class _Hunt:
    """Waits for the moment of a kill, and then for somebody to kill."""

    federation: StandingFederation
    kill: Kill
    due: float
    done: bool = False
    _seen: int | None = None
    _old: set[int] = field(default_factory=set)  # of the run before, about to end by themselves

    def __post_init__(self) -> None:
        if self.kill.kind in BRIEF:
            self._old = self.federation.find(self.kill.kind, self.kill.site)

    def go_on(self) -> None:
        """Kills if it is time; what lives but briefly is killed at some age, or the next one is."""
        kind, site, now = self.kill.kind, self.kill.site, time.monotonic()
        if self.done or now < self.due:
            return
        found = set() if kind == "agent" else self.federation.find(kind, site) - self._old
        if kind == "agent" or self._seen in found:
            self.federation.kill(kind, site, self._seen)
            self.done = True
        elif found:
            self._seen, self.due = max(found), now + self.kill.pause


def _unpaid(book: list[LedgerEntry]) -> int:
    """Releases in ``book`` before which nobody reserved for the same request."""
    paid: set[tuple[int, str]] = set()
    count = 0
    for row in book:
        if row.kind == "reserve":
            paid.add((row.round, row.digest))
        count += row.kind == "release" and (row.round, row.digest) not in paid
    return count


def _programs(folder: Path) -> Programs:
    """The commands of this checkout; agent and courier are test builds, see their modules."""
    built = {
        "centre": {"mascaron-admin": "server.cli"},
        "agent": {"mascaron-site": "tests.seeded_agent"},
        "courier": {"mascaron-site": "tests.prompt_courier"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, modules in built.items():
        (folder / "bin" / name).mkdir(parents=True)
        for command, module in modules.items():
            text = PROGRAM.format(python=sys.executable, root=str(ROOT), module=module)
            (folder / "bin" / name / command).write_text(text, "utf-8")
            (folder / "bin" / name / command).chmod(0o755)
    parts: dict[str, Any] = {name: folder / "bin" / name for name in built}
    return Programs(**parts)
