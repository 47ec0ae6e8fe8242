"""Whatever bundle the centre sends, the courier installed at the site answers, or nobody."""

import hashlib
import io
import os
import shlex
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from flwr.supercore.constant import TASK_TYPE_TO_COMMAND, TaskType
from hypothesis import given
from hypothesis import strategies as st

from client import launcher
from client.home import SiteHome
from common import wire
from common.bundle import write_app
from common.daemons.surroundings import QUIET
from common.errors import DeploymentError
from tests.small_node import SmallNode, small_node

PLANTED = "open({mark!r}, 'w').close()\nraise SystemExit('planted')\n"
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatch:DeprecationWarning")  # flwr's own


@pytest.fixture
def home(tmp_path: Path) -> SiteHome:
    home = SiteHome(tmp_path / "site of 'north gate'")  # paths an operator may well choose
    home.prepare()
    launcher.write_launchers(home)
    return home


@pytest.fixture
def node(tmp_path: Path) -> Iterator[SmallNode]:
    with small_node(tmp_path / "agent.sock") as node:
        yield node


def bundle(mark: Path) -> bytes:
    """A Flower app whose every module leaves a mark when it is imported."""
    planted = PLANTED.format(mark=str(mark))
    app = '[tool.flwr.app.components]\nserverapp="server.app:app"\nclientapp="client.app:app"\n'
    project = f'[project]\nname="q"\nversion="1.0.0"\n[tool.flwr.app]\npublisher="p"\n{app}'
    files = {"pyproject.toml": project, "sitecustomize.py": planted, "client/__init__.py": planted}
    files |= {"client/app.py": planted, "common/__init__.py": planted, "grpc.py": planted}
    listed = "".join(
        f"{name},{hashlib.sha256(text.encode()).hexdigest()},{8 * len(text)}\n"
        for name, text in files.items()
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in {**files, ".info/CONTENT": listed}.items():
            archive.writestr(name, text)
    return packed.getvalue()


def plant(folder: Path, mark: Path) -> None:
    """Modules of the names that the launcher imports, each leaving a mark."""
    for name in ("client/__init__", "common/__init__", "flwr/__init__", "sitecustomize", "grpc"):
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PLANTED.format(mark=str(mark)), "utf-8")


def traps(home: SiteHome) -> tuple[Path, dict[str, str]]:
    """A folder full of modules that must not be imported, and variables that point to it."""
    trap = home.folder / "trap"
    plant(trap, home.folder / "trapped")
    environment = {
        "PATH": str(home.bin),
        "PYTHONPATH": str(trap),
        "PYTHONSTARTUP": str(trap / "sitecustomize.py"),
        "PYTHONUSERBASE": str(trap),
        "HOME": str(trap),
        "FLWR_HOME": str(home.flwr_home),
    }
    return trap, environment


def launch(home: SiteHome, node: SmallNode, token: str, name: str = "flwr-clientapp") -> str:
    """Starts what stands on the courier's PATH as Flower would, among traps."""
    trap, environment = traps(home)
    told = started(home.bin / name, node, token, environment, trap)
    assert not (home.folder / "trapped").exists(), "a module from outside was imported"
    written = {path.name for path in home.flwr_home.rglob("*")}
    assert written <= {"source"}, "more than Flower's own identifier was written down"
    return told


def started(
    program: Path, node: SmallNode, token: str, environment: dict[str, str], folder: Path
) -> str:
    arguments = ["--runtime-api-address", node.address, "--token", token, "--insecure"]
    done = subprocess.run(
        [program.name, *arguments, "--parent-pid", str(os.getpid())],
        executable=program,
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout + done.stderr


def allow(home: SiteHome, content: bytes) -> None:
    home.fabs.write_text(f"{hashlib.sha256(content).hexdigest()}  # by hand\n", "utf-8")


def test_an_allowed_bundle_is_answered_by_the_courier_installed_here(
    home: SiteHome, node: SmallNode, tmp_path: Path
) -> None:
    content = bundle(tmp_path / "mark")
    allow(home, content)
    told = launch(home, node, node.receive(content, TaskType.CLIENT_APP))
    reply = node.reply()
    assert reply is not None, told
    assert not reply.has_error(), told
    assert node.asked == 1
    assert not (tmp_path / "mark").exists()


def test_the_traps_bite_where_nothing_is_pinned(
    home: SiteHome, node: SmallNode, tmp_path: Path
) -> None:
    """Flower's own command runs the bundle's code, and an interpreter not isolated the planted."""
    trap, environment = traps(home)
    subprocess.run([sys.executable, "-c", "pass"], env=environment, cwd=trap, capture_output=True)
    assert (home.folder / "trapped").exists()
    token = node.receive(bundle(tmp_path / "mark"), TaskType.CLIENT_APP)
    program = Path(sysconfig.get_path("scripts")) / "flwr-clientapp"
    told = started(program, node, token, {"FLWR_HOME": str(home.flwr_home), **QUIET}, tmp_path)
    assert (tmp_path / "mark").exists(), told


@pytest.mark.parametrize("task", [TaskType.CLIENT_APP, TaskType.AGENT_APP])
def test_another_bundle_is_refused_with_one_fixed_word_whatever_kind_of_task_it_is(
    home: SiteHome, node: SmallNode, tmp_path: Path, task: TaskType
) -> None:
    launcher.allow_own_bundle(home)
    token = node.receive(bundle(tmp_path / "mark"), task)
    told = launch(home, node, token, TASK_TYPE_TO_COMMAND[task])
    reply = node.reply()
    assert reply is not None, told
    assert (reply.error.code, reply.error.reason) == (wire.ERROR_CODE, launcher.REFUSED)
    assert not (tmp_path / "mark").exists()


def test_without_a_readable_allow_list_every_bundle_is_refused(
    home: SiteHome, node: SmallNode, tmp_path: Path
) -> None:
    content = bundle(tmp_path / "mark")
    allow(home, content)
    with home.fabs.open("a") as file:
        file.write("everything\n")
    launch(home, node, node.receive(content, TaskType.CLIENT_APP))
    reply = node.reply()
    assert reply is not None
    assert (reply.error.code, reply.error.reason) == (wire.ERROR_CODE, launcher.REFUSED)


def test_what_the_courier_fails_with_crosses_as_a_fixed_reason(
    home: SiteHome, node: SmallNode, tmp_path: Path
) -> None:
    content = bundle(tmp_path / "mark")
    allow(home, content)
    launch(home, node, node.receive(content, TaskType.CLIENT_APP, kind="query.unheard_of"))
    reply = node.reply()
    assert reply is not None
    assert (reply.error.code, reply.error.reason) == (wire.ERROR_CODE, "INTERNAL")


def test_the_refusal_is_a_word_that_may_cross() -> None:
    assert launcher.REFUSED in wire.REASONS


def test_every_command_that_flower_can_start_stands_on_the_path(home: SiteHome) -> None:
    """A contract with the pinned Flower: a new kind of task would be a way around the pin."""
    assert set(TASK_TYPE_TO_COMMAND.values()) == set(launcher.COMMANDS)
    assert {path.name for path in home.bin.iterdir()} == set(launcher.COMMANDS)
    for path in home.bin.iterdir():
        words = shlex.split(path.read_text("utf-8"), comments=True)
        assert words[:3] == ["exec", sys.executable, "-I"]


def test_the_places_that_are_pinned_are_those_of_this_flower() -> None:
    """Another contract: an upgrade that moves them fails here and refuses to start at a site."""
    from flwr.supernode.runtime import run_clientapp

    before = dict(vars(run_clientapp))
    stand_in = launcher.Pin(Path("/nonexistent"))
    try:
        launcher.pin(stand_in)
        assert run_clientapp.install_from_fab == stand_in.install  # type: ignore[attr-defined]
        vars(run_clientapp).pop("install_from_fab")
        with pytest.raises(DeploymentError, match="pins Flower"):
            launcher.pin(stand_in)
    finally:
        vars(run_clientapp).update(before)


def test_no_database_is_loaded_for_every_message() -> None:
    told = "import client.launcher as own; own.spare(); from flwr.supernode.cli import {name}"
    check = "import sys; assert 'sqlalchemy' not in sys.modules; assert callable({name})"
    program = "; ".join((told, check)).format(name="flwr_clientapp")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_another_version_of_flower_is_not_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flwr.supercore.version.package_version", "1.42.0")
    with pytest.raises(DeploymentError, match=r"not 1\.42\.0"):
        launcher.pin(launcher.Pin(Path("/nonexistent")))


def test_the_own_bundle_is_the_same_everywhere(tmp_path: Path) -> None:
    from flwr.cli.build import build_fab_from_disk

    write_app(tmp_path / "elsewhere" / "app")
    content = build_fab_from_disk(tmp_path / "elsewhere" / "app")
    assert launcher.bundle_hash() == hashlib.sha256(content).hexdigest()


def test_a_newer_version_takes_the_place_of_its_own_line_and_no_other(home: SiteHome) -> None:
    by_hand = f"# two bundles under trial\n{'a' * 64}\n{'b' * 64}  # until spring\n"
    home.fabs.write_text(f"{by_hand}{'c' * 64}  {launcher.OURS}0.0.1\n", "utf-8")
    launcher.allow_own_bundle(home)
    launcher.allow_own_bundle(home)
    assert home.fabs.read_text("utf-8").startswith(by_hand)
    own = launcher.bundle_hash()
    assert launcher.read_allowed(home.fabs) == {"a" * 64, "b" * 64, own}


HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(lines=st.lists(HASHES), comments=st.lists(st.text("ab #\t", max_size=9)))
def test_an_allow_list_holds_what_was_written_and_comments(
    lines: list[str], comments: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("l") / "fabs"
    text = [f"  {line} # {comment}" for line, comment in zip(lines, comments, strict=False)]
    path.write_text("\n".join([*text, *lines[len(text) :], "", "#"]), "utf-8")
    assert launcher.read_allowed(path) == frozenset(lines)


@given(line=st.text(min_size=1).filter(lambda t: t.partition("#")[0].strip()))
def test_anything_else_in_an_allow_list_is_an_error(
    line: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    told = line.partition("#")[0].strip()
    if len(told) == 64 and set(told) <= set("0123456789abcdef"):
        return
    path = tmp_path_factory.mktemp("l") / "fabs"
    path.write_bytes(f"{'a' * 64}\n{line}\n".encode("utf-8", "surrogatepass"))
    with pytest.raises(DeploymentError, match="fabs"):
        launcher.read_allowed(path)
