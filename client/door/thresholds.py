"""What a site's own people and public ones taught it of scores, for one release: where to decide.

A score becomes one of three bands, at two thresholds. Thresholds, rates and counts are about the
people who were compared, so all of it stays in the agent's folder.
"""

import json
import math
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from common.errors import ConfigError, NotReadyError
from common.trust import storing

SCHEMA = 1


class Band(StrEnum):
    """All that an answer ever tells of a score; there are three, whatever the calibration."""

    MATCH = "match"
    NEAR = "near"
    NO = "no"


@dataclass(frozen=True, kw_only=True, repr=False, slots=True)
class Levels:
    """Two thresholds, and what was shown of the upper one.

    ``rate`` was asked for (FMR of a verification, FPIR of a search). ``bound`` is the upper 95 %
    bound on it that ``people`` in ``comparisons`` show; ``own_bound`` what the site's own people
    show by themselves, which is above ``rate`` where they are too few.
    """

    match: float
    near: float
    rate: float
    bound: float
    own_bound: float
    comparisons: int
    people: int

    def __post_init__(self) -> None:
        rates = (self.rate, self.bound, self.own_bound)
        if not self.near <= self.match or not all(0 <= rate <= 1 for rate in rates):
            raise ConfigError("a calibration is inconsistent: calibrate again")

    def decide(self, score: float) -> Band:
        """The band of a score, compared as float32; what is not a number is no match."""
        value = np.float32(score)
        if value >= np.float32(self.match):
            return Band.MATCH
        return Band.NEAR if value >= np.float32(self.near) else Band.NO


@dataclass(frozen=True, kw_only=True, repr=False, slots=True)
class Calibration:
    """The levels of one ``release`` (hash of its tail) of one ``trunk``.

    Guarantee: nothing of it has a way out: its text form names the release alone, it cannot be
    pickled, errors about it hold no number, and its file is the agent's (0600).
    Leaks: to whoever reads that file, how alike the most similar people of the site are.

    ``search`` is None where no FPIR was asked for. ``gallery`` people were enrolled at ``made``
    (seconds), and ``faces`` is the digest of all features compared: another digest, another
    calibration. ``measure`` names how they were compared; "" is by the best cosine.
    """

    release: str
    trunk: str
    verify: Levels
    search: Levels | None
    gallery: int
    made: float
    faces: str
    measure: str = ""

    def decide(self, score: float) -> Band:
        """The answer to "is this who they claim to be?"."""
        return self.verify.decide(score)

    def decide_search(self, score: float) -> Band:
        """The answer to "is this anybody enrolled?", by the best score of the gallery.

        Raises ``NotReadyError`` where searching was not calibrated.
        """
        if self.search is None:
            raise NotReadyError("searching is not calibrated: run calibrate with a rate for it")
        return self.search.decide(score)

    def outgrown(self, gallery: int) -> bool:
        """Whether ``gallery`` people are so many that the rate of searches may be broken.

        FPIR grows at most as fast as the gallery, so this is where bound x growth passes the rate.
        """
        if self.search is None or gallery <= self.gallery:
            return False
        return self.search.bound * gallery / self.gallery > self.search.rate

    def store(self, path: Path) -> None:
        """Replaces the file at ``path``; ``DeploymentError`` if that cannot be done."""
        storing.replace(path, self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> "Calibration | None":
        """What ``store`` kept, to the bit; None if nothing is there.

        Raises ``ConfigError``, which quotes nothing of it, for a file that is not a calibration.
        """
        content = storing.read(path)
        return None if content is None else cls.from_bytes(content, str(path))

    def to_bytes(self) -> bytes:
        """What ``store`` keeps: the same calibration, the same bytes."""
        table = {"schema": SCHEMA, **asdict(self)}
        if not self.measure:
            del table["measure"]  # as it always was
        return json.dumps(table, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> "Calibration":
        """What ``to_bytes`` made; raises as ``load``, and ``where`` is what the error names."""
        try:
            return cls._of(json.loads(content))
        except (ValueError, TypeError, KeyError, AttributeError, ConfigError, RecursionError):
            raise ConfigError(f"{where} is not a calibration: calibrate again") from None

    @classmethod
    def _of(cls, table: dict[str, Any]) -> "Calibration":
        if table.pop("schema") != SCHEMA:
            raise ValueError("another schema")
        verify, search = table.pop("verify"), table.pop("search")
        _check(cls, {"measure": "", **table}, "release trunk gallery made faces measure")
        found = None if search is None else _levels(search)
        return cls(verify=_levels(verify), search=found, **table)

    def __repr__(self) -> str:
        return f"Calibration(release {self.release[:12]})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a calibration stays where it was made")


def _levels(table: dict[str, Any]) -> Levels:
    _check(Levels, table, " ".join(field.name for field in fields(Levels)))
    return Levels(**table)


def _check(schema: type[Any], table: dict[str, Any], names: str) -> None:
    """Raises ``ValueError`` unless ``table`` holds just ``names``, each of its type and finite."""
    types = {field.name: field.type for field in fields(schema)}
    if sorted(table) != sorted(names.split()):
        raise ValueError("other names")
    for name, value in table.items():
        whole = types[name] is float and type(value) is int
        if type(value) is not types[name] and not whole:
            raise ValueError("another type")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("not finite")
