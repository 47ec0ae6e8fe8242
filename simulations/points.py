"""What a sweep asks: a TOML file of axes and hand-picked points becomes checked scenarios.

Every mistake names the file and the point that has it, by its values on the axes.
"""

import dataclasses
import itertools
import json
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.config import build, read_toml
from common.errors import ConfigError, ScenarioError
from simulations.scenario import Scenario, load_scenario

SWEEPS = Path(__file__).parent / "sweeps"
MOST_POINTS = 10_000

_HINTS = typing.get_type_hints(Scenario)
_LISTS = {name for name, hint in _HINTS.items() if typing.get_origin(hint) is tuple}


@dataclass(frozen=True, slots=True)
class Point:
    """One scenario of a sweep, and what distinguishes it from the others."""

    axes: Mapping[str, Any]
    scenario: Scenario

    @property
    def label(self) -> str:
        """``people=4, sites=2``, for messages."""
        return label(self.axes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A sweep as its file asks for it. ``text`` is the file."""

    name: str
    points: tuple[Point, ...]
    where_people_suffice: bool
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    """The TOML file: ``[set]`` holds for all points, ``[axes]`` are multiplied out."""

    name: str
    scenario: str
    where_people_suffice: bool = False
    set: Any = field(default_factory=dict)
    axes: Any = field(default_factory=dict)
    point: Any = ()


def load_sweep(name: str) -> Asked:
    """The shipped sweep called ``name``, or the one in the TOML file of that path.

    A scenario that is a path is looked for beside the file first. Raises ``ConfigError`` or
    ``ScenarioError`` naming the first point whose scenario is inconsistent with itself.
    """
    path = Path(name) if name.endswith(".toml") else SWEEPS / f"{name}.toml"
    if name.endswith(".toml") and not path.is_file():
        raise ScenarioError(f"no sweep file {name}")
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SWEEPS.glob("*.toml")))
        raise ScenarioError(f"no sweep {name!r}; there are: {known}, or a file NAME.toml")
    asked = read_toml(path)
    if "sites" in asked:
        raise ScenarioError(f"{path} is a scenario, not a sweep: use `mascaron-lab run`")
    told = build(_File, asked, str(path))
    _check_tables(told, path)
    beside = path.parent / told.scenario
    base = load_scenario(str(beside) if beside.is_file() else told.scenario)
    table = {**_table(base), **told.set}
    found: dict[Scenario, Point] = {}
    for axes in _axes(told):
        scenario = build(Scenario, as_lists({**table, **axes}), f"{path} [point {label(axes)}]")
        found.setdefault(scenario, Point(axes, scenario))
    return Asked(
        name=told.name,
        points=tuple(found.values()),
        where_people_suffice=told.where_people_suffice,
        text=path.read_text("utf-8"),
    )


def label(axes: Mapping[str, Any]) -> str:
    """The values on the axes in one line."""
    return ", ".join(f"{key}={_told(value)}" for key, value in axes.items()) or "without axes"


def _axes(told: _File) -> Iterator[dict[str, Any]]:
    if told.axes:
        for values in itertools.product(*told.axes.values()):
            yield dict(zip(told.axes, values, strict=True))
    yield from map(dict, told.point)


def _check_tables(told: _File, path: Path) -> None:
    for key in ("set", "axes"):
        if not isinstance(getattr(told, key), dict):
            raise ConfigError(f"{path} {key}: expected a table [{key}]")
    if not isinstance(told.point, list | tuple) or any(not isinstance(p, dict) for p in told.point):
        raise ConfigError(f"{path} point: expected tables [[point]]")
    for key, values in told.axes.items():
        if not isinstance(values, list) or not values:
            raise ConfigError(f"{path} [axes] {key}: expected a list of values, got {values!r}")
    if not told.axes and not told.point:
        raise ConfigError(f"{path} has neither [axes] nor a [[point]]")
    points = math.prod(map(len, told.axes.values())) + len(told.point)
    if points > MOST_POINTS:
        raise ScenarioError(f"{path} has {points} points, more than {MOST_POINTS}")


def _table(scenario: Scenario) -> dict[str, Any]:
    """As ``dataclasses.asdict``: what ``build`` makes the same scenario of."""
    return dataclasses.asdict(scenario)


def as_lists(table: dict[str, Any]) -> dict[str, Any]:
    """A single value where the scenario has a list, as ``epsilon = 8.0``, is a list of one."""
    return {
        key: [value] if key in _LISTS and not isinstance(value, list | tuple) else value
        for key, value in table.items()
    }


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
