"""The documents name what there is: every command, every room, and no page that is not there."""

import dataclasses
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from client.door.rules import DoorRules
from client.policy import AutoAccept, ReleasePolicy, SitePolicy

ROOT = Path(__file__).parents[1]
README, ARCHITECTURE = ROOT / "README.md", ROOT / "docs" / "architecture.md"
PACKAGES = ("client", "common", "protos", "server", "simulations")
PROGRAMS = {
    "mascaron-site": "client.cli",
    "mascaron-admin": "server.cli",
    "mascaron-lab": "simulations.cli",
}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def documents() -> list[Path]:
    return [path for path in (README, *sorted((ROOT / "docs").rglob("*.md"))) if path.is_file()]


def written() -> str:
    return "\n".join(path.read_text("utf-8") for path in documents())


def commands() -> Iterator[str]:
    """``mascaron-lab run`` and all the others, walked through their groups."""

    def walk(command: click.Command, name: str) -> Iterator[str]:
        if isinstance(command, click.Group):
            for part, inner in sorted(command.commands.items()):
                yield from walk(inner, f"{name} {part}")
        else:
            yield name

    for program, module in PROGRAMS.items():
        yield from walk(importlib.import_module(module).main, program)


def rooms() -> list[str]:
    """Every folder with code: ``common/faces``, ``client/privacy`` and so on."""
    folders = {
        path.parent.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.stat().st_size and "__pycache__" not in path.parts
    }
    return sorted(folders)


def modules() -> list[str]:
    return sorted(
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py" and "gen" not in path.parts
    )


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_is_written_about(command: str) -> None:
    assert command in written(), f"no document mentions `{command}`"


@pytest.mark.parametrize("settings", [SitePolicy, AutoAccept, ReleasePolicy, DoorRules])
def test_every_key_of_a_sites_settings_is_written_about(settings: type) -> None:
    text = (ROOT / "docs" / "site.md").read_text("utf-8")
    keys = [field.name for field in dataclasses.fields(settings)]
    missing = [
        key for key in keys if not re.search(rf"`{key}`|\b{key} = |`\[(\w+\.)?{key}\]`", text)
    ]
    assert not missing, f"docs/site.md does not say what {missing} are for"


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    targets = [link.partition("#")[0] for link in LINK.findall(path.read_text("utf-8"))]
    local = [t for t in targets if t and "://" not in t and not t.startswith("mailto:")]
    missing = [target for target in local if not (path.parent / target).exists()]
    assert not missing, f"{path.name} links to {missing}"


@pytest.mark.parametrize("room", rooms())
def test_every_room_is_in_the_architecture(room: str) -> None:
    text = ARCHITECTURE.read_text("utf-8")
    package, _, inner = room.partition("/")
    assert f"{package}/" in text, f"docs/architecture.md does not mention {package}/"
    for part in filter(None, inner.split("/")):
        assert f"{part}/" in text, f"docs/architecture.md does not mention {room}/"


def test_every_module_is_in_the_architecture_by_name_or_folder() -> None:
    text = ARCHITECTURE.read_text("utf-8")
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text))
    lost = [m for m in modules() if Path(m).stem not in words and Path(m).parent.name not in words]
    assert not lost, f"docs/architecture.md leads nobody to {lost}"


def test_readmes_test_command_is_what_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    run = [line.strip() for line in script.splitlines() if line.strip()][-1]
    shown = re.search(rf"^{re.escape(run)}(\s+#.*)?$", README.read_text("utf-8"), re.MULTILINE)
    assert shown, f"README does not show `{run}` on a line of its own"


def test_readme_shows_the_two_commands_of_a_fresh_machine() -> None:
    text, makefile = README.read_text("utf-8"), (ROOT / "Makefile").read_text("utf-8")
    for target in ("demo", "test"):
        assert f"make {target}" in text
    for target in re.findall(r"`make ([a-z-]+)`", written()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"no `make {target}`"
