"""Whatever write fails, and whenever the process is killed: one release decides, and wholly so."""

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from client.door import building
from client.door.building import Strangers
from client.door.calibrating import Target
from client.door.releases import Releases
from client.door.serving import Serving
from client.door.shelf import CALIBRATION, HEADS, STATE, TAIL
from client.door.thresholds import Calibration
from client.vault.store import Vault
from common.errors import DeploymentError, MascaronError
from tests.dying_disk import DyingDisk
from tests.killing import killed
from tests.small_releases import (
    NOW,
    OTHER,
    TRUNK,
    deciding,
    peopled,
    releases,
    standing,
    tail_of,
)
from tests.small_vault import place
from tests.small_words import brought

LOOSE = Target(fmr=0.1, fpir=0.25)
OPERATIONS: dict[str, Callable[[Releases], object]] = {
    "stage": lambda made: made.stage(tail_of(3), TRUNK),
    "stage with heads": lambda made: made.stage(tail_of(3), TRUNK, brought(3)),
    "stage the same tail with other heads": lambda made: made.stage(tail_of(2), TRUNK, brought(3)),
    "stage another trunk": lambda made: made.stage(tail_of(3), OTHER),
    "promote": Releases.promote,
    "rollback": Releases.rollback,
    "unstage": Releases.unstage,
    "calibrate": lambda made: made.calibrate(LOOSE, NOW + 1),
}
LIFE = 8  # changes of one life, at most


def lay(folder: Path, held: dict[str, bytes]) -> None:
    for path in list(folder.iterdir()):
        path.unlink()
    for name, raw in held.items():
        (folder / name).write_bytes(raw)


def three(folder: Path, vault: Vault) -> dict[str, bytes]:
    """Release 1 is the one before, 2 decides, 4 is staged, both with heads; the files of that."""
    made = deciding(folder, vault)
    for seed in (2, 4):
        made.stage(tail_of(seed), TRUNK, brought(seed))
        if seed == 2:
            made.promote()
    return {path.name: path.read_bytes() for path in (folder / "releases").iterdir()}


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrates the same people for the same release and rates only once."""
    known: dict[object, Calibration] = {}

    def calibrated(
        serving: Serving, vault: Vault, public: Strangers, target: Target, now: float
    ) -> Calibration:
        key = (serving.name, vault.generation, target, now)
        if key not in known:
            known[key] = calibrate(serving, vault, public, target, now)
        return known[key]

    calibrate = building.calibrated
    monkeypatch.setattr(building, "calibrated", calibrated)


@pytest.mark.usefixtures("remembered")
@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_any_write_that_fails_leaves_before_or_after(
    quick_path: Path, name: str, for_good: bool
) -> None:
    operation, folder = OPERATIONS[name], quick_path / "releases"
    with peopled(quick_path, TRUNK, OTHER) as vault:
        held = three(quick_path, vault)
        before = standing(releases(quick_path, vault))
        made = releases(quick_path, vault)
        operation(made)
        after = standing(made)
        assert after != before
        fatal, whole = 0, False
        while not whole:
            fatal += 1
            lay(folder, held)
            disk, done = DyingDisk(fatal, for_good=for_good), False
            made = releases(quick_path, vault, disk)
            with contextlib.suppress(DeploymentError):
                operation(made)
                done = True
            whole = disk.count < fatal
            assert standing(made) == (after if done else before), f"write {fatal}"
            again = releases(quick_path, vault)
            now = standing(again)
            assert now == after if done else now in (before, after), f"write {fatal}"
            assert_tidy(folder, again)
            assert_goes_on(made, again, operation, for_good or done)
    assert done and fatal > 4, "the last one ran through, after as many failures as it writes"


def assert_tidy(folder: Path, made: Releases) -> None:
    named = made._state.entries()
    files = {f"{entry.file}{TAIL}" for entry in named} | {STATE}
    files |= {f"{entry.calibration}{CALIBRATION}" for entry in named if entry.calibration}
    files |= {f"{entry.heads}{HEADS}" for entry in named if entry.heads}
    assert {path.name for path in folder.iterdir()} == files


def assert_goes_on(
    made: Releases, again: Releases, operation: Callable[[Releases], object], over: bool
) -> None:
    """Where the disk failed once, the same is tried again, or the door has to be opened again."""
    if over:
        return
    if standing(made) != standing(again):
        with pytest.raises(DeploymentError, match="again"):
            operation(made)
    else:
        with contextlib.suppress(DeploymentError):
            operation(made)
            assert standing(made) != standing(again)


def test_an_opening_that_cannot_tidy_up_serves_and_tidies_the_next_time(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        three(quick_path, vault)
        before = standing(releases(quick_path, vault))
        for fatal in (1, 2, 3, 4):
            orphan = quick_path / "releases" / f"{'ab' * 32}{CALIBRATION}"
            orphan.write_bytes(b"x" * 100)
            made = releases(quick_path, vault, DyingDisk(fatal, for_good=True))
            assert standing(made) == before
            assert_tidy(quick_path / "releases", releases(quick_path, vault))


Model = tuple[int, int | None, int | None]  # the release that decides, the one before, the staged


def changed(model: Model, kind: str, seed: int) -> Model | None:
    """What a change makes of the model; None where it is refused."""
    active, before, staged = model
    if kind == "stage":
        return None if seed == active else (active, before, seed)
    if kind == "promote":
        return None if staged is None else (staged, active, None)
    if kind == "rollback":
        return None if before is None else (before, None, staged)
    return None if staged is None else (active, before, None)


def seen_model(made: Releases, seeds: dict[str, int]) -> Model:
    status = made.status()
    previous, staged = (name and seeds[name] for name in (status.previous, status.staged))
    return seeds[str(status.active)], previous, staged


def stage(made: Releases, seed: int) -> None:
    """Every other release brings heads."""
    made.stage(tail_of(seed), TRUNK, brought(seed) if seed % 2 == 0 else None)


def live(folder: Path, tell: Callable[[str], object], rng: random.Random) -> None:
    """Changes releases at random, and says what it begins and what is done."""
    with Vault(place(folder / "v")) as vault:
        made = releases(folder, vault)
        for _ in range(LIFE):
            kind = rng.choice(("stage", "stage", "promote", "promote", "rollback", "unstage"))
            seed = rng.randrange(1, 5)
            tell(f"begun {kind} {seed}")
            try:
                stage(made, seed) if kind == "stage" else getattr(made, kind)()
            except MascaronError:
                tell(f"refused {kind} {seed}")
            else:
                tell(f"done {kind} {seed}")


def lived(folder: Path, rng: random.Random) -> list[str]:
    """What ``live`` had said when it was killed."""
    mine = random.Random(rng.random())  # noqa: S311
    return killed(lambda tell: live(folder, tell, mine), rng, 2 * LIFE, 0.03)


def survive(folder: Path, kills: int, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    seeds = {tail_of(n).hash: n for n in range(1, 5)}
    with peopled(folder) as vault:
        made, whole = deciding(folder, vault), dict[object, object]()
        whole[1] = standing(made)["active"]
        for number in (2, 3, 4):
            stage(made, number)
            whole[number] = standing(made)["staged"]
        made.unstage()
    sure: Model = (1, None, None)
    for _ in range(kills):
        maybe = None
        for line in lived(folder, rng):
            state, kind, number = line.split()
            then = changed(sure, kind, int(number))
            assert (then is None) == (state == "refused") or state == "begun"
            maybe = then if state == "begun" else None
            sure = then if state == "done" and then else sure
        with Vault(place(folder / "v")) as vault:
            made = releases(folder, vault)
            now = seen_model(made, seeds)
            assert now in (sure, maybe), "neither the state before nor the one after"
            held = standing(made)
            assert held["active"] == whole[now[0]] and held["staged"] == whole.get(now[2])
            assert_tidy(folder / "releases", made)
        sure = now


def test_killed_at_random_moments_one_release_decides_and_wholly_so(quick_path: Path) -> None:
    survive(quick_path, 15, seed=1)


@pytest.mark.slow
def test_killed_three_hundred_times_one_release_decides_and_wholly_so(quick_path: Path) -> None:
    survive(quick_path, 300, seed=2)
