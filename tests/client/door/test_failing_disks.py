"""Whatever write fails, of the vault or of the log: no change is without a row that tells of it."""

import contextlib
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from client.vault.identity import PersonId
from common.errors import MascaronError
from tests.dying_disk import DyingDisk
from tests.small_reception import ANYTHING, Site, shown
from tests.small_vault import NOW, consent, person

CHANGES: dict[str, Callable[[Site], object]] = {
    "enrol": lambda site: site.reception.commit(ANYTHING, shown(site, 50), True),
    "erase": lambda site: site.reception.erase(ANYTHING, [person(1), person(2)]),
    "relabel": lambda site: site.reception.relabel(ANYTHING, person(1), "L9"),
    "renew": lambda site: site.reception.renew(ANYTHING, person(1), consent("verify")),
    "labels": lambda site: site.reception.set_labels(ANYTHING, person(4), {"hat": True}),
    "rotate": lambda site: site.reception.rotate(ANYTHING),
    "expire": lambda site: _expire(site),
}


def _expire(site: Site) -> None:
    site.clock.now = NOW + 10
    site.reception.tidy()


@pytest.fixture
def filled(quick_path: Path) -> Path:
    with Site(quick_path / "first") as site:
        site.open_for(range(6))
        site.vault.renew(person(3), consent(expires=NOW + 10), now=NOW)
        site.vault.renew(person(4), consent("verify", "labels"), now=NOW)
    return quick_path / "first"


@pytest.mark.parametrize("which", ["disk", "log_disk"])
@pytest.mark.parametrize(
    "for_good", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["once", "for good"]
)
@pytest.mark.parametrize("name", sorted(CHANGES))
def test_the_kth_write_fails_for_every_k(
    filled: Path, which: str, for_good: bool, name: str
) -> None:
    failed = 0
    for fatal in itertools.count(1):
        folder = filled.with_name(f"{fatal}")
        shutil.copytree(filled, folder)
        disk = DyingDisk(10**9, for_good=for_good)
        site = Site(folder, **{which: disk})  # type: ignore[arg-type]
        before, epoch = tags(site), site.vault.epoch
        disk.count, disk.fatal = 0, fatal
        answered = False
        with contextlib.suppress(MascaronError):
            CHANGES[name](site)
            answered = True
        reached = disk.count >= fatal
        disk.fatal = 10**9
        site.close()
        after = check(folder, (name, answered), before, epoch)
        if which == "log_disk" and name == "enrol" and not answered:
            assert after.keys() == before.keys()
        shutil.rmtree(folder)
        failed += reached and not answered
        if not reached:
            break
    assert failed > 3


def tags(site: Site) -> dict[PersonId, bytes]:
    known = site.vault.people(now=NOW)
    return {one: site.vault.tag(one, b"audit")[:16] for one in known}


def check(
    folder: Path, asked: tuple[str, bool], before: dict[PersonId, bytes], epoch: int
) -> dict[PersonId, bytes]:
    """Opens all of it again, on a disk that works; who is enrolled."""
    name, answered = asked
    with Site(folder) as site:
        assert site.log.verify().broken is None
        told = site.told()
        after = tags(site)
        begun = {row.event.subject for row in site.rows() if row.event.outcome == "pending"}
        assert all(before[one] in begun for one in before.keys() - after.keys())
        if after.keys() != before.keys() or site.vault.epoch != epoch:
            assert (name, "pending") in told
        if answered:
            assert told[-1] == (name, "done" if name != "enrol" else told[-1][1])
            assert name != "enrol" or len(after) == len(before) + 1
        return after
