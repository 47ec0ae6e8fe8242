"""Thieves of a disk, and operators who want something not to have been: copies put back, rows cut.

One site, in the order of the tests: each leaves it as it was, but for who was erased.
"""

import json
import os
import pty
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.door.eye import fused
from client.vault.founding import vault_place
from client.vault.providers import FileKeyProvider
from client.vault.recovery import RecoveryKey
from client.vault.store import Vault
from common.errors import MascaronError
from common.faces.pictures import decode
from common.models.trunk import load_trunk
from tests.hostile.callers import Haul, mouth
from tests.hostile.deployed import environment
from tests.hostile.doorstep import LABEL, VIEWS, Doorstep, doorstep
from tests.small_home import STARTER

WINDOW = 16  # bytes
GONE = 1  # who is erased here
MASCARON = "from client.cli import main; main()"


@pytest.fixture(scope="module")
def site() -> Iterator[Doorstep]:
    with doorstep() as made:
        yield made


def windows(*contents: bytes) -> set[bytes]:
    """Every 16 bytes in a row that could be nobody else's."""
    found = (one[at : at + WINDOW] for one in contents for at in range(len(one) - WINDOW + 1))
    return {piece for piece in found if len(set(piece)) > WINDOW // 2}


def holding(folder: Path, wanted: set[bytes]) -> list[str]:
    """The files below ``folder`` with one of ``wanted`` in them, at any place."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            pieces = {content[at : at + WINDOW] for at in range(len(content) - WINDOW + 1)}
            if pieces & wanted:
                found.append(path.relative_to(folder).as_posix())
    return found


def plain(site: Doorstep, person: int) -> set[bytes]:
    """What is known of somebody from their pictures: features of any type, embeddings, label."""
    trunk, tail = load_trunk(STARTER)
    pictures = np.stack([decode(site.picture(person, view)) for view in range(VIEWS)])
    features = fused(trunk, pictures)
    rows = tail.embed(features)
    rows = np.concatenate([rows, rows / np.linalg.norm(rows, axis=1, keepdims=True)])
    kinds = ("<f2", "<f4", "<f8", ">f4")
    numbers = [one.astype(kind).tobytes() for one in (features, rows) for kind in kinds]
    label = f"{LABEL} {person}".encode() + b" of the label"
    return windows(*numbers, label[: len(LABEL) + 2].ljust(WINDOW, b"\0"))


def opened(site: Doorstep, folder: Path, key: Path | None = None) -> Vault:
    """The vault in ``folder``, by the key that lay beside it or by another."""
    place = vault_place(site.home, site.home.config())
    return Vault(
        replace(place, folder=folder, provider=FileKeyProvider(key or site.home.vault_key))
    )


def test_a_thief_of_the_disk_finds_nobody_without_the_key(site: Doorstep, tmp_path: Path) -> None:
    everybody = set().union(*(plain(site, person) for person in range(len(site.people))))
    assert holding(site.home.folder, everybody) == []
    stolen, key = tmp_path / "stolen", tmp_path / "other.key"
    shutil.copytree(site.home.vault, stolen)
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(32))
    with pytest.raises(MascaronError) as refused:
        opened(site, stolen, key)
    assert refused.value.reason == "VAULT_SEALED"


def test_after_an_erasure_no_file_has_a_piece_of_the_person(site: Doorstep, tmp_path: Path) -> None:
    """Features, label, sealed rows, the wrapped key and the key itself; in any file of the site."""
    before, person = tmp_path / "before", site.people[GONE]
    shutil.copytree(site.home.vault, before)
    with opened(site, before) as vault:
        ring = vault._core.keyring
        key = bytes(ring.key(person)._raw or b"")
        secrets = [key, ring._ring.entries[person]]
        tables = vault._core.tables
        rows = [row[-1] for name in ("person", "template") for row in tables.select(name, person)]
        held = [one.feature.tobytes() for one in vault.held(person, load_trunk(STARTER)[0].hash)]
    slots = [path.read_bytes() for path in before.glob("keyring.epoch-*")]
    wanted = windows(*secrets, *rows, *held, *slots) | plain(site, GONE)
    assert len(rows) >= 4
    assert holding(before, wanted) == ["keyring", "keyring.epoch-1", "vault.db"]
    receipt = site.folder / "receipt.json"
    site.told("erase", person.hex(), "--receipt", str(receipt))
    assert holding(site.home.folder, wanted) == []
    site.stop()
    assert holding(site.home.folder, wanted) == []
    shutil.copytree(before, site.folder / "old")
    site.start()
    site.check_answers()
    said = receipt.read_bytes()
    assert person.hex().encode() not in said
    assert site.canaries.found_in(said) == set()
    index = site.told("receipt", "check", str(receipt))["index"]
    row = site.rows()[index - 1].event
    assert (row.kind.value, row.outcome) == ("erase", "done")


@pytest.mark.parametrize("names", [("*",), ("vault.db",), ("keyring", "keyring.epoch-1")])
def test_an_old_copy_put_back_brings_nobody_back(site: Doorstep, names: tuple[str, ...]) -> None:
    """Of the database, of the keyring, and of both together: the log knows of the erasure."""
    old, now = site.folder / "old", site.folder / "now"
    site.stop()
    shutil.copytree(site.home.vault, now)
    if names == ("*",):
        for path in site.home.vault.iterdir():
            path.unlink()
    for name in names:
        for path in old.glob(name):
            shutil.copy2(path, site.home.vault / path.name)
    assert site.refuses_to_start() in ("ROLLBACK_DETECTED", "VAULT_CORRUPT", "VAULT_SEALED")
    if names == ("*",):
        assert site.refuses_to_start() == "ROLLBACK_DETECTED"
        file = site.folder / "recovery.key"
        lock = RecoveryKey.create(file).lock.text
        words = ["vault", "backup", str(site.folder), "--recovery", lock]
        assert "ROLLBACK_DETECTED" in site.typed(*words).stderr
    shutil.rmtree(site.home.vault)
    shutil.move(now, site.home.vault)
    site.start()
    site.check_answers()
    with mouth(site, Haul(), "camera") as camera:
        told = camera("Verify", person=site.people[GONE], picture=site.picture(GONE))
    assert told.band == 3


def test_a_row_that_is_cut_changed_or_forged_is_found(site: Doorstep) -> None:
    site.stop()
    kept = {p: p.read_bytes() for p in site.home.agent.glob("audit.db*")}
    for statement in (
        "DELETE FROM entry WHERE sequence = (SELECT max(sequence) FROM entry)",
        "DELETE FROM entry WHERE kind = 'erase'",
        "UPDATE entry SET outcome = 'match' WHERE kind = 'verify'",
        "UPDATE entry SET caller = subject WHERE kind = 'erase'",
        "INSERT INTO entry SELECT sequence + 100000, kind, began, ended, reference, subject, "
        "input, outcome, caller, others, signature FROM entry LIMIT 1",
    ):
        with sqlite3.connect(site.home.audit, isolation_level=None) as database:
            assert database.execute(statement).rowcount > 0
        database.close()
        done = site.typed("audit", "verify")
        assert (done.exit_code, "broken at record" in done.stderr) == (1, True)
        if "max(" in statement:
            assert site.refuses_to_start() == "AUDIT_BROKEN"
        for path in site.home.agent.glob("audit.db*"):
            path.unlink()
        for path, content in kept.items():
            path.write_bytes(content)
    (site.home.agent / "audit.db.head").unlink()
    assert site.refuses_to_start() == "AUDIT_BROKEN"
    for path, content in kept.items():
        path.write_bytes(content)
    site.start()
    site.check_answers()


def test_who_may_call_is_told_though_it_was_changed_while_nobody_looked(site: Doorstep) -> None:
    site.stop()
    before = site.kinds()["caller"]
    site.told("caller", "add", "friend", "--may", "verify,identify,confirm")
    site.start()
    told = [row.event for row in site.rows() if row.event.kind.value == "caller"]
    here = len(site.told("caller", "list")["callers"])
    assert len(told) == before + here
    assert any("confirm+identify+verify/" in row.reference for row in told[before:])
    site.told("caller", "remove", "friend")
    site.check_answers()
    last = [row.event.outcome for row in site.rows() if row.event.kind.value == "caller"][-1]
    assert last == "removed"


@pytest.mark.slow
def test_a_clock_that_jumps_gives_nobody_more(site: Doorstep) -> None:
    """Set back, nobody is asked by a consent that is still to come, and no budget comes anew."""
    site.stop()
    wrong = site.folder / "clock"
    wrong.write_text("0", "ascii")
    site.start(str(wrong))
    site.check_answers()
    haul = Haul()
    with mouth(site, haul, "poor") as poor, mouth(site, haul, "camera") as camera:
        for _ in range(4):
            poor("Verify", person=site.people[0], picture=site.picture(0))
        wrong.write_text("-86400", "ascii")
        for _ in range(2):
            assert poor("Verify", person=site.people[0], picture=site.picture(0)) is None
        for view in range(VIEWS):
            told = camera("Verify", person=site.people[0], picture=site.picture(0, view))
            assert told.band == 3
        wrong.write_text("0", "ascii")
        assert poor("Verify", person=site.people[0], picture=site.picture(0)) is None
    assert set(haul.reasons) == {"QUERY_BUDGET_EXHAUSTED"}
    site.check_answers()
    times = [row.event.ended - row.event.began for row in site.rows()]
    assert min(times) >= 0
    site.stop()
    site.start()


def test_labels_are_shown_on_a_terminal_and_move_nothing_there(site: Doorstep) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", MASCARON, "people", "--home", str(site.home.folder)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=theirs, env=environment(), check=True
    )
    os.close(theirs)
    shown = os.read(ours, 2**16).decode()
    os.close(ours)
    assert f"{LABEL} 0" in shown
    assert all(line.isprintable() for line in shown.splitlines())
    assert site.canaries.found_in(done.stdout) == set()


def test_a_token_typed_in_place_of_its_file_is_not_repeated(site: Doorstep) -> None:
    token = site.tokens["camera"]
    for words, more in ((["--token", token], {}), ([], {"MASCARON_CALLER": token})):
        command = [sys.executable, "-c", MASCARON, "people", "--home", str(site.home.folder)]
        done = subprocess.run(
            [*command, *words], capture_output=True, env={**environment(), **more}, text=True
        )
        assert (done.returncode, "CONFIG_INVALID" in done.stderr) == (2, True)
        assert token not in done.stdout + done.stderr
    folder = site.folder / "folder-as-token"
    folder.mkdir()
    assert "folder-as-token" not in site.typed("people", "--token", str(folder)).stderr


def test_a_watched_folder_may_hold_anything(site: Doorstep, tmp_path: Path) -> None:
    """Names that move a terminal, links, pipes, a hole of a gigabyte: a line each, or none."""
    sound = site.picture(0)
    for name in (f"\x1b[2J{LABEL}.jpg", "new\nline.jpg", "-rf.jpg", "$(id).jpg", "\u202egpj.exe"):
        (tmp_path / name).write_bytes(sound)
    (tmp_path / "picture.jpg").symlink_to(site.folder / "people" / "00" / "0.jpg")
    (tmp_path / "secret.jpg").symlink_to(site.home.operator_token)
    for name, target in (("zero", "/dev/zero"), ("gone", "/none"), ("loop", tmp_path / "loop")):
        (tmp_path / name).symlink_to(target)
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with (tmp_path / "hole.jpg").open("wb") as file:
        file.truncate(2**30)
    done = site.typed("watch", str(tmp_path), "--once", "--person", site.people[0].hex())
    assert done.exit_code == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["picture"] for line in lines] == list(range(1, len(lines) + 1))
    assert (len(lines), sum("band" in line for line in lines)) == (8, 6)
    assert all(set(line) <= {"picture", "at", "band", "refused", "reasons"} for line in lines)


def test_a_receipt_is_not_lost_and_follows_no_link(site: Doorstep, tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "receipt"
    target.write_text("mine", "utf-8")
    link.symlink_to(target)
    site.told("erase", site.people[2].hex(), "--receipt", str(link))
    assert (target.read_text("utf-8"), link.is_symlink()) == ("mine", False)
    assert link.stat().st_mode & 0o077 == 0
    told = site.told("erase", site.people[3].hex(), "--receipt", str(tmp_path / "no" / "folder"))
    (tmp_path / "kept").write_text(json.dumps(told["receipt"]), "utf-8")
    site.told("receipt", "check", str(tmp_path / "kept"))


@pytest.mark.slow
def test_a_door_is_opened_at_no_link_and_beside_no_rival(site: Doorstep) -> None:
    site.stop()
    socket, other = site.home.door_socket(), site.folder / "elsewhere"
    socket.symlink_to(other)
    assert site.refuses_to_start() == "CONFIG_INVALID"
    assert not other.exists()
    socket.unlink()
    site.home.callers.chmod(0o644)
    assert site.refuses_to_start() == "CONFIG_INVALID"
    site.home.callers.chmod(0o600)
    calibration = next(site.home.releases.glob("*.calibration.json"))
    kept = calibration.read_bytes()
    calibration.write_bytes(kept.replace(b"0.", b"0.0", 1))
    assert site.refuses_to_start() == "RELEASE_REFUSED"
    calibration.write_bytes(kept)
    site.start()
    assert site.refuses_to_start() == "BUSY"
    site.check_answers()
    site.check_log()
