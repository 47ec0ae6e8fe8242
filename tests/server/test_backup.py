"""A backup is the whole centre, sealed; what was altered, is older or overwrites is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigError, MascaronError, RunError, SignatureError
from common.evidence.history import Step
from common.locks import locked
from common.trust.heads import SignedHead
from common.trust.keys import SigningKey
from common.trust.roster import Roster, read_roster
from server.backup import collect, generation_of, lay_out
from server.checkpoint import RunState, write_checkpoint
from server.cli import main
from server.commands.backup import backup_command, read_passphrase, restore_command
from server.home import CentreConfig, CentreHome
from server.release.registry import Registry
from server.sealed import MAGIC, seal, unseal
from server.standing import federation_of, roster_of, signing_key
from tests.small_centre import NOW, admit, centre, signed
from tests.small_evidence import release

WORDS = "correct horse battery"


def lively(folder: Path) -> CentreHome:
    """A home with sites, a charter, a run, a ledger head, and things nobody needs to keep."""
    home = centre(folder)
    home.settings.write_text(CentreConfig(name="doors", host="fl.example").to_toml(), "utf-8")
    home.token.write_text("token", "utf-8")
    admit(home, 3)
    signed(home)
    ran(home, 1)
    head(home, 4)
    (home.nodes / "a.pub").write_text("key", "utf-8")
    (home.logs / "gateway.log").write_text("noise", "utf-8")
    (home.superlink / "secret").write_bytes(b"s" * 32)
    return home


def ran(home: CentreHome, done: int) -> None:
    arrays = {"a": {"x": np.full(2, done, np.float32)}}
    write_checkpoint(home.run("r1"), RunState(round=done, pools=arrays, plan="p" * 64))


def head(home: CentreHome, rows: int) -> None:
    told = SignedHead(federation=federation_of(home), site="site-0", sequence=rows, mac="0" * 64)
    sealed = told.sign(SigningKey.generate()).to_json()
    (home.heads / "site-0.json").write_text(sealed, "utf-8")


def restored(file: Path, folder: Path, replaces: Path | None = None, known: int | None = None):  # type: ignore[no-untyped-def]
    return restore_command(file, CentreHome(folder), WORDS, replaces, known)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "backup"
    backup_command(lively(tmp_path / "home"), path, WORDS, NOW)
    return path


def test_a_restored_home_is_the_one_that_was_backed_up(tmp_path: Path, file: Path) -> None:
    old, told = CentreHome(tmp_path / "home"), restored(file, tmp_path / "new")
    new = CentreHome(tmp_path / "new")
    assert collect(new) == collect(old)
    assert generation_of(new) == generation_of(old)
    assert roster_of(new) == roster_of(old)
    assert told["admitted"] == ["site-0", "site-1", "site-2"]
    assert told["runs"] == {"r1": 1}
    assert not (new.logs / "gateway.log").exists()
    assert not new.secret.exists()
    for path in new.folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_nobody_reads_a_key_or_a_name_in_the_file(tmp_path: Path, file: Path) -> None:
    content, home = file.read_bytes(), CentreHome(tmp_path / "home")
    assert file.stat().st_mode & 0o777 == 0o600
    for secret in (home.centre_key.read_bytes()[30:70], b"site-0", b"token", b"charters"):
        assert secret not in content


@given(data=st.data())
@settings(max_examples=25)
def test_any_flipped_bit_and_any_cut_is_noticed(data: st.DataObject) -> None:
    content = bytearray(SEALED)
    position = data.draw(st.integers(0, len(content) - 1), label="position")
    content[position] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    with pytest.raises(SignatureError):
        unseal(bytes(content), WORDS)
    cut = data.draw(st.integers(0, len(SEALED) - 1), label="cut")
    with pytest.raises(SignatureError):
        unseal(SEALED[:cut], WORDS)


SEALED = seal({"token": b"abc", "keys/ca.key": b""}, {"created": "today"}, WORDS)


def test_what_was_sealed_comes_back_and_only_for_its_passphrase() -> None:
    about, files = unseal(SEALED, WORDS)
    assert (about, files) == ({"created": "today"}, {"token": b"abc", "keys/ca.key": b""})
    with pytest.raises(SignatureError, match="passphrase is wrong"):
        unseal(SEALED, WORDS + "!")
    assert seal({}, {}, WORDS) != seal({}, {}, WORDS)
    with pytest.raises(ConfigError, match="12 characters"):
        seal({}, {}, "short")


@pytest.mark.parametrize(
    ("key", "value"),
    [("memory", 2**40), ("iterations", 10**9), ("lanes", 0), ("salt", "AA=="), ("nonce", "?")],
)
def test_a_hostile_header_makes_nobody_compute_for_ever(key: str, value: object) -> None:
    header, rest = SEALED[len(MAGIC) :].split(b"\n", 1)
    table = json.loads(header)
    table["lock"][key] = value
    with pytest.raises(SignatureError, match="header"):
        unseal(MAGIC + json.dumps(table).encode() + b"\n" + rest, WORDS)


def test_nothing_is_overwritten(tmp_path: Path, file: Path) -> None:
    home = CentreHome(tmp_path / "home")
    with pytest.raises(RunError, match="nothing is overwritten"):
        restored(file, home.folder)
    with pytest.raises(RunError, match="there already"):
        backup_command(home, file, WORDS, NOW)
    before = collect(home)
    assert collect(home) == before
    assert not (tmp_path / "home.partial").exists()


def test_a_backup_that_is_behind_the_home_it_replaces_is_refused(
    tmp_path: Path, file: Path
) -> None:
    home = CentreHome(tmp_path / "home")
    assert restored(file, tmp_path / "same", home.folder)["roster"] == 3
    changes = {
        "roster is number 3, the other's 4": lambda: admit(home, 4),
        "ledger head of site-0 is older": lambda: head(home, 5),
        "run r1 has 1 rounds, the other's 2": lambda: ran(home, 2),
    }
    for number, (said, change) in enumerate(changes.items()):
        change()
        with pytest.raises(RunError, match=said):
            restored(file, tmp_path / f"new-{number}", home.folder)
        assert not (tmp_path / f"new-{number}").exists()
    other = lively(tmp_path / "other")
    with pytest.raises(RunError, match="another federation"):
        restored(file, tmp_path / "new", other.folder)


def test_a_home_that_serves_is_not_replaced(tmp_path: Path, file: Path) -> None:
    home = CentreHome(tmp_path / "home")
    with locked(home.lock, "serve"), pytest.raises(RunError, match="never be two"):
        restored(file, tmp_path / "new", home.folder)


def test_a_roster_number_never_goes_back(tmp_path: Path, file: Path) -> None:
    home = CentreHome(tmp_path / "home")
    younger = admit(home, 4)  # number 4; the backup has 3
    restored(file, tmp_path / "plain")
    key = signing_key(home).public
    from common.trust.signed import Signed

    def at_a_site(folder: Path) -> Roster:
        signed = Signed.from_json(CentreHome(folder).roster.read_text("utf-8"))
        return read_roster(signed, key, younger)

    with pytest.raises(SignatureError, match="older than the one this site knows"):
        at_a_site(tmp_path / "plain")
    told = restored(file, tmp_path / "ahead", known=4)
    assert told["roster"] == at_a_site(tmp_path / "ahead").number == 5
    assert any("--roster-after" in line for line in told["what_happens"])


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "keys/../../x", "keys/a/b", "other", ""])
def test_a_file_that_is_not_of_a_home_is_never_written(tmp_path: Path, name: str) -> None:
    files = {**collect(lively(tmp_path / "home")), name: b"x"}
    with pytest.raises(SignatureError, match="not of a centre"):
        lay_out(files, tmp_path / "new", lambda home: None)
    assert not (tmp_path / "new").exists()


def test_a_backup_that_does_not_hold_together_is_refused(tmp_path: Path) -> None:
    one, other = collect(lively(tmp_path / "one")), collect(lively(tmp_path / "other"))
    for mixed in (
        {**one, "keys/ca.crt": other["keys/ca.crt"]},
        {**one, "keys/centre.key": other["keys/centre.key"]},
        {**one, "centre.toml": b"name = 1"},
        {name: content for name, content in one.items() if name != "keys/ca.crt"},
    ):
        with pytest.raises(MascaronError, match="not a whole centre"):
            lay_out(mixed, tmp_path / "new", lambda home: None)
        assert not (tmp_path / "new").exists()


def ask(*arguments: object, typed: str = "") -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], input=typed)


def test_a_passphrase_comes_from_a_private_file_or_a_prompt(tmp_path: Path) -> None:
    home, words = lively(tmp_path / "home"), tmp_path / "words"
    words.write_text(WORDS + "\n", "utf-8")
    words.chmod(0o644)
    backup = ["backup", "--home", home.folder, "--to", tmp_path / "backup"]
    told = ask(*backup, "--passphrase-file", words)
    assert told.exit_code == 2
    assert "chmod 600" in told.stderr
    words.chmod(0o600)
    told = ask(*backup, "--passphrase-file", words)
    assert told.exit_code == 0, told.output
    assert WORDS not in told.output
    restore = ["restore", "--from", tmp_path / "backup", "--home", tmp_path / "new"]
    assert ask(*restore, typed="wrong words, long\n").exit_code == 1
    assert ask(*restore, typed=f"{WORDS}\n").exit_code == 0
    assert read_passphrase(None, lambda what: "asked") == "asked"
    with pytest.raises(ConfigError, match="cannot read"):
        read_passphrase(tmp_path / "none", str)


def test_releases_and_their_history_are_kept_and_never_go_back(tmp_path: Path) -> None:
    home = lively(tmp_path / "home")
    registry, key = Registry(home), signing_key(home)
    made = release(federation=federation_of(home)).sign(key)
    registry.put(made)
    home.gates.write_text("least_tar = 0.5\n", "utf-8")
    backup_command(home, tmp_path / "before", WORDS, NOW)
    with registry.changing() as history:
        step = Step(action="promote", release=made.digest, pool="door")
        registry.write(history.with_step(step, key, int(NOW)))
    backup_command(home, tmp_path / "after", WORDS, NOW)
    with pytest.raises(RunError, match="history of releases has 0 entries, the other's 1"):
        restored(tmp_path / "before", tmp_path / "old", replaces=home.folder)
    restored(tmp_path / "after", tmp_path / "new", replaces=home.folder)
    back = Registry(CentreHome(tmp_path / "new"))
    assert back.history() == registry.history()
    assert back.get(made.digest).signature == made.signature
