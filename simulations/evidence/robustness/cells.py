"""What was measured stays measured: one line of a journal for every cell of a report.

A cell is named by what is in it, and keyed by the digest of that and of everything it was taken of;
so a report goes on where it was cut off, and another model's cells are never taken for this one's.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simulations.evidence.robustness.plan import digest
from simulations.journal import Journal, opened

JOURNAL = "attack.jsonl"
Outcomes = str  # one character a row: 1 where the attacker got there


@dataclass(eq=False)
class Cells:
    """Cells of one report; ``about`` says of what, ``seconds`` how long all of them have taken."""

    about: Any
    journal: Journal | None = None
    seconds: float = 0.0
    known: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for line in self.journal.lines if self.journal else []:
            self.known[str(line["key"])] = line

    def of(self, name: str, measure: Callable[[torch.Generator], Any], chance: str = "") -> Any:
        """The value of the cell ``name``: from the journal, or measured now.

        What is drawn depends on ``chance`` (by default the name) and the seed in ``about`` only,
        not on what was measured before.
        """
        key = digest([self.about, name])
        if key not in self.known:
            seed = int(digest([self.about["seed"], chance or name])[:12], 16)
            began, worked = time.monotonic(), time.process_time()
            value = measure(torch.Generator().manual_seed(seed))
            line = {
                "schema": 1,
                "key": key,
                "status": "done",
                "cell": name,
                "value": value,
                "seconds": round(time.monotonic() - began, 3),
                "cpu": round(time.process_time() - worked, 3),
            }
            if self.journal is not None:
                self.journal.append(line)
            self.known[key] = line
        self.seconds += float(self.known[key]["seconds"])
        return self.known[key]["value"]


@contextmanager
def cells(about: Any, folder: Path | None) -> Iterator[Cells]:
    """Cells about ``about``, kept in ``folder`` if one is given."""
    if folder is None:
        yield Cells(about)
        return
    with opened(folder / JOURNAL) as journal:
        yield Cells(about, journal)


def packed(fooled: torch.Tensor | np.ndarray[Any, Any]) -> Outcomes:
    """(n,) bool as text."""
    return "".join("1" if one else "0" for one in np.asarray(fooled).tolist())


def unpacked(text: Outcomes) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """The (n,) bool that ``packed`` made."""
    return np.array([one == "1" for one in text], np.bool_)
