"""Whatever write fails, and whenever the process is killed: nobody is lost, nobody comes back."""

import contextlib
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from client.vault.store import Vault
from common.errors import MascaronError, UnknownPersonError
from tests.dying_disk import DyingDisk
from tests.killing import killed
from tests.small_vault import (
    NOW,
    OTHER,
    consent,
    enrol,
    enrolled,
    files,
    filled,
    person,
    place,
    template,
)


def gone_one(vault: Vault) -> None:
    vault.erase([person(1), person(2)], NOW)


OPERATIONS: dict[str, tuple[Callable[[Vault], object], set[int]]] = {
    "enrol": (lambda vault: enrol(vault, [4]), {1, 2, 3, 4}),
    "erase": (gone_one, {3}),
    "rotate": (lambda vault: vault.rotate(NOW), {1, 2, 3}),
    "add": (lambda vault: vault.add(person(1), template(9, OTHER)), {1, 2, 3}),
    "renew": (lambda vault: vault.renew(person(1), consent("verify"), now=NOW), {1, 2, 3}),
}
BEFORE = {1, 2, 3}
LIFE = 12  # ids that one life may use up


def lay(folder: Path, held: dict[str, bytes]) -> None:
    for path in list(files(folder)):
        path.unlink()
    for name, raw in held.items():
        (folder / name).write_bytes(raw)


@pytest.mark.parametrize(
    ("name", "for_good"),
    [*((name, False) for name in OPERATIONS), ("enrol", True), ("erase", True)],
)
def test_any_write_that_fails_leaves_before_or_after(
    quick_path: Path, name: str, for_good: bool
) -> None:
    operation, after = OPERATIONS[name]
    folder = quick_path / "v"
    filled(folder, BEFORE)
    held = {path.name: path.read_bytes() for path in files(folder)}
    fatal, whole = 0, False
    while not whole:
        fatal += 1
        lay(folder, held)
        disk = DyingDisk(fatal, for_good=for_good)
        done = False
        with contextlib.suppress(MascaronError), Vault(place(folder, disk)) as vault:
            operation(vault)
            done = True
        whole = disk.count < fatal
        with Vault(place(folder)) as vault:
            now = enrolled(vault)
            assert now == after if done else now in (BEFORE, after), f"write {fatal}"
            if fatal % 7 == 0:
                assert_usable(vault, now)
    assert done and fatal > 20, "the last one ran through, after as many failures as it writes"


def assert_usable(vault: Vault, now: set[int]) -> None:
    vault.verify()
    enrol(vault, [9])
    vault.erase([person(9)], NOW)
    assert enrolled(vault) == now
    left = {path.name for path in files(vault._core.place.folder)}
    own = {"vault.db", "vault.db-wal", "vault.db-shm", "keyring", "lock"}
    assert left <= own | {f"keyring.epoch-{vault.epoch}"}, "nothing half written stays"


def test_an_opening_that_fails_anywhere_is_good_the_next_time(quick_path: Path) -> None:
    """Killed in the middle of an erasure, and again while that is being finished."""
    folder = quick_path / "v"
    filled(folder, BEFORE)
    with contextlib.suppress(MascaronError), Vault(place(folder)) as vault:
        vault._core.tables.change = broken  # type: ignore[method-assign]
        vault.erase([person(1)], NOW)
    held = {path.name: path.read_bytes() for path in files(folder)}
    fatal, whole = 0, False
    while not whole:
        fatal += 1
        lay(folder, held)
        disk = DyingDisk(fatal, for_good=True)
        with contextlib.suppress(MascaronError), Vault(place(folder, disk)):
            pass
        whole = disk.count < fatal
        with Vault(place(folder)) as vault:
            assert enrolled(vault) == {2, 3}
            with pytest.raises(UnknownPersonError):
                vault.label(person(1))


def broken(epoch: int) -> contextlib.AbstractContextManager[None]:
    raise OSError(5, f"died in epoch {epoch}")


def live(folder: Path, tell: Callable[[str], object], free: int) -> None:
    """Enrols, erases and rotates at random, and says what it begins and what is done."""
    rng = random.Random(free)  # noqa: S311
    with Vault(place(folder)) as vault:
        here = sorted(enrolled(vault))
        for number in range(free, free + LIFE):
            kind = rng.choice(("enrol", "enrol", "erase", "rotate"))
            which = rng.choice(here) if kind == "erase" and here else number
            kind = "enrol" if kind == "erase" and not here else kind
            tell(f"begun {kind} {which}")
            if kind == "enrol":
                enrol(vault, [which])
                here.append(which)
            elif kind == "erase":
                vault.erase([person(which)], NOW)
                here.remove(which)
            else:
                vault.rotate(NOW)
            tell(f"done {kind} {which}")


def survive(folder: Path, kills: int, seed: int) -> None:
    filled(folder, range(1, 4))
    rng, sure = random.Random(seed), {1, 2, 3}  # noqa: S311
    for life in range(kills):
        maybe = None
        for line in killed(partial(live, folder, free=10 + life * LIFE), rng, 10, 0.02):
            state, kind, number = line.split()
            maybe = None if state == "done" else (kind, int(number))
            if state == "done" and kind != "rotate":
                (sure.add if kind == "enrol" else sure.discard)(int(number))
        allowed = [sure]
        if maybe and maybe[0] != "rotate":
            allowed.append(sure ^ {maybe[1]})
        with Vault(place(folder)) as vault:
            now = enrolled(vault)
            assert now in allowed, "somebody was lost, or came back"
            if len(now) > 12:
                vault.erase([person(n) for n in sorted(now)[6:]], NOW)
                now = enrolled(vault)
        sure = now


def test_killed_at_random_moments_it_keeps_all_and_only_those_enrolled(quick_path: Path) -> None:
    survive(quick_path / "v", 30, seed=1)


@pytest.mark.slow
def test_killed_a_thousand_times_it_keeps_all_and_only_those_enrolled(quick_path: Path) -> None:
    survive(quick_path / "v", 1000, seed=2)
