"""Whatever stops a write, the file there is the old one or the new one."""

import os
import stat
from pathlib import Path

import pytest

from common.errors import DeploymentError
from common.trust import storing


def test_a_file_is_replaced_whole_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "file"
    storing.replace(path, b"old")
    storing.replace(path, b"new")
    assert storing.read(path) == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_public_file_can_be_read_by_all(tmp_path: Path) -> None:
    storing.replace(tmp_path / "file", b"new", storing.PUBLIC)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


@pytest.mark.parametrize("step", ["fchmod", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    storing.replace(path, b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    owner = Path if step == "replace" else os
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, full)
        with pytest.raises(DeploymentError, match="No space left on device; free space"):
            storing.replace(path, b"new")
    assert storing.read(path) == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_is_not_there_is_none_and_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert storing.read(tmp_path / "nothing") is None
    with pytest.raises(DeploymentError, match="cannot read"):
        storing.read(tmp_path)
    with pytest.raises(DeploymentError, match="cannot write"):
        storing.replace(tmp_path / "no folder" / "file", b"")
