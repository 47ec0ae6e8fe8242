"""How a run is getting on, as files that any command can read: where it stands, what rounds were.

Leaks: names of sites, reasons of refusal, bytes and seconds; nothing of a person.
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from common.config import build
from common.errors import ConfigError, MascaronError, RunError
from common.trust.storing import read, replace
from server.checkpoint import read_history

PROGRESS, ROUNDS, LOCK = "progress.json", "rounds.jsonl", "lock"

State = Literal["waiting", "running", "paused", "done", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a run stands. ``attempt`` grows with every start, ``updated`` is in seconds since 1970.

    ``message`` says what it waits for or why it stopped, and what to do.
    """

    run: str
    plan: str  # digest
    state: State
    round: int  # done
    rounds: int  # of the plan
    attempt: int
    updated: float
    sites: tuple[str, ...] = ()  # that accepted, or answered last
    message: str = ""
    reason: str = ""  # stable, where it paused or failed
    wait: float = 0.0  # seconds that it looks for sites that are missing

    @property
    def over(self) -> bool:
        """Whether nothing happens any more without somebody who starts it again."""
        return self.state in ("paused", "done", "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundNote:
    """What one round was: who answered, who did not and why, how long, how many array bytes."""

    round: int
    mechanism: str
    answered: tuple[str, ...]
    refused: dict[str, str]  # site or node: reason
    seconds: float
    sent: int
    received: int
    attempt: int
    phases: tuple[dict[str, Any], ...] = ()  # of secure sums: each wave, its seconds and errors


def write_progress(folder: Path, progress: Progress) -> None:
    """Replaces the progress in ``folder`` atomically."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace(folder / PROGRESS, (json.dumps(dataclasses.asdict(progress)) + "\n").encode())


def read_progress(folder: Path) -> Progress | None:
    """The progress in ``folder``, or None; ``RunError`` if it cannot be understood."""
    content = read(folder / PROGRESS)
    if content is None:
        return None
    try:
        return build(Progress, json.loads(content), PROGRESS)
    except (ConfigError, ValueError, AttributeError, TypeError) as error:
        raise RunError(
            f"cannot read {folder / PROGRESS} ({type(error).__name__}): remove it; the checkpoint "
            "holds the run"
        ) from None


def note_failure(folder: Path, run: str, error: MascaronError, now: float) -> None:
    """Says that ``run`` could not even begin, so that whoever follows it need not wait."""
    before = read_progress(folder)
    failed = Progress(
        run=run,
        plan=before.plan if before else "",
        state="failed",
        round=before.round if before else 0,
        rounds=before.rounds if before else 0,
        attempt=1 + (before.attempt if before else 0),
        updated=now,
        message=str(error),
        reason=error.reason,
    )
    write_progress(folder, failed)


def note_round(folder: Path, note: RoundNote) -> None:
    """Adds ``note`` to the rounds in ``folder``."""
    with (folder / ROUNDS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(note)) + "\n")


def read_rounds(folder: Path) -> list[dict[str, Any]]:
    """Every round that is done, in order, with what was noted of it.

    The checkpoint says which are done; a round whose note a crash took has the checkpoint's facts.
    """
    notes = {note["round"]: note for note in _notes(folder / ROUNDS)}
    return [{**entry, **notes.get(entry["round"], {})} for entry in read_history(folder)]


def _notes(path: Path) -> Iterator[dict[str, Any]]:
    """What was noted; a line that a crash tore is left out."""
    for line in (read(path) or b"").splitlines():
        try:
            note = json.loads(line)
            if isinstance(note["round"], int):
                yield note
        except (ValueError, KeyError, TypeError):
            continue
