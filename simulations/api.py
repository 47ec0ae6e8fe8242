"""What ``simulations.run`` does: the way of ``mascaron-lab run``, for a program.

Quiet unless a listener is given; a folder is kept only where one is named.
"""

import dataclasses
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from common.config import build, check_keys
from common.errors import RunError
from simulations.laboratory import Given, Laboratory
from simulations.pieces import epsilon_key
from simulations.points import as_lists
from simulations.progress import Told
from simulations.scenario import Scenario, load_scenario
from simulations.table import render

GIVEN = frozenset(entry.name for entry in dataclasses.fields(Given))
KNOWN = sorted(GIVEN.union(entry.name for entry in dataclasses.fields(Scenario)))


@dataclass(frozen=True, eq=False)
class Gain:
    """TAR at FAR 1e-2 over `local`, in points, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Result:
    """A finished run: its summary (schema 1, as in summary.json) and the folder it lies in.

    Where no ``out`` was named, the folder goes when the result does.
    """

    summary: Mapping[str, Any]
    folder: Path

    def gain(self, row: str = "private", epsilon: float = 8.0) -> Gain:
        """What ``row`` gained at ``epsilon``; ``RunError`` where there is no such figure."""
        gains, key = self.summary["gain"], epsilon_key(epsilon)
        if key not in gains.get(row, {}):
            known = ", ".join(f"{name} at {there}" for name, by in gains.items() for there in by)
            raise RunError(f"no gain of {row!r} at epsilon {key}; there are: {known or 'none'}")
        found = gains[row][key]
        if found is None:
            raise RunError("too few pairs of report people for FAR 1e-2: report on more folds")
        return Gain(found["value"], *found["ci95"])

    def table(self) -> Table:
        """All arms side by side, for ``rich.print``."""
        return render(self.summary)


def measure(
    scenario: str | Scenario,
    out: Path | None,
    settings: Mapping[str, Any],
    progress: Callable[[str, int, int], None] | None = None,
) -> Result:
    """Runs ``scenario``; ``settings`` are fields of it or of ``Given``. See ``simulations.run``."""
    check_keys(settings, KNOWN, "run()")
    given = _given(settings)
    base = scenario if isinstance(scenario, Scenario) else load_scenario(str(scenario))
    changes = {key: value for key, value in settings.items() if key not in GIVEN}
    table = {**dataclasses.asdict(base), **changes}
    asked = build(Scenario, as_lists(table), f"scenario {base.name!r}")
    folder = out or Path(tempfile.mkdtemp(prefix="mascaron-"))  # made 0700
    try:
        laboratory = Laboratory(given, given.cache or folder / "features", Told(progress))
        result = Result(laboratory.measure(asked, folder).summary, folder)
    except BaseException:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if out is None:
        weakref.finalize(result, shutil.rmtree, folder, ignore_errors=True)
    return result


def _given(settings: Mapping[str, Any]) -> Given:
    """What belongs to ``Given``, each of its type, as strictly as from a file."""
    told = {key: value for key, value in settings.items() if key in GIVEN}
    paths = {key: str(value) for key, value in told.items() if isinstance(value, Path)}
    return build(Given, {**told, **paths}, "run()")
