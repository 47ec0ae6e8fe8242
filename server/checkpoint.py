"""Checkpoints: the whole state of a run after every round, so that it can go on after any stop.

Every checkpoint is one safetensors file written beside its final name, flushed to the disk and
renamed: a reader sees the old state or the new one, never half of one.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import RunError

CHECKPOINT = "checkpoint.safetensors"
SEPARATOR = "/"  # between a pool and an array name in the file

PoolArrays = dict[str, NDArray[Any]]


@dataclass(slots=True)
class RunState:
    """Where a run stands: rounds done, and for every pool of sites its shared arrays."""

    round: int = 0
    pools: dict[str, PoolArrays] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    plan: str = ""  # digest of the plan the state belongs to
    strategy: str = ""  # canonical JSON of the choice it was made with; empty: nobody has said


def write_checkpoint(folder: Path, state: RunState) -> None:
    """Replaces the checkpoint in ``folder`` atomically; on disk when it returns."""
    from safetensors.numpy import save

    tensors = {
        f"{pool}{SEPARATOR}{name}": np.ascontiguousarray(array)
        for pool, arrays in state.pools.items()
        for name, array in arrays.items()
    }
    facts = {key: getattr(state, key) for key in ("round", "history", "plan", "strategy")}
    content = save(tensors, metadata={"state": json.dumps(facts)})
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / (CHECKPOINT + ".partial")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / CHECKPOINT)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the rename too
    finally:
        os.close(descriptor)


def read_checkpoint(folder: Path, plan: str) -> RunState | None:
    """The last state in ``folder``, or None; ``RunError`` if it belongs to another plan."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    state = _load(path)
    if state.plan != plan:
        raise RunError(f"{path} belongs to another plan; choose another folder or do not resume")
    return state


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The rounds that are done in ``folder``, in order; ``RunError`` if it cannot be read."""
    path = folder / CHECKPOINT
    return _load(path).history if path.exists() else []


def read_round(folder: Path) -> int:
    """How many rounds are done in ``folder``; ``RunError`` if it cannot be read."""
    path = folder / CHECKPOINT
    return _load(path).round if path.exists() else 0


def _load(path: Path) -> RunState:
    from safetensors import SafetensorError, safe_open

    pools: dict[str, PoolArrays] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads(file.metadata()["state"])
            for key in file.keys():  # noqa: SIM118 (not a dict)
                pool, name = key.rsplit(SEPARATOR, 1)
                pools.setdefault(pool, {})[name] = file.get_tensor(key)
        state = RunState(facts["round"], pools, facts["history"], facts["plan"])
        state.strategy = str(facts.get("strategy", ""))
        if type(state.round) is not int or state.round < 0 or not isinstance(state.history, list):
            raise ValueError("not the state of a run")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"cannot read {path}: {type(error).__name__}") from error
    return state
