"""`mascaron-lab federation`: a real federation on this machine, with its worst afternoon.

One centre and three sites, each its own processes and, as root, its own users, over TLS. They train
three rounds on invented faces. In the middle one site is killed, then the centre; the run pauses,
goes on, and ends. What left each site is printed from the sites' own ledgers.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from common.console import result
from common.errors import DeploymentError
from common.faces.store import save_pack
from common.outputs import check_folder
from common.synthetic.generate import synthetic_faces
from simulations.deployment import FIRST_USER, Deployment, Programs
from simulations.sources import STARTER

SITES, PEOPLE, PICTURES = 3, 8, 4
PUBLIC_PEOPLE = 40
EPSILON, ROUNDS, COHORT = 4.0, 3, 2
TIMEOUT = "2m"  # of a round: how long a site that was killed is waited for
RUN = "first"
UP_SECONDS, ROUND_SECONDS = 90.0, 300.0


@dataclass(frozen=True, kw_only=True)
class FederationOptions:
    """Where everything goes, and the environments of the three parts."""

    out: Path
    centre_bin: Path | None = None
    agent_bin: Path | None = None
    courier_bin: Path | None = None
    one_user: bool = False


def federation_command(options: FederationOptions) -> None:
    """Runs the whole story; prints one JSON object. Raises ``DeploymentError`` where it breaks."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    out = options.out.absolute()
    check_folder(out, new=True)
    here = Path(sys.executable).parent
    programs = Programs(
        centre=(options.centre_bin or here).absolute(),
        agent=(options.agent_bin or here).absolute(),
        courier=(options.courier_bin or here).absolute(),
    )
    separate = not options.one_user and _separate(programs, out, console)
    say = lambda line: console.print(line, style="dim")  # noqa: E731
    with Deployment(out, programs, say, separate) as deployment:
        story = Story(deployment, console)
        story.provision()
        story.train()
        told = story.told()
    result({**told, "folder": str(out), "separate_users": separate})


class Story:
    """What happens to one deployment, in order."""

    def __init__(self, deployment: Deployment, console: Console) -> None:
        self._it, self._console = deployment, console

    def provision(self) -> None:
        """The centre, three sites, a charter that their operators accept."""
        self._head("The centre is made, and its daemons started")
        token = self._it.found()
        self._head("Each site makes its keys and asks; the administrator admits it")
        trunk = self._trunk()
        public = self._pack("public", PUBLIC_PEOPLE, seed=999)
        for number in range(SITES):
            name = f"site-{number + 1}"
            faces = self._pack(f"faces-{name}", PEOPLE, seed=100 + number)
            facts = {"--centre": token["address"], "--token": token["token"]}
            facts |= {"--camera-type": "door", "--people": str(PEOPLE), "--trunk": str(trunk)}
            self._it.join(name, faces, {**facts, "--public": str(public)})
        self._head("A charter is proposed from public faces, read, and signed")
        asked = {"--run": RUN, "--epsilon": str(EPSILON), "--people": str(PEOPLE)}
        asked |= {"--cohort": str(COHORT), "--rounds": "1", "--timeout": TIMEOUT}
        asked |= {"--public": str(public), "--trunk": str(trunk)}
        asked |= {"--release-slot": "1", "--steps": "100"}
        words = [word for pair in asked.items() for word in pair]
        meaning = self._it.admin("charter", "propose", *words)
        for line in meaning["in_plain_words"]:
            self._console.print(f"  {line}")
        self._it.admin("charter", "sign", RUN)

    def train(self) -> None:
        """Three rounds: a site is killed in the second, the centre in the third."""
        self._head("The run begins; every operator is asked")
        self._it.run(RUN)
        with ThreadPoolExecutor(SITES) as operators:
            list(operators.map(self._accept, self._it.sites))
        self._it.wait("round 1", self._reached(1), ROUND_SECONDS)
        victim = self._it.sites[-1]
        self._head(f"{victim} is killed: agent and courier, without a word")
        for half in ("agent", "courier"):
            self._it.daemon(f"{victim}-{half}").kill()
        self._it.wait("round 2", self._reached(2), ROUND_SECONDS)
        self._head("The centre is killed: SuperLink, ServerApp, gateway; then both come back")
        self._it.daemon("centre").kill()
        self._it.daemon("run").stop()
        self._it.start_agent(victim)
        self._it.start_courier(victim)
        self._it.serve()
        self._it.wait("the centre", self._centre_up, UP_SECONDS)
        self._it.run(RUN, resume=True)
        self._it.wait("round 3", self._reached(ROUNDS), ROUND_SECONDS)
        self._it.wait("the end", lambda: not self._it.daemon("run").alive, UP_SECONDS)

    def told(self) -> dict[str, Any]:
        """What every round was and what left every site, printed and returned."""
        self._head("What every round was")
        rounds = self._it.admin("rounds", RUN)
        for entry in rounds["done"]:
            answered = ", ".join(entry["answered"])
            self._console.print(f"  round {entry['round']}  {entry['mechanism']}  by {answered}")
        self._head("What left each site, by its own ledger")
        outbox = {site: self._it.site(site, "outbox") for site in self._it.sites}
        self._console.print(_table(outbox))
        self._console.print(
            "Beside these, what an operator declares (camera type, trunk, a round number of\n"
            "people) and a signed ledger head. No picture, no feature, no name."
        )
        if rounds["state"] != "done" or len(rounds["done"]) != ROUNDS:
            raise DeploymentError(f"the run ended {rounds['state']}\n{self._it.tails()}")
        return {
            "state": rounds["state"],
            "rounds": [entry["answered"] for entry in rounds["done"]],
            "bytes": {site: sent["bytes"] for site, sent in outbox.items()},
            "epsilon": {site: sent["epsilon"] for site, sent in outbox.items()},
        }

    def _accept(self, site: str) -> None:
        """What the operator of ``site`` does once the charter lies on the desk."""
        found: list[dict[str, Any]] = []

        def waits() -> bool:
            found[:] = self._it.site(site, "charter", "list", quiet=True)["charters"]
            return bool(found)

        self._it.wait(f"the charter at {site}", waits, ROUND_SECONDS)
        self._it.site(site, "charter", "accept", found[0]["digest"])

    def _reached(self, number: int) -> Callable[[], bool]:
        def done() -> bool:
            if not self._it.daemon("run").alive and number < ROUNDS:
                raise DeploymentError(f"the run ended before round {number}\n{self._it.tails()}")
            return len(self._it.admin("rounds", RUN, quiet=True)["done"]) >= number

        return done

    def _centre_up(self) -> bool:
        states = self._it.admin("status", quiet=True)["daemons"].values()
        return bool(states) and set(states) == {"up"}

    def _pack(self, name: str, people: int, seed: int) -> Path:
        path = self._it.folder / f"{name}.npz"
        save_pack(path, synthetic_faces(people, PICTURES, seed))
        return path

    def _trunk(self) -> Path:
        folder = self._it.folder / "trunk"
        shutil.copytree(STARTER, folder)
        return folder / "trunk.toml"

    def _head(self, words: str) -> None:
        self._console.print(f"\n[{time.strftime('%H:%M:%S')}] {words}", style="bold", markup=False)


def _separate(programs: Programs, out: Path, console: Console) -> bool:
    """Whether every half of a site can have a user of its own; told if not."""
    if os.geteuid() != 0:
        console.print("Not root: all processes run as you; a deployment has two users a site.")
        return False
    out.mkdir(parents=True, exist_ok=True)
    out.chmod(0o755)
    if not programs.readable_by(FIRST_USER, out):
        console.print(
            "Other users cannot read this checkout or its results, so all run as root; put both "
            "below a folder that all may enter (/opt, /srv, /var/lib) to see them apart."
        )
        return False
    return True


def _table(outbox: dict[str, dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE)
    for column in ("site", "round", "bytes", "SHA-256", "epsilon by itself"):
        table.add_column(column, justify="left" if column in ("site", "SHA-256") else "right")
    for site, sent in outbox.items():
        for row in sent["sent"]:
            cells = (str(row["round"]), f"{row['bytes']:,}", row["sha256"][:16])
            table.add_row(site, *cells, f"{row['epsilon']:.2f}")
        table.add_row(site, "all", f"{sent['bytes']:,}", "", f"{sent['epsilon']:.2f} together")
    return table
