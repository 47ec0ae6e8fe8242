"""An environment with one extra alone runs that part's commands: the rest cannot be imported."""

import functools
import json
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from client.courier.supernode import make_node_key
from client.home import SiteHome
from common.faces.store import save_pack
from common.synthetic.generate import synthetic_faces
from tests.small_centre import centre
from tests.small_home import STARTER, Home, heard, make_home

ROOT = Path(__file__).parents[1]
IN_EVERY = {"setuptools", "pip", "pkg_resources", "_distutils_hack"}  # of a new environment
OURS = {"client", "common", "protos", "server", "simulations", "mascaron"}
TORCH = {"torch", "opacus", "cv2", "onnx", "onnxruntime", "safetensors", "PIL", "scipy"}
WALL = """
import sys

class Wall:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        away = name.partition(".")[0] in blocked
        return None if away else self.finder.find_spec(name, path, target)

blocked = set(sys.argv.pop(1).split(","))
sys.meta_path[:] = [Wall(finder) for finder in sys.meta_path]
"""
MAIN = WALL + "from client.cli import main; main()"
EACH = (
    WALL
    + """
import json
from click.testing import CliRunner
from client.cli import main
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(main, words)
    print(json.dumps([done.exit_code, done.stdout, done.stderr, repr(done.exception)]))
"""
)


@functools.cache
def installed_with(extra: str) -> frozenset[str]:
    """Names of all distributions that `pip install mascaron[extra]` brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found: set[str] = set()
    waiting = [Requirement(line) for line in project["dependencies"]]
    waiting += [Requirement(f"mascaron[{extra}]")]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name == "mascaron":
            extras = project["optional-dependencies"]
            waiting += [Requirement(line) for one in wanted.extras for line in extras[one]]
            continue
        key = f"{name}[{','.join(sorted(wanted.extras))}]"
        if key in found:
            continue
        found |= {name, key}
        waiting += _needs(name, wanted.extras)
    return frozenset(found)


def _needs(name: str, extras: set[str]) -> list[Requirement]:
    try:
        needs = [Requirement(line) for line in requires(name) or ()]
    except PackageNotFoundError:  # not for this platform
        return []
    settings = [{"extra": ""}, *({"extra": extra} for extra in extras)]
    return [n for n in needs if n.marker is None or any(map(n.marker.evaluate, settings))]


@functools.cache
def blocked(extra: str) -> frozenset[str]:
    """Every top-level module here that is not part of such an environment."""
    names = installed_with(extra)
    foreign = {
        module
        for module, owners in packages_distributions().items()
        if not any(canonicalize_name(owner) in names for owner in owners)
    }
    return frozenset(foreign - IN_EVERY - OURS)


def typed(extra: str, home: Path, *commands: str, codes: tuple[int, ...] = ()) -> list[Any]:
    """What `mascaron-site` answers at ``home`` in an environment with that extra: the JSON of each
    of ``commands`` that ended with 0, the words of each that did not, as ``codes`` expects."""
    words = [[*command.split(), "--home", str(home)] for command in commands]
    program = [sys.executable, "-c", EACH, ",".join(blocked(extra)), json.dumps(words)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answers, found = [json.loads(line) for line in done.stdout.splitlines()], []
    for (code, out, error, failure), wanted in zip(
        answers, codes or (0,) * len(commands), strict=True
    ):
        assert code == wanted, error + failure
        assert "No module named" not in error
        found.append(json.loads(out) if code == 0 else out + error)
    return found


def test_the_walls_stand_where_they_should() -> None:
    assert blocked("courier") >= TORCH
    assert "flwr" not in blocked("courier")
    assert blocked("agent") >= {"flwr", "uvicorn", "httpx"}
    assert not {"torch", "opacus", "cv2", "grpc", "cryptography"} & blocked("agent")
    walled = [sys.executable, "-c", f"{WALL}import flwr", ",".join(blocked("agent"))]
    done = subprocess.run(walled, capture_output=True, text=True)
    assert "ModuleNotFoundError: No module named 'flwr'" in done.stderr


# The agent's: no Flower.


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("site"))


def test_an_agent_serves_without_flower(made: Home) -> None:
    command = [sys.executable, "-c", MAIN, ",".join(blocked("agent")), "serve"]
    with subprocess.Popen(
        [*command, "--home", str(made.home.folder)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert heard(process.stderr, "serving at ")
        looks = ("status", "ledger show", "ledger verify", "outbox", "charter list")
        told = typed("agent", made.home.folder, *looks)
        assert (told[0]["agent"], told[2]["verified"]) == ("IDLE", 0)
        process.terminate()
        assert process.wait(60) == 0


def test_a_charter_is_shown_and_accepted_without_flower(made: Home) -> None:
    from client.agent.opening import open_desk
    from common.trust.charter import charter_digest
    from common.trust.signed import Signed

    offer = made.offer()
    signed = Signed.from_json(offer.charter)
    digest = charter_digest(signed)
    open_desk(made.home).wait(digest, signed, offer.initial)
    shown, accepted = typed(
        "agent", made.home.folder, f"charter show {digest}", f"charter accept {digest}"
    )
    assert shown["rounds"][0]["mechanism"] == "mean"
    assert accepted["state"] == "accepted"


def test_a_site_leaves_without_flower(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    [told] = typed("agent", made.home.folder, "leave --yes")
    assert "agent/identity.key" in told["removed"]


# The courier's: no torch, no pictures.


def test_a_site_is_made_and_looked_at_without_torch(tmp_path: Path) -> None:
    from common.trust.token import Token

    token = Token.generate(b"a certificate").text
    facts = "--centre 127.0.0.1:9 --name north --camera-type door --people 10"
    init = f"init {facts} --faces {tmp_path} --token {token} --later"
    made, findings, asked = typed(
        "courier", tmp_path / "site", init, "doctor", "admission", codes=(0, 1, 1)
    )
    assert made["state"] == "not sent"
    assert "mascaron-site init" in findings
    assert "has not met its centre" in asked


def test_a_courier_is_prepared_and_its_launcher_answers_without_torch(tmp_path: Path) -> None:
    home = make_home(tmp_path).home
    make_node_key(home)
    [told] = typed("courier", home.folder, "join --prepare")
    assert told["prepared"] == str(home.courier)
    assert home.fabs.is_file()


ROOMS = """
import os
from pathlib import Path
import client.app, client.centre.admission, client.commands.join, client.commands.init
import client.commands.doctor, client.commands.admission
from client.home import SiteHome
from client.launcher import Pin, pin
from client.courier.supernode import daemons
home = SiteHome(Path(sys.argv[1]))
pin(Pin(home.fabs))
from flwr.supernode.cli import flwr_clientapp
assert len(daemons(home, home.config(), os.environ)) == 2
heavy = {heavy!r} & set(sys.modules)
assert not heavy, heavy
"""


def test_nothing_that_the_courier_runs_imports_torch(tmp_path: Path) -> None:
    home: SiteHome = make_home(tmp_path).home
    code = WALL + ROOMS.replace("{heavy!r}", repr(TORCH))
    command = [sys.executable, "-c", code, ",".join(blocked("courier")), str(home.folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# The centre's: nothing that only a site or the laboratory needs.


ADMIN = """
import importlib, json, pkgutil
import server
for found in pkgutil.walk_packages(server.__path__, "server."):
    importlib.import_module(found.name)
from server.cli import main
main(json.loads(sys.argv[1]))
"""


def test_a_centre_opens_a_run_without_what_sites_and_laboratory_need(tmp_path: Path) -> None:
    home = centre(tmp_path / "centre")
    save_pack(tmp_path / "public.npz", synthetic_faces(4, 2, 5))
    told = f"--run r1 --epsilon 8 --people 20 --cohort 2 --steps 2 --home {home.folder}"
    words = f"charter propose {told} --public {tmp_path / 'public.npz'} --trunk {STARTER}"
    program = [sys.executable, "-c", WALL + ADMIN, ",".join(blocked("centre"))]
    done = subprocess.run(
        [*program, json.dumps(words.split())], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "proposed"
    assert {"opacus", "matplotlib", "hypothesis"} <= blocked("centre")
