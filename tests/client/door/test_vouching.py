"""At a member's door a release is staged that the centre vouches for, and nothing else."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from client.commands.evidence import word_of_centre
from client.door.reception import Reception
from client.door.vouching import Alone, Member, accepted_plan
from client.privacy.ledger import Budget, Ledger
from client.recognition import Standing
from common.errors import (
    EvidenceError,
    HistoryError,
    MascaronError,
    NotDueError,
    ReleaseError,
    SplitViewError,
    UnsignedError,
    WithdrawnError,
)
from tests import small_evidence
from tests.small_reception import ANYTHING, Site
from tests.small_releases import TARGET, tail_of
from tests.small_vault import TRUNK
from tests.vouched_site import Vouched, biased


@pytest.fixture
def vouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vouched:
    return Vouched(tmp_path, monkeypatch)


@pytest.fixture
def site(quick_path: Path) -> Iterator[Site]:
    with Site(quick_path / "door") as made:
        made.open_for(range(1, 13))
        yield made


@pytest.fixture
def door(vouched: Vouched, site: Site) -> Reception:
    return site.with_parts(vouching=vouched.member)


def staged(door: Reception) -> str | None:
    return door.status(ANYTHING).staged


def standing(door: Reception) -> Standing:
    told = door.status(ANYTHING)
    parts = ("active", "staged", "previous")
    names = {key: getattr(told, key) or "" for one in parts for key in (one, f"{one}_heads")}
    return SimpleNamespace(**names)  # type: ignore[return-value]


def test_a_release_in_force_is_staged_with_its_digest_in_the_row(
    vouched: Vouched, site: Site, door: Reception
) -> None:
    made = vouched.promote(2)
    vouched.fetch()
    door.stage_signed(ANYTHING, made.to_bytes())
    assert staged(door) == tail_of(2).hash
    event = site.rows()[-1].event
    assert (event.kind.value, event.outcome) == ("stage", "done")
    assert event.reference.endswith(f":{tail_of(2).hash[:12]}:{made.digest}")
    door.promote(ANYTHING)
    assert door.status(ANYTHING).active == tail_of(2).hash


def test_a_plain_tail_needs_the_word_of_the_policy(vouched: Vouched, door: Reception) -> None:
    with pytest.raises(UnsignedError):
        door.stage(ANYTHING, tail_of(2), TRUNK)
    assert staged(door) is None
    text = vouched.home.policy.read_text("utf-8")
    vouched.home.policy.write_text(text.replace("unsigned = false", "unsigned = true"), "utf-8")
    door.stage(ANYTHING, tail_of(2), TRUNK)
    assert staged(door) == tail_of(2).hash


def test_a_policy_that_is_broken_lets_nothing_be_staged(vouched: Vouched, door: Reception) -> None:
    made = vouched.promote(2)
    vouched.fetch()
    vouched.home.policy.write_text("epsilom = 1", "utf-8")
    for stage in (
        lambda: door.stage(ANYTHING, tail_of(2), TRUNK),
        lambda: door.stage_signed(ANYTHING, made.to_bytes()),
    ):
        with pytest.raises(MascaronError):
            stage()
    assert staged(door) is None


def test_evidence_is_judged_by_the_sites_own_gates(vouched: Vouched, door: Reception) -> None:
    made = vouched.release(2, biased)
    vouched.put(vouched.longer("promote", made))
    vouched.fetch()
    with pytest.raises(EvidenceError, match="groups"):
        door.stage_signed(ANYTHING, made.to_bytes())
    assert staged(door) is None


def test_what_is_not_due_here_is_not_staged(vouched: Vouched, door: Reception) -> None:
    first, second, third = vouched.promote(2), vouched.release(3), vouched.release(4)
    vouched.put(vouched.longer("canary", second, sites=("south",)))
    vouched.fetch()
    for other in (second, third):  # of another site's canary; never put in force
        with pytest.raises(NotDueError):
            door.stage_signed(ANYTHING, other.to_bytes())
    vouched.put(vouched.longer("promote", second))
    vouched.fetch()
    with pytest.raises(NotDueError):
        door.stage_signed(ANYTHING, first.to_bytes())
    door.stage_signed(ANYTHING, second.to_bytes())


def test_what_was_withdrawn_is_neither_staged_nor_promoted_nor_gone_back_to(
    vouched: Vouched, door: Reception
) -> None:
    made = vouched.promote(2)
    vouched.fetch()
    door.stage_signed(ANYTHING, made.to_bytes())
    vouched.put(vouched.longer("withdraw", made, reason="a trigger was found"))
    vouched.fetch()
    for act in (
        lambda: door.promote(ANYTHING),
        lambda: door.stage_signed(ANYTHING, made.to_bytes()),
    ):
        with pytest.raises(WithdrawnError):
            act()
    assert door.status(ANYTHING).active == tail_of(1).hash


def test_no_calibration_lets_a_withdrawn_release_be_the_first(
    vouched: Vouched, quick_path: Path
) -> None:
    with Site(quick_path / "new") as site:
        new = site.with_parts(vouching=vouched.member)
        made = vouched.promote(2)
        vouched.fetch()
        new.stage_signed(ANYTHING, made.to_bytes())
        vouched.put(vouched.longer("withdraw", made, reason="a trigger was found"))
        vouched.fetch()
        with pytest.raises(WithdrawnError):
            new.calibrate(ANYTHING, TARGET)
        assert new.status(ANYTHING).active is None


def test_nobody_goes_back_to_a_release_that_was_withdrawn(
    vouched: Vouched, door: Reception
) -> None:
    first = vouched.promote(2)
    vouched.fetch()
    door.stage_signed(ANYTHING, first.to_bytes())
    door.promote(ANYTHING)
    second = vouched.promote(3)
    vouched.fetch()
    door.stage_signed(ANYTHING, second.to_bytes())
    door.promote(ANYTHING)
    vouched.put(vouched.longer("withdraw", first, reason="a trigger was found"))
    vouched.fetch()
    with pytest.raises(WithdrawnError):
        door.rollback(ANYTHING)


def test_the_centre_goes_back_with_a_reason_and_the_operator_decides(
    vouched: Vouched, door: Reception
) -> None:
    first = vouched.promote(2)
    vouched.fetch()
    door.stage_signed(ANYTHING, first.to_bytes())
    door.promote(ANYTHING)
    second = vouched.promote(3)
    vouched.fetch()
    assert "is due: `mascaron-site release stage`" in advice(vouched, door)
    door.stage_signed(ANYTHING, second.to_bytes())
    assert "release promote" in advice(vouched, door)
    door.promote(ANYTHING)
    assert advice(vouched, door) == "nothing"
    vouched.put(vouched.longer("rollback", first, reason="worse at night"))
    vouched.fetch()
    assert door.status(ANYTHING).active == tail_of(3).hash  # nothing goes back by itself
    told = advice(vouched, door)
    assert "worse at night" in told and "release rollback" in told
    door.rollback(ANYTHING)
    assert advice(vouched, door) == "nothing"
    vouched.put(vouched.longer("withdraw", first, reason="worse by day"))
    vouched.fetch()
    assert "was withdrawn: worse by day" in advice(vouched, door)


def test_a_release_in_whose_place_another_was_put_does_not_begin_to_decide(
    vouched: Vouched, door: Reception
) -> None:
    first = vouched.promote(2)
    vouched.fetch()
    door.stage_signed(ANYTHING, first.to_bytes())
    vouched.promote(3)
    vouched.fetch()
    with pytest.raises(NotDueError):
        door.promote(ANYTHING)


def test_the_agent_remembers_the_history_though_trust_is_put_back(
    vouched: Vouched, door: Reception
) -> None:
    vouched.fetch()
    before = vouched.home.history.read_bytes()
    first = vouched.promote(2)
    vouched.fetch()
    door.stage_signed(ANYTHING, first.to_bytes())
    vouched.put(vouched.longer("withdraw", first, reason="a trigger was found"))
    vouched.fetch()
    with pytest.raises(WithdrawnError):
        door.promote(ANYTHING)
    vouched.home.history.write_bytes(before)
    with pytest.raises(WithdrawnError):
        door.promote(ANYTHING)
    vouched.put(type(vouched.history)(vouched.centre.federation))
    vouched.promote(4)
    vouched.home.history.write_bytes(vouched.centre.home.history.read_bytes())
    with pytest.raises(SplitViewError):
        door.promote(ANYTHING)
    vouched.home.vouched.write_bytes(b"{}")
    with pytest.raises(HistoryError):
        door.promote(ANYTHING)


def test_the_plan_of_a_release_is_the_one_this_site_accepted(
    vouched: Vouched, door: Reception
) -> None:
    home = vouched.home
    assert accepted_plan(home, "spring") == ""
    other = small_evidence.plan(TRUNK, people=99)
    with Ledger(home.ledger, home.ledger_key.read_bytes(), Budget(50.0, 1e-3)) as ledger:
        ledger.accept("spring", other)
    assert accepted_plan(home, "spring") == other.digest
    made = vouched.promote(2)
    vouched.fetch()
    with pytest.raises(EvidenceError, match="statement"):
        door.stage_signed(ANYTHING, made.to_bytes())


def test_a_release_of_another_trunk_is_refused(vouched: Vouched, site: Site) -> None:
    made = vouched.promote(2)
    vouched.fetch()
    door = site.with_parts(vouching=Member(vouched.home, "ee" * 32))
    with pytest.raises(EvidenceError, match="about"):
        door.stage_signed(ANYTHING, made.to_bytes())


def test_a_site_alone_stages_a_tail_as_ever_and_has_no_key_for_a_release(
    vouched: Vouched, site: Site
) -> None:
    alone = site.with_parts(vouching=Alone())
    with pytest.raises(ReleaseError, match="alone"):
        alone.stage_signed(ANYTHING, vouched.release(2).to_bytes())
    alone.stage(ANYTHING, tail_of(2), TRUNK)
    assert staged(alone) == tail_of(2).hash


def advice(vouched: Vouched, door: Reception) -> str:
    return str(word_of_centre(vouched.home, standing(door))["advice"])
