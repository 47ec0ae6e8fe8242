"""`mascaron-site audit`, `report` and `receipt`, typed by an operator or by somebody outside."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from client.audit import receipts
from client.audit.log import SIX_MONTHS, AuditLog
from client.cli import main
from client.home import SiteHome
from client.vault.store import Erasure
from tests.small_audit import NOW, event, filled, key, place, tag
from tests.small_vault import person

SITE = '[site]\nname = "north"\ntrunk = "trunk/trunk.toml"\npublic = "public"\n'
MEMBER = SITE + 'centre = "fl.example:8443"\ncamera_type = "door"\npeople = 40\n'
CONTROLLER = """
[controller]
name = "Example Ltd"
contact = "1 Example Street"
protection_officer = "dpo@example"
consent_texts = ["consent.txt"]
"""


@pytest.fixture
def site(tmp_path: Path) -> SiteHome:
    home = SiteHome(tmp_path / "site")
    home.prepare()
    key().save(home.identity_key)
    home.settings.write_text(SITE)
    return home


def typed(home: SiteHome, *words: object) -> Result:
    return CliRunner().invoke(main, [*map(str, words), "--home", str(home.folder)])


def told(home: SiteHome, *words: object) -> dict[str, Any]:
    done = typed(home, *words)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_a_log_is_verified_shown_and_exported_while_the_agent_has_it(site: SiteHome) -> None:
    with AuditLog(place(site.audit)) as log:
        for n in range(7):
            log.append(event(n))
        found = told(site, "audit", "verify")
        assert (found["verified"], found["first"]) == (7, 1)
        assert found["head"]["hash"] == log.head().hash.hex()
        rows = told(site, "audit", "show", "--after", 5)["entries"]
        assert [row["index"] for row in rows] == [6, 7]
        assert rows[0]["outcome"] == "match"
        out = site.folder / "all.jsonl"
        exported = told(site, "audit", "export", out)
    assert exported["exported"] == 7
    assert exported["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    head, *lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert head["key"] == key().public.text
    assert [line["index"] for line in lines] == list(range(1, 8))
    assert typed(site, "audit", "export", out).exit_code == 2, "nothing is overwritten"


def test_somebody_outside_verifies_a_copy_by_the_key_alone(site: SiteHome, tmp_path: Path) -> None:
    filled(site.audit, range(5))
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("audit.db", "audit.db.head"):
        shutil.copyfile(site.agent / name, copy / name)
    nowhere = SiteHome(tmp_path / "nowhere")
    words = ("audit", "verify", copy / "audit.db", "--key", key().public.text, "--site", "north")
    assert told(nowhere, *words)["verified"] == 5
    for wrong in (("--key", key(2).public.text), ("--site", "south")):
        done = typed(nowhere, *words, *wrong)
        assert done.exit_code == 1
        assert "AUDIT_BROKEN" in done.stderr
    assert typed(nowhere, *words[:3]).exit_code == 2
    assert typed(nowhere, *words, "--key", "no key").exit_code == 2


def test_a_broken_log_is_named_by_its_first_broken_record(site: SiteHome) -> None:
    filled(site.audit, range(5))
    content = site.audit.read_bytes()
    at = content.index(event(2).subject)
    site.audit.write_bytes(content[:at] + b"?" + content[at + 1 :])
    for words in (("verify",), ("show",), ("export", site.folder / "out")):
        done = typed(site, "audit", *words)
        assert done.exit_code == 1
        assert "AUDIT_BROKEN: the log is broken at record 3" in done.stderr
        assert not done.stdout


def test_a_site_without_a_log_is_told_so(site: SiteHome) -> None:
    for words in (("verify",), ("show",), ("prune", "--before", "2020-01-01")):
        done = typed(site, "audit", *words)
        assert done.exit_code == 2
        assert "there is no audit log" in done.stderr


def test_pruning_leaves_a_row_of_itself_and_waits_for_the_agent(site: SiteHome) -> None:
    filled(site.audit, range(5))
    done = told(site, "audit", "prune", "--before", "2024-01-01")  # the rows are of 2023
    assert done["pruned"] == 5
    assert done["head"]["index"] == 6
    assert told(site, "audit", "verify")["first"] == 6
    assert [row["kind"] for row in told(site, "audit", "show")["entries"]] == ["audit"]
    with AuditLog(place(site.audit)):
        held = typed(site, "audit", "prune", "--before", "2024-01-01")
    assert (held.exit_code, held.stderr[:11]) == (1, "Error: BUSY")
    late = typed(site, "audit", "prune", "--before", "2999-01-01")
    assert late.exit_code == 2
    assert "six months" in late.stderr


def test_a_receipt_is_checked_at_home_and_anywhere_else(site: SiteHome, tmp_path: Path) -> None:
    erasure = Erasure(
        persons=(person(1),),
        epoch_before=1,
        epoch_after=2,
        keyring_before="0a" * 32,
        keyring_after="0b" * 32,
        generation=3,
        at=NOW,
    )
    file = tmp_path / "receipt.json"
    text = receipts.issue(erasure, [tag(1)], 4, "north", key()).to_json()
    file.write_text(text)
    assert told(site, "receipt", "check", file)["subjects"] == [tag(1).hex()]
    nowhere = SiteHome(tmp_path / "nowhere")
    assert told(nowhere, "receipt", "check", file, "--key", key().public.text)["index"] == 4
    assert typed(nowhere, "receipt", "check", file, "--key", key(2).public.text).exit_code == 1
    file.write_text(text.replace("north", "south"))
    done = typed(site, "receipt", "check", file)
    assert (done.exit_code, "SIGNATURE_INVALID" in done.stderr) == (1, True)
    assert typed(site, "receipt", "check", tmp_path / "none").exit_code == 2


def test_the_record_of_processing_says_what_is_still_to_be_written(site: SiteHome) -> None:
    found = told(site, "report", "ropa")
    assert found["missing"] == [
        "[controller] name",
        "[controller] contact",
        "[controller] protection_officer",
        "[controller] consent_texts",
    ]
    assert [purpose.split(":")[0] for purpose in found["purposes"]] == ["verify"]
    assert found["recipients"] == []


def test_the_record_of_processing_follows_the_rules_that_are_in_force(site: SiteHome) -> None:
    site.settings.write_text(MEMBER + CONTROLLER + "[door]\nidentify = true\nretention_days = 90\n")
    site.policy.write_text("epsilon = 3.0\ndelta = 1e-5\ndeclared_people = 40\n")
    (site.folder / "consent.txt").write_text("the words")
    found = told(site, "report", "ropa")
    assert found["missing"] == []
    assert found["controller"]["name"] == "Example Ltd"
    kinds = [purpose.split(":")[0] for purpose in found["purposes"]]
    assert kinds == ["verify", "identify", "training"]
    with site.policy.open("a") as file:
        file.write('heads = ["age"]\n')
    purposes = told(site, "report", "ropa")["purposes"]
    assert purposes[-1].startswith("labels: heads learn age ")
    digest = hashlib.sha256(b"the words").hexdigest()
    assert found["consent_texts"] == [{"file": "consent.txt", "sha256": digest}]
    assert "90 days" in found["erasure"]["templates and consent"]
    assert any("two people confirmed" in measure for measure in found["security"])
    assert "epsilon 3" in found["recipients"][0]
    assert found["declared_people"] == 40
    (site.folder / "consent.txt").unlink()
    assert typed(site, "report", "ropa").exit_code == 2


def test_no_count_of_anything_is_in_the_record_of_processing(site: SiteHome) -> None:
    before = told(site, "report", "ropa")
    filled(site.audit, range(20))
    assert told(site, "report", "ropa") == before
    assert SIX_MONTHS >= 184 * 86400


def test_a_log_that_was_taken_away_whole_is_missed(site: SiteHome) -> None:
    filled(site.audit, range(2))
    site.audit.unlink()
    done = typed(site, "audit", "verify")
    assert (done.exit_code, "AUDIT_BROKEN" in done.stderr) == (1, True)
