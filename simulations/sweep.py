"""A sweep: many scenarios on the same faces, all checked first, each measured once.

The folder holds ``sweep.toml`` (what was asked), ``sweep.jsonl`` (a line for every settled point)
and ``points/<key>`` (a run folder for each). A point is known by a digest of its scenario, faces,
trunk, folds and entropy, so that values may be added to the axes later and nothing is mixed.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from common.errors import ConfigError, MascaronError, RunError, ScenarioError
from common.outputs import check_folder
from common.wire import digest
from simulations.journal import JOURNAL, Journal, Line, opened, read_lines
from simulations.laboratory import Laboratory, features_key
from simulations.pieces import PIECES, write_whole
from simulations.points import Asked, Point, label

SWEEP, POINTS = "sweep.toml", "points"
KEY = 16  # hexadecimal digits
ROW = ("name", "epsilon", "tar_at_far", "ci95")  # what a line tells of a row


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """A point that was checked: its key, and how many people each site has, or what it lacks."""

    point: Point
    key: str
    people: tuple[int, ...] = ()
    lacks: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What is ``asked``, measured in ``laboratory`` into ``folder``. ``clock`` is in seconds."""

    asked: Asked
    laboratory: Laboratory
    folder: Path
    clock: Callable[[], float] = time.monotonic

    def checked(self) -> list[Ready]:
        """All points, those that need the same features side by side.

        Raises ``ScenarioError`` or ``ConfigError`` naming the first point that cannot be measured.
        A point without people enough is one, unless the sweep runs where people suffice.
        """
        first: dict[str, int] = {}
        for point in self.asked.points:
            first.setdefault(features_key(point.scenario), len(first))
        points = sorted(self.asked.points, key=lambda p: first[features_key(p.scenario)])
        return [self._ready(point) for point in points]

    def everything(self) -> list[Line]:
        """Settles whatever is missing and returns the lines of all points."""
        self._check_folder()
        ready = self.checked()
        keys = {one.key for one in ready}
        with opened(self.folder / JOURNAL) as journal:
            self._refuse(line for line in journal.lines if line["key"] not in keys)
            write_whole(self.folder / SWEEP, self.asked.text.encode())
            if journal.repaired:
                self.laboratory.reporter.say("a half-written line was dropped; measuring it again")
            self._settle(ready, journal)
            return list(journal.lines)

    def _settle(self, ready: list[Ready], journal: Journal) -> None:
        known = {line["key"] for line in journal.lines}
        left = [one for one in ready if one.key not in known]
        if len(left) < len(ready):
            self.laboratory.reporter.say(
                f"settled already: {len(ready) - len(left)} of {len(ready)} points"
            )
        begun, step = self.clock(), self.laboratory.reporter.start("points", len(left))
        for number, one in enumerate(left):
            remaining = _remaining(self.clock() - begun, number, len(left))
            place = f"point {number + 1} of {len(left)}"
            self.laboratory.reporter.say(f"{place}: {one.point.label}{remaining}")
            journal.append(self._skipped(one) if one.lacks else self._measured(one))
            step(1)

    def _ready(self, point: Point) -> Ready:
        try:
            self.laboratory.check(point.scenario)
            key = self._key(point)
            try:
                people = self.laboratory.sites(point.scenario)
            except ScenarioError as error:
                if not self.asked.where_people_suffice:
                    raise
                return Ready(point=point, key=key, lacks=str(error))
        except ConfigError as error:
            told = f"sweep {self.asked.name!r}, point {point.label}: {error}"
            raise type(error)(told) from error
        return Ready(point=point, key=key, people=tuple(people))

    def _key(self, point: Point) -> str:
        return digest(self.laboratory.identity(point.scenario), repr(dict(point.axes)))[:KEY]

    def _check_folder(self) -> None:
        """What can be said of the folder before faces are read or invented."""
        check_folder(self.folder, foreign={PIECES: "a run"})
        check_folder(self.laboratory.cache, "--cache")
        asked = {_told(dict(point.axes)) for point in self.asked.points}
        settled = read_lines(self.folder / JOURNAL)
        self._refuse(line for line in settled if _told(line["point"]) not in asked)

    def _refuse(self, others: Iterable[Line]) -> None:
        """Every settled point must be one of this sweep; ``others`` are those that are not."""
        for line in others:
            raise RunError(
                f"{self.folder} holds the point {label(line['point'])} of another sweep: other "
                "settings, faces, folds or trunk, or a value that the axes have lost; "
                "choose another folder with --out"
            )

    def _measured(self, one: Ready) -> Line:
        folder = self.folder / POINTS / one.key
        try:
            with self.laboratory.reporter.inside():
                summary = self.laboratory.measure(one.point.scenario, folder).summary
        except MascaronError as error:
            raise type(error)(f"point {one.point.label}: {error}") from error
        rows = [{key: row[key] for key in ROW} for row in summary["rows"]]
        line = self._line(one, "done") | {
            "seeds": summary["seeds"],
            "folds": summary["folds"],
            "rows": rows,
            "gain": summary["gain"],
            "people": median(one.people),
            "sites": len(one.people),
        }
        return line | {key: summary[key] for key in ("bytes",) if key in summary}

    def _skipped(self, one: Ready) -> Line:
        return self._line(one, "skipped") | {"reason": one.lacks}

    def _line(self, one: Ready, status: str) -> dict[str, Any]:
        return {
            "schema": 1,
            "key": one.key,
            "point": dict(one.point.axes),
            "status": status,
            "scenario": one.point.scenario.name,
        }


def _told(axes: Any) -> str:
    """The same for a point and for what a line of the journal says of it."""
    return json.dumps(axes, sort_keys=True)


def _remaining(elapsed: float, done: int, total: int) -> str:
    """How long the rest takes if it goes on like this; nothing where nothing is known yet."""
    if not done:
        return ""
    minutes = elapsed / done * (total - done) / 60
    return f" (about {minutes:.0f} min left)" if minutes >= 1 else " (less than a minute left)"
