"""A centre that lies about releases, and an operator who stages what nobody signed: each is stopped
by the check that is there for it, and by its reason."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.commands.evidence import fetch_command
from client.door.callers import Caller, CallerBook, Role
from client.door.main import serve
from client.door.proofs import by_token
from client.recognition import Recognition
from client.serving.listening import OWN_DOOR
from common.errors import MascaronError
from common.evidence.bundle import ENDING, Release
from common.evidence.history import History
from common.models.tail_file import tail_bytes
from common.trust.keys import SigningKey
from server.release.registry import Registry
from tests.small_headed import heads_of
from tests.small_reception import Site
from tests.small_releases import DIM, tail_of
from tests.small_vault import TRUNK
from tests.vouched_site import Vouched, biased

Attack = Callable[[Vouched], object]
FLIPS = 25


@pytest.fixture
def vouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vouched:
    return Vouched(tmp_path, monkeypatch)


@pytest.fixture
def operator(vouched: Vouched, tmp_path: Path) -> Iterator[Recognition]:
    """Who holds the operator's token, at a real door of the member's site."""
    with Site(tmp_path / "door") as site:
        site.open_for(range(1, 13))
        book = CallerBook(tmp_path / "callers.json")
        caller = Caller(name="op", roles=frozenset(Role), hourly=1000, daily=1000)
        token, socket = book.add(caller, os.urandom), tmp_path / "d.sock"
        reception = site.with_parts(vouching=vouched.member)
        with (
            serve(reception, f"unix:{socket}", OWN_DOOR, by_token(book)),
            Recognition.at(socket, token) as door,
        ):
            yield door


def reason(act: Callable[[], object]) -> str:
    with pytest.raises(MascaronError) as refused:
        act()
    return refused.value.reason


def rebuilt(made: Release, other: Release, vouched: Vouched) -> None:
    """The registry gives the bytes of ``other`` under the name of ``made``."""
    path = vouched.centre.home.releases / (made.digest + ENDING)
    path.write_bytes(other.to_bytes())


def test_figures_that_fail_are_signed_in_vain(vouched: Vouched, operator: Recognition) -> None:
    made = vouched.release(2, biased)
    vouched.put(vouched.longer("promote", made))
    assert fetch_command(vouched.home, vouched.centre.clock)["due"]["passes"] is False
    assert reason(lambda: operator.stage_signed(made.to_bytes())) == "EVIDENCE_REFUSED"
    assert operator.status().staged == ""


def test_an_epsilon_that_the_plan_does_not_pay_for_is_signed_in_vain(
    vouched: Vouched, operator: Recognition
) -> None:
    def boast(sections: Any) -> None:
        told = sections["statement"]
        sections["statement"] = replace(told, figures={**told.figures, "epsilon": 0.5})

    made = vouched.release(2, boast)
    vouched.put(vouched.longer("promote", made))
    vouched.fetch()
    assert reason(lambda: operator.stage_signed(made.to_bytes())) == "EVIDENCE_REFUSED"


def test_two_histories_for_two_sites_are_found_out_by_what_the_other_one_says(
    vouched: Vouched,
) -> None:
    first, second = vouched.release(2), vouched.release(3)
    mine, theirs = vouched.longer("promote", first), vouched.longer("promote", second)
    vouched.put(mine)
    vouched.south_saw(theirs)
    assert reason(vouched.fetch) == "SPLIT_VIEW"
    assert not vouched.home.history.exists()


def test_two_histories_one_after_the_other_are_found_out_by_this_site_alone(
    vouched: Vouched,
) -> None:
    first, second = vouched.release(2), vouched.release(3)
    other = vouched.longer("promote", second)
    vouched.put(vouched.longer("promote", first))
    vouched.fetch()
    kept = vouched.home.history.read_bytes()
    vouched.put(other)
    assert reason(vouched.fetch) == "SPLIT_VIEW"  # of the same length
    vouched.put(vouched.longer("canary", first, sites=("north",)))
    assert reason(vouched.fetch) == "SPLIT_VIEW"
    assert vouched.home.history.read_bytes() == kept


def test_a_history_that_others_saw_longer_is_refused(vouched: Vouched) -> None:
    vouched.promote(2)
    before = vouched.history
    vouched.promote(3)
    vouched.south_saw(vouched.history)
    vouched.put(before)
    assert reason(vouched.fetch) == "HISTORY_REFUSED"


def shortens(vouched: Vouched) -> None:
    vouched.put(History(vouched.centre.federation))


def promotes_the_old_one_again(vouched: Vouched) -> None:
    old = vouched.history.entries[0].release
    vouched.shows(vouched.forged(action="promote", release=old))


def makes_it_a_canary(vouched: Vouched) -> None:
    old = vouched.history.entries[0].release
    vouched.shows(vouched.forged(action="canary", release=old, sites=("north",)))


def signs_as_another_centre(vouched: Vouched) -> None:
    old = vouched.history.entries[0].release
    vouched.key = SigningKey.generate()
    vouched.shows(vouched.forged(action="rollback", release=old, reason="none"))


def leaves_an_entry_out(vouched: Vouched) -> None:
    vouched.put(vouched.longer("promote", vouched.release(4)))
    vouched.put(vouched.longer("promote", vouched.release(5)))
    last = vouched.history.texts[-1].to_json()

    def lie(table: dict[str, Any]) -> None:
        if table.get("entries"):
            table.update(entries=[table["entries"][0], last], number=3)

    vouched.wire.change = lie


def forgets_what_it_showed_last(vouched: Vouched) -> None:
    vouched.wire.change = lambda table: table.update(entries=[]) if "entries" in table else None


def counts_more_than_it_shows(vouched: Vouched) -> None:
    vouched.wire.change = lambda table: table.update(number=9) if "number" in table else None


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (shortens, "HISTORY_REFUSED"),
        (promotes_the_old_one_again, "HISTORY_REFUSED"),
        (makes_it_a_canary, "HISTORY_REFUSED"),
        (signs_as_another_centre, "SIGNATURE_INVALID"),
        (leaves_an_entry_out, "HISTORY_REFUSED"),
        (forgets_what_it_showed_last, "HISTORY_REFUSED"),
        (counts_more_than_it_shows, "HISTORY_REFUSED"),
    ],
)
def test_nothing_goes_back_in_silence(
    vouched: Vouched, operator: Recognition, attack: Attack, told: str
) -> None:
    first = vouched.promote(2)
    vouched.promote(3)
    vouched.fetch()
    kept = vouched.home.history.read_bytes()
    attack(vouched)
    assert reason(vouched.fetch) == told
    assert vouched.home.history.read_bytes() == kept
    assert reason(lambda: operator.stage_signed(first.to_bytes())) == "RELEASE_NOT_DUE"


def test_bytes_of_another_release_or_of_none_are_not_kept(vouched: Vouched) -> None:
    made, other = vouched.release(2), vouched.release(3)
    vouched.put(vouched.longer("promote", made))
    rebuilt(made, other, vouched)
    assert reason(vouched.fetch) == "RELEASE_REFUSED"
    path = vouched.centre.home.releases / (made.digest + ENDING)
    path.write_bytes(Registry(vouched.centre.home).get(other.digest).to_bytes()[:-512])
    assert reason(vouched.fetch) == "RELEASE_REFUSED"
    path.write_bytes(replace(made, signature="").to_bytes())
    assert reason(vouched.fetch) == "SIGNATURE_INVALID"
    assert not vouched.home.fetched.exists()


def test_any_altered_byte_of_a_release_is_noticed_on_the_way_and_at_the_door(
    vouched: Vouched, operator: Recognition
) -> None:
    made = vouched.promote(2, heads_of(2, trunk=TRUNK, width=DIM))
    vouched.fetch()
    content, draw = made.to_bytes(), np.random.default_rng(1)
    for _ in range(FLIPS):
        spoilt = bytearray(content)
        spoilt[draw.integers(len(spoilt))] ^= 1 << int(draw.integers(8))
        told = reason(lambda spoilt=spoilt: operator.stage_signed(bytes(spoilt)))
        assert told in ("RELEASE_REFUSED", "RELEASE_NOT_DUE", "SIGNATURE_INVALID")
    assert operator.status().staged == ""
    staged = operator.stage_signed(content)
    assert (staged.staged, staged.staged_heads) == (tail_of(2).hash, made.heads_file)


def test_an_older_release_that_was_signed_is_not_staged_again(
    vouched: Vouched, operator: Recognition
) -> None:
    first = vouched.promote(2)
    vouched.promote(3)
    vouched.fetch()
    assert reason(lambda: operator.stage_signed(first.to_bytes())) == "RELEASE_NOT_DUE"


def test_an_operator_stages_nothing_that_nobody_signed(
    vouched: Vouched, operator: Recognition
) -> None:
    made = vouched.promote(2)
    vouched.fetch()
    tail = tail_bytes(tail_of(2), TRUNK)  # the very tail of the release, without its evidence
    assert reason(lambda: operator.stage(tail)) == "RELEASE_UNSIGNED"
    own = replace(made, signature="").sign(SigningKey.generate())
    assert reason(lambda: operator.stage_signed(own.to_bytes())) == "SIGNATURE_INVALID"
    bare = replace(made, signature="")
    assert reason(lambda: operator.stage_signed(bare.to_bytes())) == "SIGNATURE_INVALID"
    assert reason(lambda: operator.stage_signed(tail)) == "RELEASE_REFUSED"
    assert reason(lambda: operator.stage(b"")) == "INVALID_REQUEST"
    assert operator.status().staged == ""
    rows = [row for row in operator.audit_rows() if row.kind == "stage"]
    assert {row.outcome for row in rows if row.outcome != "pending"} >= {
        "RELEASE_UNSIGNED",
        "SIGNATURE_INVALID",
        "RELEASE_REFUSED",
    }


def test_an_operator_signs_no_entry_of_the_history(vouched: Vouched, operator: Recognition) -> None:
    made = vouched.release(2)
    vouched.key = SigningKey.load(vouched.home.identity_key)  # all that a site can sign by
    forged = vouched.forged(action="promote", release=made.digest)
    vouched.home.history.write_text(json.dumps([forged.to_json()]), "utf-8")
    assert reason(lambda: operator.stage_signed(made.to_bytes())) == "SIGNATURE_INVALID"
    assert hashlib.sha256(made.manifest.to_json().encode()).hexdigest() == made.digest
