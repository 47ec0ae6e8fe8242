"""The centre countersigns what a site commits to: whatever is restored from an older copy shows."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from client.audit.log import AuditLog, AuditPlace
from client.centre.admission import countersigned, fetch
from client.cli import main
from client.home import SiteHome
from common.errors import AuditError, SignatureError
from common.trust.admission import read_envelope
from common.trust.commitments import Countersigned, commitment, read_countersigned
from common.trust.keys import PublicKey, SigningKey
from tests.paper_wire import Wire, joined
from tests.small_audit import event
from tests.small_federation import PaperCentre


def log_of(home: SiteHome) -> AuditLog:
    key = SigningKey.load(home.identity_key)
    return AuditLog(AuditPlace(path=home.audit, key=key, site=home.config().name))


def own_of(home: SiteHome) -> PublicKey:
    return SigningKey.load(home.identity_key).public


def write(home: SiteHome, count: int, start: int = 0) -> None:
    with log_of(home) as log:
        for n in range(start, start + count):
            log.append(event(n))


def verified(home: SiteHome) -> Result:
    return CliRunner().invoke(main, ["audit", "verify", "--home", str(home.folder)])


def copied(home: SiteHome, to: Path) -> None:
    to.mkdir()
    for path in home.agent.glob("audit.db*"):
        shutil.copy2(path, to / path.name)
    if home.commitments.exists():
        shutil.copy2(home.commitments, to / home.commitments.name)


def restored(home: SiteHome, kept: Path) -> None:
    for path in (*home.agent.glob("audit.db*"), home.commitments):
        path.unlink(missing_ok=True)
    for path in kept.iterdir():
        log = path.name != home.commitments.name
        shutil.copy2(path, home.agent / path.name if log else home.commitments)


@pytest.fixture
def member(wire: Wire, home: SiteHome, centre: PaperCentre) -> SiteHome:
    joined(home, centre)
    fetch(home, centre.clock)
    return home


def test_each_question_of_a_member_has_the_log_countersigned(
    member: SiteHome, centre: PaperCentre
) -> None:
    fetch(member, centre.clock)  # before there is a log
    write(member, 3)
    fetch(member, centre.clock)
    with log_of(member) as log:
        head = log.head()
    assert countersigned(member, own_of(member)).heads[-1] == (3, head.hash)
    found = json.loads(verified(member).stdout)
    assert found["countersigned"] == {"heads": 2, "last": int(centre.clock())}


def test_a_log_cut_below_a_countersigned_head_is_broken(
    member: SiteHome, centre: PaperCentre, tmp_path: Path
) -> None:
    write(member, 3)
    for path in member.agent.glob("audit.db*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write(member, 2, start=3)
    fetch(member, centre.clock)
    for path in member.agent.glob("audit.db*"):
        path.unlink()
    for path in tmp_path.glob("audit.db*"):
        shutil.copy2(path, member.agent / path.name)
    done = verified(member)
    assert done.exit_code == 1
    assert "AUDIT_BROKEN: the log is broken at record 4" in done.stderr
    with log_of(member) as log, pytest.raises(AuditError, match="record 4"):
        log.confirm(countersigned(member, own_of(member)).heads)


def test_a_log_written_anew_with_the_sites_own_key_is_broken(
    member: SiteHome, centre: PaperCentre
) -> None:
    write(member, 5)
    fetch(member, centre.clock)
    for path in member.agent.glob("audit.db*"):
        path.unlink()
    write(member, 6, start=100)
    done = verified(member)
    assert done.exit_code == 1
    assert "record 5: the log never went through a head that is kept" in done.stderr


def test_log_and_commitments_restored_together_show_once_the_centre_was_asked(
    member: SiteHome, centre: PaperCentre, tmp_path: Path
) -> None:
    write(member, 2)
    fetch(member, centre.clock)
    copied(member, tmp_path / "old")
    write(member, 2, start=2)
    fetch(member, centre.clock)
    newest = tmp_path / "new"
    copied(member, newest)
    restored(member, tmp_path / "old")
    assert verified(member).exit_code == 0, "nobody here can know yet"
    assert fetch(member, centre.clock).state == "admitted", "it stays a member"
    done = verified(member)
    assert done.exit_code == 1
    assert "AUDIT_BROKEN: the centre countersigned a log that is not here" in done.stderr


def test_a_site_that_deletes_everything_is_noticed_too(
    member: SiteHome, centre: PaperCentre
) -> None:
    write(member, 2)
    fetch(member, centre.clock)
    for path in (*member.agent.glob("audit.db*"), member.commitments):
        path.unlink()
    write(member, 2)
    fetch(member, centre.clock)
    assert "the centre countersigned a log that is not here" in verified(member).stderr


def test_an_answer_that_was_lost_is_no_alarm(
    member: SiteHome, centre: PaperCentre, wire: Wire
) -> None:
    write(member, 2)

    def lose(table: dict[str, Any]) -> None:
        raise SignatureError("cut off")

    wire.change = lose
    with pytest.raises(SignatureError):
        fetch(member, centre.clock)
    wire.change = lambda table: None
    write(member, 1, start=2)
    fetch(member, centre.clock)
    assert verified(member).exit_code == 0


def test_what_is_sent_has_one_size_and_is_never_the_same(
    member: SiteHome, centre: PaperCentre, wire: Wire
) -> None:
    wire.sent.clear()
    for count in (0, 0, 1, 40):
        write(member, count)
        fetch(member, centre.clock)
    assert len({len(body) for _, body in wire.sent}) == 1
    shown = {json.loads(read_envelope(body).content)["audit"] for _, body in wire.sent}
    assert len(shown) == 4


def test_the_centres_word_is_on_this_sites_commitment_or_on_none(
    member: SiteHome, centre: PaperCentre, wire: Wire
) -> None:
    key = SigningKey.load(centre.home.centre_key)
    own = SigningKey.load(member.identity_key).public.text
    good = {"federation": centre.federation, "identity": own, "digest": "0a" * 32, "time": 1}
    words = [
        Countersigned(**{**good, **change}).sign(signer).to_json()  # type: ignore[arg-type]
        for signer, change in (
            (key, {}),  # on something else
            (key, {"identity": "another"}),
            (key, {"federation": "another"}),
            (SigningKey.generate(), {}),
        )
    ]
    before = member.commitments.read_bytes() if member.commitments.exists() else b""
    for word in (*words, "", "not JSON"):
        wire.change = lambda table, word=word: table.update(countersigned=word)  # type: ignore[misc]
        with pytest.raises(SignatureError):
            fetch(member, centre.clock)
    assert b'"signed"' not in member.commitments.read_bytes().removeprefix(before)
    wire.change = lambda table: table.pop("countersigned", None)
    fetch(member, centre.clock)  # a centre of an older release gives none


def test_a_centre_without_room_still_says_how_a_site_stands(
    member: SiteHome, centre: PaperCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(centre.home.commitments, ignore_errors=True)
    centre.home.commitments.write_text("in the way")
    assert fetch(member, centre.clock).state == "admitted"


def test_a_site_without_room_hears_how_it_stands_all_the_same(
    member: SiteHome, centre: PaperCentre
) -> None:
    member.commitments.unlink(missing_ok=True)
    member.commitments.mkdir()
    assert fetch(member, centre.clock).state == "admitted"


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw.replace(b'"index": 2', b'"index": 1'),
        lambda raw: raw.replace(b'"nonce": "', b'"nonce": "00'),
        lambda raw: raw.replace(b'"kind": "made"', b'"kind": "gone"'),
        lambda raw: b"\n".join(line for line in raw.split(b"\n") if b'"made"' not in line),
        lambda raw: raw.replace(b'"digest', b'"Digest').replace(b"time", b"Time"),
    ],
)
def test_a_file_of_commitments_that_was_altered_is_noticed(
    member: SiteHome, centre: PaperCentre, damage: Any
) -> None:
    write(member, 2)
    fetch(member, centre.clock)
    raw = member.commitments.read_bytes()
    assert damage(raw) != raw
    member.commitments.write_bytes(damage(raw))
    assert "AUDIT_BROKEN: commitments.jsonl was altered" in verified(member).stderr
    assert fetch(member, centre.clock).state == "admitted"


def test_a_line_that_a_crash_tore_is_written_over(member: SiteHome, centre: PaperCentre) -> None:
    write(member, 2)
    fetch(member, centre.clock)
    with member.commitments.open("ab") as file:
        file.write(b'{"kind": "made", "ind')
    assert verified(member).exit_code == 0
    fetch(member, centre.clock)
    assert verified(member).exit_code == 0
    assert member.commitments.read_bytes().endswith(b"}\n")


def test_two_heads_have_no_commitment_in_common() -> None:
    made = {
        commitment((index, bytes([value]) * 32), bytes([nonce]) * 32)
        for index in range(3)
        for value in range(3)
        for nonce in range(3)
    }
    assert len(made) == 27
    for head, nonce in (((1, b"short"), bytes(32)), ((1, bytes(32)), b"short")):
        with pytest.raises(ValueError, match="32 bytes"):
            commitment(head, nonce)


def test_a_word_of_another_purpose_is_none(member: SiteHome, centre: PaperCentre) -> None:
    key = SigningKey.load(centre.home.centre_key)
    with pytest.raises(SignatureError):
        read_countersigned(member.roster.read_text(), key.public)


def opened_where_seen(home: SiteHome) -> AuditLog:
    """As the door opens it."""
    key = SigningKey.load(home.identity_key)
    heads = countersigned(home, key.public).heads
    site = home.config().name
    return AuditLog(AuditPlace(path=home.audit, key=key, site=site, passed=heads))


def test_a_door_does_not_open_on_a_log_that_the_centre_did_not_see(
    member: SiteHome, centre: PaperCentre
) -> None:
    write(member, 3)
    fetch(member, centre.clock)
    opened_where_seen(member).close()
    for path in member.agent.glob("audit.db*"):
        path.unlink()
    with pytest.raises(AuditError, match="is gone"):
        opened_where_seen(member)
    for path in member.agent.glob("audit.db*"):
        path.unlink()
    write(member, 5, start=50)
    with pytest.raises(AuditError, match="record 3"):
        opened_where_seen(member)


def test_an_operator_goes_on_without_a_lost_log_and_that_is_written_down(
    member: SiteHome, centre: PaperCentre, tmp_path: Path
) -> None:
    write(member, 2)
    copied(member, tmp_path / "old")
    write(member, 2, start=2)
    fetch(member, centre.clock)
    restored(member, tmp_path / "old")
    fetch(member, centre.clock)
    assert verified(member).exit_code == 1
    typed = ["audit", "acknowledge", "--home", str(member.folder)]
    assert CliRunner().invoke(main, typed, input="n\n").exit_code == 1
    assert verified(member).exit_code == 1
    assert CliRunner().invoke(main, [*typed, "--yes"]).exit_code == 0
    assert verified(member).exit_code == 0
    with opened_where_seen(member) as log:
        assert [entry.event.outcome for entry in log.entries()][-1] == "acknowledged"
    fetch(member, centre.clock)
    assert verified(member).exit_code == 0
    head = countersigned(member, own_of(member)).heads[-1]
    assert head[0] == 3, "from now on this one is held to"


def test_a_log_is_verified_after_its_site_left(member: SiteHome, centre: PaperCentre) -> None:
    write(member, 2)
    done = CliRunner().invoke(main, ["leave", "--yes", "--home", str(member.folder)])
    assert done.exit_code == 0, done.output
    assert not member.identity_key.exists()
    assert json.loads(verified(member).stdout)["verified"] == 2
