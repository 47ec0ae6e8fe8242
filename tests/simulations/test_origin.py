"""A run folder says where it came from, when it began, and whether it ended."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.errors import RunError
from simulations.origin import ORIGIN, Origin, read_origin


def at(hour: int) -> Origin:
    return Origin(
        command="mascaron-lab run fleet", clock=lambda: datetime(2026, 1, 2, hour, tzinfo=UTC)
    )


def test_a_run_that_was_interrupted_keeps_its_first_date(tmp_path: Path) -> None:
    at(9).begin(tmp_path, {"scenario": "fleet"})
    begun = read_origin(tmp_path)
    assert begun is not None
    assert begun["finished"] is None
    assert begun["scenario"] == "fleet"
    assert begun["command"] == "mascaron-lab run fleet"
    assert {"python", "torch", "numpy"} <= set(begun["versions"])
    at(10).begin(tmp_path, {"scenario": "fleet"})
    at(11).end(tmp_path)
    ended = read_origin(tmp_path)
    assert ended is not None
    assert (ended["started"], ended["finished"]) == (
        "2026-01-02T09:00:00+00:00",
        "2026-01-02T11:00:00+00:00",
    )


def test_a_folder_that_says_nothing_has_no_origin(tmp_path: Path) -> None:
    assert read_origin(tmp_path) is None


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_broken_origin_is_told_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ORIGIN).write_bytes(content)
    with pytest.raises(RunError, match="remove it to go on"):
        read_origin(tmp_path)
