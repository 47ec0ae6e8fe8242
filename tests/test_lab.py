"""docs/lab.md works: its files are written and its commands run, in the order of the page."""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "lab.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:toml|py))\n")
CODE = re.compile(r"`([^`\n]+)`")
MADE = re.compile(r"(?:my-|runs/)[\w./-]*|[\w-]+\.(?:toml|py)")  # what the page says it makes
SECONDS = 240  # for one command on a busy machine; the whole page takes under 60


@dataclass(frozen=True)
class Block:
    """One fenced block of the page and the line it starts on."""

    kind: str
    text: str
    line: int


def blocks() -> list[Block]:
    page = PAGE.read_text("utf-8")
    return [
        Block(found[1], found[2], 1 + page.count("\n", 0, found.start()))
        for found in FENCE.finditer(page)
    ]


def commands(block: Block) -> list[str]:
    """The lines after ``$``, continued over lines that end in a backslash."""
    joined = block.text.replace("\\\n", " ").splitlines()
    return [" ".join(line[2:].split()) for line in joined if line.startswith("$ ")]


def named(text: str) -> list[str]:
    """The files and folders that ``text`` speaks of as made on this page."""
    return [code for code in CODE.findall(FENCE.sub("", text)) if MADE.fullmatch(code)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder to work in, and the environment of somebody who has installed the project."""
    programs = tmp_path_factory.mktemp("bin")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    for name, target in scripts.items():
        module, function = target.split(":")
        start = f"import sys; sys.path.insert(1, {str(ROOT)!r})"
        (programs / name).write_text(
            f"#!{sys.executable}\n{start}\nfrom {module} import {function}\n{function}()\n", "utf-8"
        )
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', "utf-8")
    for program in programs.iterdir():
        program.chmod(0o755)
    environment = dict(os.environ)
    environment |= {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
    }
    return tmp_path_factory.mktemp("desk"), environment


def test_every_block_of_the_page_works_in_its_order(desk: tuple[Path, dict[str, str]]) -> None:
    folder, environment = desk
    for block in blocks():
        written = FILE.match(block.text)
        if written:
            (folder / written[1]).write_text(block.text, "utf-8")
        for command in commands(block):
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
            )
            told = f"docs/lab.md, line {block.line}: {command}\n{done.stdout}\n{done.stderr}"
            assert done.returncode == 0, told
            for out in re.findall(r"--out (\S+)", command):
                assert (folder / out).exists(), f"{out} was not made by {told}"
    spoken = named(PAGE.read_text("utf-8"))
    assert spoken
    assert not [name for name in spoken if not (folder / name).exists()]


def test_every_block_is_a_file_that_is_used_or_a_command() -> None:
    found = blocks()
    run = [command for block in found for command in commands(block)]
    assert len(run) >= 8
    for block in found:
        assert block.kind in {"console", "toml", "python", "text"}, f"line {block.line}"
        written = FILE.match(block.text)
        if block.kind == "console":
            assert commands(block), f"line {block.line}: no line starts with $"
        elif block.kind != "text":
            assert written, f"line {block.line}: the first line does not name the file"
            stem = Path(written[1]).stem
            used = any(stem in command for command in run)
            used |= any(stem in other.text for other in found if other is not block)
            assert used, f"{written[1]} is never used"


def test_a_command_over_two_lines_is_one_command() -> None:
    block = Block("console", "$ one --a \\\n    --b\nits output\n$ two\n", 1)
    assert commands(block) == ["one --a --b", "two"]


def test_files_the_page_speaks_of_are_recognised() -> None:
    text = "See `runs/mine/report.html`, `my-faces` and `mine.toml`, not `--out` or `report DIR`."
    assert named(text) == ["runs/mine/report.html", "my-faces", "mine.toml"]
