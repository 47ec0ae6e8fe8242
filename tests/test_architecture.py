"""Who may import whom. The floors of the house are a test, not a wish."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {"common", "protos", "client", "server", "simulations"}
MAY_IMPORT: dict[str, set[str]] = {
    "protos": set(),
    "common": set(),
    "client": {"common", "protos"},
    "server": {"common", "protos"},
    "simulations": {"common", "protos", "client", "server"},
}
COURIER = ROOT / "client" / "app.py"  # travels in the FAB, so it may know the wire, nothing else
COURIER_MAY_IMPORT = {"common", "protos.gen"}  # `from common import wire`, checked by name below

# Libraries that may appear only in some places (folders or files).
ONLY_IN = {
    "flwr": ("server", "client/app.py", "client/launcher.py", "simulations"),
    "opacus": ("client/privacy", "common/privacy", "simulations/benchmarks"),
    "matplotlib": ("simulations",),
    "httpx": ("server/serving",),
    "optuna": ("simulations/tuning", "simulations/commands/tune.py"),
    "uvicorn": ("server/serving",),
    "grpc": ("client", "server", "simulations/stub.py"),
}
HEAVY = (
    "torch",
    "opacus",
    "flwr",
    "cv2",
    "onnx",
    "onnxruntime",
    "matplotlib",
    "scipy",
    "httpx",
    "optuna",
    "uvicorn",
)


@functools.cache
def nodes_of(path: Path) -> list[ast.AST]:
    """All nodes of a module, parsed once for all tests."""
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


def sources(room: str) -> Iterator[Path]:
    for path in sorted((ROOT / room).rglob("*.py")):
        if path.parent.name != "gen":
            yield path


@functools.cache
def imports(path: Path) -> frozenset[str]:
    nodes = nodes_of(path)
    plain = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    froms = {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    assert not any(isinstance(n, ast.ImportFrom) and n.level for n in nodes), f"relative: {path}"
    return frozenset(plain | froms)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_rooms_import_downwards_only(room: str) -> None:
    forbidden = ROOMS - MAY_IMPORT[room] - {room}
    for path in sources(room):
        upwards = {m for m in imports(path) if m.split(".")[0] in forbidden}
        assert not upwards, f"{path.relative_to(ROOT)} imports {upwards}"


def test_the_courier_knows_only_the_wire() -> None:
    ours = {m for m in imports(COURIER) if m.split(".")[0] in ROOMS}
    assert ours <= COURIER_MAY_IMPORT
    from_common = {
        alias.name
        for node in nodes_of(COURIER)
        if isinstance(node, ast.ImportFrom) and node.module == "common"
        for alias in node.names
    }
    assert from_common == {"wire"}
    libraries = {m.split(".")[0] for m in imports(COURIER)} - ROOMS
    assert libraries <= {"flwr", "grpc", "numpy", "collections", "pathlib", "secrets", "typing"}
    assert len(COURIER.read_text("utf-8").splitlines()) < 160


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_libraries_stay_in_their_rooms(library: str) -> None:
    for room in ROOMS:
        for path in sources(room):
            place = path.relative_to(ROOT).as_posix()
            used = any(m.split(".")[0] == library for m in imports(path))
            assert not used or place.startswith(ONLY_IN[library]), f"{place} imports {library}"


def test_the_agent_knows_nothing_of_flower() -> None:
    for path in sources("client/agent"):
        assert not any(m.split(".")[0] == "flwr" for m in imports(path)), path


@pytest.mark.parametrize("cli", ["client.cli", "server.cli", "simulations.cli"])
def test_help_imports_nothing_heavy(cli: str) -> None:
    """Every command's ``--help``, in a fresh interpreter."""
    code = f"""
import sys, click, importlib
main = importlib.import_module({cli!r}).main
def walk(command, path):
    context = click.Context(command, info_name=path)
    assert command.get_help(context)
    unsaid = [p.opts for p in command.params if isinstance(p, click.Option) and not p.help]
    assert not unsaid, (path, unsaid)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            walk(command.get_command(context, name), path + ' ' + name)
walk(main, 'x')
heavy = [m for m in {HEAVY!r} if m in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["compare", "report"])
def test_what_reads_figures_loads_nothing_that_makes_them(command: str) -> None:
    code = f"import sys, simulations.commands.{command}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.split()) & (set(HEAVY) - {"cv2"})  # for pictures


# Where a head is called so: it learns from labels of its own (a column called "female"), never from
# the columns of an audit pack.
KNOW_A_GENDER_HEAD = (
    "common/heads/",
    "common/text/",
    "common/privacy/heads.py",
    "server/heads.py",
    "client/door/words.py",
    "simulations/benchmarks/heads.py",
    "simulations/benchmarks/heads_material.py",
)


def test_only_audits_know_who_is_in_which_group() -> None:
    """No path from what trains, matches or serves to the columns of an audit pack."""
    audits = ("simulations/evidence/", "simulations/commands/")
    for room in ROOMS:
        for path in sources(room):
            place = path.relative_to(ROOT).as_posix()
            if place != "common/faces/groups.py":
                columns = {"gender", "group"} if place.startswith("common/faces") else {"gender"}
                columns -= {"gender"} if place.startswith(KNOW_A_GENDER_HEAD) else set()
                assert not texts(path) & columns, f"{place} names a column of audit packs"
            known = imports(path)
            assert "common.faces.groups" not in known or place.startswith(audits[0]), place
            grouped = {"simulations.evidence.grouped", "simulations.evidence.fairness"}
            assert not known & grouped or place.startswith(audits), place


def texts(path: Path) -> set[str]:
    nodes = nodes_of(path)
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def test_no_file_of_ours_is_a_heap_of_helpers() -> None:
    names = {p.name for room in ROOMS for p in sources(room)}
    assert not names & {"utils.py", "helpers.py", "common_functions.py", "misc.py"}


def test_no_room_is_too_large() -> None:
    for room in ROOMS:
        for path in sources(room):
            lines = len(path.read_text("utf-8").splitlines())
            assert lines <= 400, f"{path.relative_to(ROOT)} has {lines} lines"


def test_every_module_says_what_it_is_for() -> None:
    for room in ROOMS:
        for path in sources(room):
            module = nodes_of(path)[0]
            assert isinstance(module, ast.Module)
            assert not module.body or ast.get_docstring(module), f"{path} has no docstring"
