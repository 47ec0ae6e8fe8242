"""How a run folder came about: the command, the versions, the settings, when, and whether it ended.

Kept beside the summary and not in it: the same run gives the same summary, byte for byte, at
whatever hour and on whatever machine it is repeated.
"""

import json
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from common.errors import RunError
from simulations.pieces import write_json

ORIGIN = "origin.json"
PACKAGES = ("mascaron", "torch", "flwr", "opacus", "numpy")  # whose versions may move a figure

_PLAIN = {"judges": "faces", "turns": "folds"}


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """The command line that a run folder comes from, and the clock it is dated by."""

    command: str
    clock: Callable[[], datetime] = now

    @classmethod
    def of_process(cls) -> "Origin":
        """The command line of this process."""
        program = Path(sys.argv[0]).name or "python"
        return cls(command=shlex.join([program, *sys.argv[1:]]))

    def begin(self, folder: Path, told: Mapping[str, Any]) -> None:
        """Notes that a run began; a folder that was begun before keeps its first date."""
        earlier = read_origin(folder) or {}
        said = {
            "schema": 1,
            "command": self.command,
            "started": earlier.get("started") or self._time(),
            "finished": None,
            "versions": versions(),
        }
        write_json(said | dict(told), folder / ORIGIN)

    def end(self, folder: Path) -> None:
        """Notes that the run in ``folder`` measured all that was asked."""
        said = read_origin(folder) or {}
        write_json(said | {"finished": self._time()}, folder / ORIGIN)

    def _time(self) -> str:
        return self.clock().isoformat(timespec="seconds")


def read_origin(folder: Path) -> dict[str, Any] | None:
    """What ``folder`` says of itself, or None where it says nothing; ``RunError`` if broken."""
    path = folder / ORIGIN
    if not path.is_file():
        return None
    try:
        said = json.loads(path.read_text("utf-8"))
        if not isinstance(said, dict):
            raise ValueError("not a table")
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"cannot read {path}: {error}; remove it to go on without it") from error
    return said


def check_same(folder: Path, asked: Mapping[str, Any]) -> None:
    """Raises ``RunError`` naming what ``folder`` was asked otherwise, of what both say."""
    said = read_origin(folder) or {}
    for key, value in json.loads(json.dumps(asked)).items():
        difference = _difference(key, said[key], value) if key in said else None
        if difference:
            raise RunError(
                f"{folder} holds pieces of another run ({difference}); "
                "choose another folder with --out"
            )


def _difference(key: str, said: Any, asked: Any) -> str | None:
    if not (isinstance(said, dict) and isinstance(asked, dict)):
        return None if said == asked else f"other {_PLAIN.get(key, key)}"
    for name, value in asked.items():
        if name not in said:
            return f"{name} was no setting then"
        if said[name] != value:
            return f"{name} was {said[name]!r}, not {value!r}"
    return None


def versions() -> dict[str, str]:
    """Of Python and of the packages that are installed."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
