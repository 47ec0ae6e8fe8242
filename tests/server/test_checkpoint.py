"""A checkpoint is the old state or the new one, whatever stops the writer."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from common.errors import RunError
from server.checkpoint import CHECKPOINT, RunState, read_checkpoint, write_checkpoint


def state(number: int) -> RunState:
    pools = {"low light/grey": {"tail.weight": np.full((2, 3), number, np.float32)}, "": {"x": ONE}}
    return RunState(round=number, pools=pools, history=[{"round": number}], plan="p")


ONE = np.ones(1, np.float32)


def test_state_comes_back_whatever_the_pools_are_called(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "new", state(3))
    read = read_checkpoint(tmp_path / "new", "p")
    assert read is not None
    assert (read.round, read.history, read.plan) == (3, [{"round": 3}], "p")
    assert set(read.pools) == {"low light/grey", ""}
    np.testing.assert_array_equal(read.pools["low light/grey"]["tail.weight"], np.full((2, 3), 3))


def test_no_checkpoint_is_no_state(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path, "p") is None


@pytest.mark.parametrize("where", ["fsync", "replace", "half"])
def test_crash_while_writing_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    write_checkpoint(tmp_path, state(1))

    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if where == "fsync":
            patch.setattr(os, "fsync", crash)
        elif where == "replace":
            patch.setattr(Path, "replace", crash)
        if where == "half":
            (tmp_path / (CHECKPOINT + ".partial")).write_bytes(b"half")
        else:
            with pytest.raises(KeyboardInterrupt):
                write_checkpoint(tmp_path, state(2))
    old = read_checkpoint(tmp_path, "p")
    assert old is not None
    assert old.round == 1
    write_checkpoint(tmp_path, state(2))
    new = read_checkpoint(tmp_path, "p")
    assert new is not None
    assert new.round == 2
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_state_of_another_plan_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, state(1))
    with pytest.raises(RunError, match="another plan"):
        read_checkpoint(tmp_path, "q")


@pytest.mark.parametrize("size", [0, 7, 40, -1])
def test_damaged_checkpoint_is_refused_by_name(tmp_path: Path, size: int) -> None:
    write_checkpoint(tmp_path, state(1))
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(RunError, match=CHECKPOINT):
        read_checkpoint(tmp_path, "p")


@pytest.mark.parametrize(
    "facts",
    [
        "[]",
        "x",
        "{}",
        json.dumps({"round": "3", "history": [], "plan": "p"}),
        json.dumps({"round": -1, "history": [], "plan": "p"}),
        json.dumps({"round": True, "history": [], "plan": "p"}),
        json.dumps({"round": 1, "history": {}, "plan": "p"}),
    ],
)
def test_checkpoint_with_other_contents_is_refused(tmp_path: Path, facts: str) -> None:
    save_file({"a/b": ONE}, tmp_path / CHECKPOINT, metadata={"state": facts})
    with pytest.raises(RunError, match=CHECKPOINT):
        read_checkpoint(tmp_path, "p")


def test_checkpoint_without_state_or_pool_is_refused(tmp_path: Path) -> None:
    save_file({"a/b": ONE}, tmp_path / CHECKPOINT)
    with pytest.raises(RunError, match=CHECKPOINT):
        read_checkpoint(tmp_path, "p")
    good = json.dumps({"round": 1, "history": [], "plan": "p"})
    save_file({"nopool": ONE}, tmp_path / CHECKPOINT, metadata={"state": good})
    with pytest.raises(RunError, match=CHECKPOINT):
        read_checkpoint(tmp_path, "p")
