"""Whatever write fails, and whenever the process is killed: what was answered is in the log."""

import contextlib
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from client.audit.log import SIX_MONTHS, AuditLog
from common.errors import AuditError, DeploymentError, MascaronError
from tests.dying_disk import DyingDisk
from tests.killing import killed
from tests.small_audit import NOW, event, filled, place

LIFE = 12  # rows that one life may append


def lay(folder: Path, held: dict[str, bytes]) -> None:
    for path in list(folder.iterdir()):
        path.unlink()
    for name, raw in held.items():
        (folder / name).write_bytes(raw)


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("rows", [0, 3], ids=["new", "with rows"])
def test_any_write_that_fails_loses_no_row_that_was_acknowledged(
    quick_path: Path, rows: int, for_good: bool
) -> None:
    path = quick_path / "audit.db"
    if rows:
        filled(path, range(1, rows + 1))
    held = {file.name: file.read_bytes() for file in quick_path.iterdir()}
    fatal, whole = 0, False
    while not whole:
        fatal += 1
        lay(quick_path, held)
        disk, sure = DyingDisk(fatal, for_good=for_good), rows
        with contextlib.suppress(AuditError, DeploymentError), AuditLog(place(path, disk)) as log:
            for n in range(rows + 1, rows + 3):
                log.append(event(n))
                sure = n
        whole = disk.count < fatal
        with AuditLog(place(path)) as log:
            found = [entry.event for entry in log.entries()]
            assert found == [event(n) for n in range(1, len(found) + 1)]
            assert len(found) in (sure, sure + 1), f"write {fatal}"
            assert log.append(event(99)) == len(found) + 1
    assert sure == rows + 2 and fatal > 20, "the last one ran through"


def test_a_log_that_could_not_be_written_takes_nothing_more(quick_path: Path) -> None:
    path = quick_path / "audit.db"
    filled(path, range(1, 4))
    probe = DyingDisk(10**9, for_good=False)
    AuditLog(place(path, probe)).close()
    disk = DyingDisk(probe.count + 1, for_good=False)
    with AuditLog(place(path, disk)) as log:
        with pytest.raises(MascaronError):
            log.append(event(4))
        for refused in (lambda: log.append(event(4)), log.head, log.verify):
            with pytest.raises(AuditError, match="closed"):
                refused()


def test_pruning_that_fails_anywhere_leaves_before_or_after(quick_path: Path) -> None:
    path = quick_path / "audit.db"
    filled(path, range(1, 7))
    held = {file.name: file.read_bytes() for file in quick_path.iterdir()}
    fatal, whole = 0, False
    while not whole:
        fatal += 1
        lay(quick_path, held)
        disk = DyingDisk(fatal, for_good=True)
        with contextlib.suppress(AuditError, DeploymentError), AuditLog(place(path, disk)) as log:
            log.prune(NOW + 4, NOW + 4 + SIX_MONTHS)
        whole = disk.count < fatal
        with AuditLog(place(path)) as log:
            verdict = log.verify()
            assert (verdict.first, verdict.entries) in ((1, 6), (4, 3))
            assert [entry.index for entry in log.entries()] == list(range(verdict.first, 7))
    assert verdict.first == 4 and fatal > 20


def live(path: Path, tell: Callable[[str], object]) -> None:
    with AuditLog(place(path)) as log:
        start = log.head().index + 1
        for n in range(start, start + LIFE):
            log.append(event(n))
            tell(str(n))


@pytest.mark.parametrize(
    "kills", [25, pytest.param(1000, marks=pytest.mark.slow)], ids=["some", "a thousand"]
)
def test_killed_at_random_moments_it_has_what_was_answered(quick_path: Path, kills: int) -> None:
    path, rng, before = quick_path / "audit.db", random.Random(kills), 0  # noqa: S311
    for _ in range(kills):
        said = killed(partial(live, path), rng, LIFE, 0.01)
        sure = max(before, *map(int, said), 0)
        with AuditLog(place(path)) as log:
            before = log.head().index
            assert sure <= before <= sure + 1
            assert log.verify().broken is None
            if before > 200:
                log.prune(NOW + before - 50, NOW + before + SIX_MONTHS)
    with AuditLog(place(path)) as log:
        kept = list(log.entries(most=10**6))
        assert [entry.event for entry in kept] == [event(entry.index) for entry in kept]
