"""What is on the shelf is what was put there, or nobody decides by it."""

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.door.calibrating import Target
from client.door.shelf import CALIBRATION, HEADS, STATE, TAIL, Entry, Lead, Shelf, State
from client.vault.disk import DISK
from client.vault.handles import DataKey
from client.vault.store import Vault
from common.errors import DeploymentError, ReleaseError
from tests.small_releases import NOW, TARGET, TRUNK, deciding, peopled, releases, standing, tail_of
from tests.small_vault import place
from tests.small_words import brought

KEY = DataKey(b"k" * 32, os.urandom)
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
ENTRIES = st.builds(
    Entry,
    release=HASHES,
    trunk=HASHES,
    file=HASHES,
    calibration=st.one_of(st.none(), HASHES),
    basis=st.one_of(st.none(), HASHES),
    heads=st.one_of(st.none(), HASHES),
)
LEADS = st.builds(Lead, active=ENTRIES, beside=st.one_of(st.none(), ENTRIES))
RATES = st.floats(1e-6, 0.25)
STATES = st.builds(
    State,
    lead=st.one_of(st.none(), LEADS),
    before=st.one_of(st.none(), LEADS),
    staged=st.one_of(st.none(), ENTRIES),
    target=st.one_of(st.none(), st.builds(Target, fmr=RATES, fpir=st.one_of(st.none(), RATES))),
)


@given(state=STATES)
def test_a_state_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, state: State
) -> None:
    shelf = Shelf(tmp_path_factory.mktemp("shelf"), KEY, DISK)
    assert shelf.read() == State()
    shelf.write(state)
    assert shelf.read() == state and shelf.unchanged(state)
    assert state.calibrated({}) == state


@pytest.fixture(scope="module")
def written(quick_module_path: Path) -> Path:
    """The folder of a site where release 1 decides and 2 is staged."""
    with peopled(quick_module_path) as vault:
        made = deciding(quick_module_path, vault)
        made.stage(tail_of(2), TRUNK, brought(2))
        made.promote()
        made.stage(tail_of(3), TRUNK)
    return quick_module_path


def test_every_flipped_byte_of_every_file_is_noticed_before_anything_is_decided(
    written: Path,
) -> None:
    folder = written / "releases"
    with Vault(place(written / "v")) as vault:
        named = {entry.file for entry in releases(written, vault)._state.entries()[:2]}
        shelf = Shelf(folder, vault.derive("releases"), DISK)
        for path in sorted(folder.iterdir()):
            raw = path.read_bytes()
            for at in range(0, len(raw), 1 if path.name == STATE else 53):
                path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x04]) + raw[at + 1 :])
                with pytest.raises(ReleaseError, match="altered"):
                    read_all(shelf)
            path.write_bytes(raw[: len(raw) // 2])
            with pytest.raises(ReleaseError):
                read_all(shelf)
            path.write_bytes(raw)
        read_all(shelf)
    assert len(named) == 2


def read_all(shelf: Shelf) -> None:
    for entry in shelf.read().entries():
        shelf.tail(entry)
        shelf.calibration(entry)
        shelf.heads(entry)


def test_a_file_that_is_missing_is_named_and_nobody_decides(written: Path) -> None:
    folder = written / "releases"
    with Vault(place(written / "v")) as vault:
        active = releases(written, vault)._state.entries()[1]
        endings = {TAIL: active.file, CALIBRATION: active.calibration, HEADS: active.heads}
        for name in (f"{digest}{ending}" for ending, digest in endings.items()):
            raw = (folder / name).read_bytes()
            (folder / name).unlink()
            with pytest.raises(ReleaseError, match=name):
                releases(written, vault)
            (folder / name).write_bytes(raw)
        assert releases(written, vault).active.release == tail_of(2).hash


def test_a_lowered_threshold_that_is_named_like_an_honest_one_is_refused(written: Path) -> None:
    """The attacker may write every file, and has no key of the vault."""
    folder = written / "releases"
    with Vault(place(written / "v")) as vault:
        entry = releases(written, vault)._state.entries()[1]
        honest = folder / f"{entry.calibration}{CALIBRATION}"
        raw = honest.read_bytes()
        table = json.loads(raw)
        for levels in (table["verify"], table["search"]):
            levels["match"] = levels["near"] = -1.0
        forged = json.dumps(table, sort_keys=True).encode()
        honest.write_bytes(forged)
        with pytest.raises(ReleaseError, match="altered"):
            releases(written, vault)
        honest.write_bytes(raw)
        state = folder / STATE
        said = state.read_bytes()
        key = DataKey(bytes(32), os.urandom)
        other = Shelf(folder, key, DISK)
        other.write(State(staged=entry))
        with pytest.raises(ReleaseError, match="another vault"):
            releases(written, vault)
        state.write_bytes(said)
        assert releases(written, vault).active.release == tail_of(2).hash


def test_the_releases_of_another_vault_are_refused(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        deciding(quick_path, vault)
    other = quick_path / "other"
    other.mkdir()
    with peopled(other) as vault:
        (quick_path / "releases").rename(other / "releases")
        with pytest.raises(ReleaseError, match="another vault"):
            releases(other, vault)


def test_rotating_keys_leaves_releases_as_they_are(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        before = standing(deciding(quick_path, vault))
        vault.rotate(NOW)
        assert standing(releases(quick_path, vault)) == before


def test_files_are_the_agents_alone_and_show_no_threshold_but_in_a_calibration(
    quick_path: Path,
) -> None:
    folder = quick_path / "releases"
    with peopled(quick_path) as vault:
        deciding(quick_path, vault).stage(tail_of(2), TRUNK)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        if not path.name.endswith(CALIBRATION):
            assert b"match" not in path.read_bytes()


def test_a_calibration_nobody_names_any_more_is_overwritten(quick_path: Path) -> None:
    folder = quick_path / "releases"
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        old = next(folder.glob(f"*{CALIBRATION}"))
        with old.open("rb") as still:
            made.calibrate(Target(fmr=0.1, fpir=0.25), NOW)
            assert not old.exists() and not still.read().strip(b"\0")
        assert made.active.calibration is not None
        assert made.active.calibration.verify.rate == 0.1 != TARGET.fmr


def test_a_folder_that_cannot_be_read_or_a_huge_file_is_told_by_name(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf", KEY, DISK)
    (tmp_path / "shelf" / STATE).mkdir()
    with pytest.raises(DeploymentError, match=STATE):
        shelf.read()
    (tmp_path / "shelf" / STATE).rmdir()
    with (tmp_path / "shelf" / STATE).open("wb") as huge:
        huge.truncate(257 * 2**20)
    with pytest.raises(ReleaseError, match=STATE):
        shelf.read()
