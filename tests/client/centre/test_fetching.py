"""A site fetches what the centre put in force for it, keeps it, and says what it was shown."""

import json
from pathlib import Path

import pytest

from client.centre.releases import kept_history, kept_release, trusted
from client.commands.admission import admission_command
from client.commands.evidence import content_of, fetch_command, show_command
from client.doctor.findings import Machine
from client.doctor.releases import check_releases
from common.errors import (
    AdmissionError,
    ConfigError,
    HistoryError,
    NotDueError,
    SplitViewError,
    WireError,
)
from common.evidence.history import History, read_entry
from common.trust.signed import Signed
from tests.vouched_site import Vouched, biased


@pytest.fixture
def vouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vouched:
    return Vouched(tmp_path, monkeypatch)


def test_before_the_first_release_there_is_nothing_to_stage(vouched: Vouched) -> None:
    told = fetch_command(vouched.home, vouched.centre.clock)
    assert (told["entries"], told["due"], told["next"]) == (0, None, "nothing")
    assert show_command(vouched.home, None) == {"history": []}
    with pytest.raises(NotDueError):
        content_of(vouched.home, None)


def test_a_release_in_force_is_fetched_kept_and_shown_with_its_figures(vouched: Vouched) -> None:
    made = vouched.promote(2)
    told = fetch_command(vouched.home, vouched.centre.clock)
    assert [entry["action"] for entry in told["new"]] == ["promote"]
    assert told["due"]["release"] == made.digest
    assert told["due"]["passes"] and told["next"] == "`mascaron-site release stage`"
    assert told["due"]["figures"]["tar_at_far"]["1e-2"]["value"] == 0.9
    assert content_of(vouched.home, None) == made.to_bytes()
    assert show_command(vouched.home, made.digest[:8])["gates"] == told["due"]["gates"]
    again = fetch_command(vouched.home, vouched.centre.clock)
    assert (again["new"], again["due"]) == ([], told["due"])
    assert len(vouched.asked("release")) == 1


def test_what_was_shown_is_stated_in_the_next_question(vouched: Vouched) -> None:
    vouched.promote(2)
    vouched.fetch()
    stated = [json.loads(asked["witness"]) for asked in vouched.asked("releases")]
    words = [json.loads(signed["content"])["content"] for signed in stated]
    assert words == ["", vouched.history.texts[0].content]
    crossing = vouched.fetch().crossing
    assert (crossing.agreeing, crossing.silent) == (("north",), ("south",))


def test_asking_how_the_site_stands_states_what_it_was_shown_and_fetches_no_release(
    vouched: Vouched,
) -> None:
    vouched.promote(2)
    assert admission_command(vouched.home, vouched.centre.clock)["releases"] == 1
    stated = json.loads(vouched.asked("releases")[-1]["witness"])
    assert json.loads(stated["content"])["content"] == vouched.history.texts[0].content
    assert not vouched.home.fetched.exists()
    vouched.put(History(vouched.centre.federation))
    with pytest.raises(HistoryError):
        admission_command(vouched.home, vouched.centre.clock)
    vouched.wire.change = lambda table: table.pop("entries", None)
    with pytest.raises(WireError):
        admission_command(vouched.home, vouched.centre.clock)


def test_a_canary_is_due_where_it_is_named_and_nowhere_else(vouched: Vouched) -> None:
    first, second = vouched.promote(2), vouched.release(3)
    vouched.put(vouched.longer("canary", second, sites=("south",)))
    found = vouched.fetch().release
    assert found is not None and found.digest == first.digest
    vouched.put(vouched.longer("canary", second, sites=("north",)))
    found = vouched.fetch().release
    assert found is not None and found.digest == second.digest


def test_gates_of_the_site_are_its_own(vouched: Vouched) -> None:
    vouched.promote(2)
    text = vouched.home.policy.read_text("utf-8")
    vouched.home.policy.write_text(text.replace("# least_tar = 0.9", "least_tar = 0.95"), "utf-8")
    told = fetch_command(vouched.home, vouched.centre.clock)
    assert [one["gate"] for one in told["due"]["gates"] if not one["held"]] == ["tar"]
    assert not told["due"]["passes"] and "refuse" in told["next"]
    vouched.home.policy.write_text(text.replace("# least_tar", "leest_tar"), "utf-8")
    with pytest.raises(ConfigError, match="did you mean 'least_tar'"):
        fetch_command(vouched.home, vouched.centre.clock)


def test_evidence_that_fails_is_shown_and_not_offered(vouched: Vouched) -> None:
    vouched.put(vouched.longer("promote", vouched.release(2, biased)))
    told = fetch_command(vouched.home, vouched.centre.clock)
    assert [one["gate"] for one in told["due"]["gates"] if not one["held"]] == ["groups"]
    assert told["next"] == "nothing: gates of this site refuse it"


def test_a_release_that_was_altered_on_the_disk_is_fetched_again(vouched: Vouched) -> None:
    made = vouched.promote(2)
    vouched.fetch()
    [path] = vouched.home.fetched.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-2000] + bytes(2000))
    vouched.fetch()
    us = trusted(vouched.home)
    kept = kept_release(vouched.home, us, made.digest)
    assert kept is not None and kept.to_bytes() == content


def test_old_releases_go_and_the_history_stays(vouched: Vouched) -> None:
    for seed in range(2, 13):
        vouched.promote(seed)
        vouched.fetch()
    assert len(list(vouched.home.fetched.iterdir())) == 8
    assert len(kept_history(vouched.home, trusted(vouched.home)).entries) == 11


def test_a_history_that_was_altered_on_the_disk_is_told(vouched: Vouched) -> None:
    vouched.promote(2)
    vouched.fetch()
    vouched.home.history.write_text("[1]", "utf-8")
    with pytest.raises(HistoryError):
        vouched.fetch()


def test_who_is_not_admitted_has_nobody_to_believe(vouched: Vouched) -> None:
    vouched.home.centre_key.unlink()
    with pytest.raises(AdmissionError):
        vouched.fetch()


def illness(vouched: Vouched) -> list[tuple[bool, str]]:
    home = vouched.home
    machine = Machine(now=vouched.centre.clock, space=lambda _: 0, ask_agent=lambda *_: "")
    return [(one.ok, one.cause) for one in check_releases(home, home.config(), machine)]


@pytest.mark.parametrize("who", ["another site", "this site"])
def test_two_histories_are_kept_as_proof_in_the_centres_own_hand(
    vouched: Vouched, who: str
) -> None:
    first = vouched.promote(2)
    vouched.fetch()
    assert illness(vouched) == [(True, "")]
    ours = vouched.history
    theirs = History(vouched.centre.federation)
    vouched.put(theirs)
    vouched.promote(4)
    if who == "another site":
        vouched.south_saw(vouched.history)
        vouched.put(ours)
    for _ in range(2):
        with pytest.raises(SplitViewError):
            vouched.fetch()
    proof = json.loads(vouched.home.split_view.read_text("utf-8"))
    us = trusted(vouched.home)
    entries = [read_entry(Signed.from_json(text), us.centre) for text in proof["entries"]]
    assert [entry.number for entry in entries] == [1, 1]
    assert entries[0].release == first.digest != entries[1].release
    assert {entry.federation for entry in entries} == {proof["federation"]}
    [(ok, cause)] = illness(vouched)
    assert not ok and "split-view.json" in cause


def test_a_release_that_is_due_and_was_not_fetched_is_an_illness(vouched: Vouched) -> None:
    made = vouched.promote(2)
    vouched.fetch()
    (vouched.home.fetched / f"{made.digest}.release").unlink()
    [(ok, cause)] = illness(vouched)
    assert not ok and made.digest[:12] in cause
