"""A laboratory on the small world: no picture is shot, the rest is what ships.

Run as a program it begins a sweep, stops dead in the middle of a point, and waits to be killed.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from common.faces.faceset import FaceSet
from common.models.tail import Tail
from simulations import laboratory as room
from simulations.laboratory import Given, Laboratory
from simulations.material import Material
from simulations.points import load_sweep
from simulations.scenario import Invented
from simulations.sweep import Sweep
from tests.small_world import DIM, EMBEDDING, PICTURES, small_world

PEOPLE = 60
BASE = """name = "base"
sites = 3
seeds = 1
draws = 50
public_steps = 2
panel = 2
upper_bound = false
own_tuning = false
"""
SWEEP = """name = "little"
scenario = "base.toml"
[set]
epsilon = 8
[axes]
sites = [2, 3]
report_pictures = [3, 4]
"""


class Blank:
    """As many pictures as the small world has, none of which can be looked at."""

    def __init__(self, people: int, name: str) -> None:
        self.people, self.name = people, name

    def __len__(self) -> int:
        return self.people * PICTURES

    def digest(self) -> str:
        return self.name

    def crop(self, index: int) -> Any:
        raise AssertionError("a picture was shot")

    def take(self, indices: Any) -> Any:
        raise AssertionError("pictures were chosen")


@dataclass(frozen=True, kw_only=True)
class SmallGiven(Given):
    """The labels of the small world; ``seen`` is another digest for other faces."""

    train_folds: str = "1-3"
    choose_folds: str = "4"
    report_folds: str = "5-6"
    seen: str = "faces"

    def load_faces(self, invented: Invented, progress: object) -> tuple[FaceSet, int]:
        faces = blank(PEOPLE, self.seen)
        return faces, 0

    def load_public(self, invented: Invented, progress: object) -> tuple[FaceSet, int]:
        return blank(PEOPLE, "public"), 0

    def load_trunk(self) -> tuple[Any, Tail]:
        weight = np.zeros((EMBEDDING, DIM), np.float32)
        return SimpleNamespace(hash="0" * 64), Tail(weight, np.zeros(EMBEDDING, np.float32))


class Listener:
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.started: list[str] = []

    def start(self, what: str, total: int) -> Callable[[int], None]:
        self.started.append(what)
        return lambda steps: None

    def say(self, text: str) -> None:
        self.said.append(text)

    @contextmanager
    def inside(self) -> Iterator[None]:
        yield


def blank(people: int, name: str) -> FaceSet:
    person = np.repeat(np.arange(people), PICTURES)
    return FaceSet(
        source=Blank(people, name),
        person=person,
        names=tuple(map(str, range(people))),
        fold=(1 + person % 6).astype(np.int8),
    )


def prepared(*_: Any) -> Material:
    """In place of ``prepare``: the four cameras of the small world."""
    return small_world(PEOPLE, cameras=4)


def small_laboratory(folder: Path, listener: Any = None, **given: Any) -> Laboratory:
    return Laboratory(SmallGiven(**given), folder / "features", listener or Listener())


def write_sweep(folder: Path, text: str = SWEEP) -> str:
    """The path of the sweep ``text`` in ``folder``, with its scenario beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.toml").write_text(BASE, "utf-8")
    (folder / "sweep.toml").write_text(text, "utf-8")
    return str(folder / "sweep.toml")


class Stuck(Listener):
    """Says so in a file in the middle of the third point, and never goes on."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        self.mark = mark

    def start(self, what: str, total: int) -> Callable[[int], None]:
        self.started.append(what)
        steps = 0

        def step(count: int) -> None:
            nonlocal steps
            steps += count
            if self.started.count("arms") == 3 and steps == 4:
                self.mark.touch()
                time.sleep(600)

        return step


if __name__ == "__main__":
    sweep, out, mark = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    setattr(room, "prepare", prepared)  # noqa: B010
    laboratory = small_laboratory(out, Stuck(mark))
    Sweep(asked=load_sweep(sweep), laboratory=laboratory, folder=out).everything()
