"""Cut short anywhere, the old release is in force or the new one; and liars find no way in."""

import dataclasses
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from common.errors import HistoryError, MascaronError, ReleaseError
from common.evidence.bundle import Origin, make_release
from common.evidence.claims import statement_section
from common.evidence.history import History, Step
from common.evidence.limits import Gates, Known, load_gates
from common.evidence.section import About
from common.privacy.plan import MomentMechanism
from server.commands.charter import find
from server.home import CentreHome
from server.release.promoting import First, promote, roll_back, sign_release, sites_of, withdraw
from server.release.registry import Registry
from server.standing import federation_of, roster_of, signing_key
from tests.fakes import TRUNK
from tests.small_centre import NOW
from tests.small_evidence import COMMAND, GRID, PNG, REPORT, sections
from tests.small_registry import RUN, finished, released, tail_of

SITES = [f"site-{n}" for n in range(40)]


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    folder = tmp_path_factory.mktemp("promoting")
    home = finished(folder / "centre")
    one, two = (released(home, folder / "evidence", NOW + n) for n in (0, 9))
    return home.folder, one, two


@pytest.fixture
def home(over: tuple[Path, str, str], tmp_path: Path) -> CentreHome:
    return CentreHome(Path(shutil.copytree(over[0], tmp_path / "centre")))


@pytest.fixture
def digests(over: tuple[Path, str, str]) -> tuple[str, str]:
    return over[1], over[2]


def judged_by(home: CentreHome) -> tuple[Gates, Known]:
    plan = find(home, RUN)[0].plan
    return load_gates(), Known(trunk=plan.trunk, plan=plan.digest)


class PowerCutError(BaseException):
    """Nothing catches it: what a process cannot do any more, it does not do."""


def cut(monkeypatch: pytest.MonkeyPatch, at: int, kind: type[BaseException]) -> None:
    """Fails at call number ``at`` to the system, before or instead of doing it."""
    left = [at]

    def stopping(real: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            left[0] -= 1
            if left[0] == -1:
                raise kind(28, "no space left")
            return real(*arguments, **keywords)

        return call

    for name in ("fsync", "fchmod"):
        monkeypatch.setattr(os, name, stopping(getattr(os, name)))
    monkeypatch.setattr(Path, "replace", stopping(Path.replace))


@pytest.mark.parametrize("kind", [PowerCutError, OSError])
@pytest.mark.parametrize("act", ["promote", "canary", "roll back", "withdraw"])
def test_whichever_write_fails_the_old_history_is_there_or_the_new_one(
    home: CentreHome,
    digests: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    act: str,
    kind: type[BaseException],
) -> None:
    one, two = digests
    promote(home, one, judged_by(home), None, NOW)
    if act in ("roll back", "withdraw"):
        promote(home, two, judged_by(home), None, NOW)
    acts: dict[str, Any] = {
        "promote": lambda: promote(home, two, judged_by(home), None, NOW),
        "canary": lambda: promote(home, two, judged_by(home), First(share=0.5), NOW),
        "roll back": lambda: roll_back(home, one, "dusk", NOW),
        "withdraw": lambda: withdraw(home, two, "dusk", NOW),
    }
    before = Registry(home).history()
    cuts = 0
    while Registry(home).history() == before:
        with monkeypatch.context() as patch:
            cut(patch, cuts, kind)
            try:
                acts[act]()
            except (PowerCutError, MascaronError, OSError):
                cuts += 1
        after = Registry(home).history()
        after.check_extends(before.head)
        assert len(after.entries) - len(before.entries) in (0, 1)
    assert cuts >= 3
    assert Registry(home).history().entries[-1].action in (act, "rollback")
    roster_of(home)
    assert sorted(Registry(home).digests()) == sorted(digests)


def test_two_administrators_at_once_make_one_chain(
    home: CentreHome, digests: tuple[str, str]
) -> None:
    promote(home, digests[0], judged_by(home), None, NOW)
    told: list[BaseException | None] = []

    def act() -> None:
        try:
            promote(home, digests[1], judged_by(home), None, NOW)
            told.append(None)
        except HistoryError as error:
            told.append(error)

    threads = [threading.Thread(target=act) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count(None) == 1
    assert len(told) == 4
    assert len(Registry(home).history().entries) == 2


@pytest.mark.parametrize("lie", ["less epsilon", "another plan", "no noise"])
def test_a_statement_that_says_less_than_the_charter_costs_is_stopped(
    home: CentreHome, lie: str
) -> None:
    terms, tail = find(home, RUN)[0], tail_of(home)
    about = About(trunk=TRUNK, tail=tail.hash)
    found = sections(tail, TRUNK, terms.plan)
    if lie == "less epsilon":
        told = {**found["statement"].figures, "epsilon": 1.0}
        found["statement"] = dataclasses.replace(found["statement"], figures=told)
    else:
        sigma = 30.0 if lie == "another plan" else 0.0
        gentle = tuple(
            MomentMechanism(kind="mean", sigma=sigma, clip=1.0, name=name) for name in ("a", "b")
        )
        noise = "local" if sigma else "none"
        plan = dataclasses.replace(terms.plan, mechanisms=gentle, noise=noise)
        found["statement"] = statement_section(plan, about, COMMAND)
    origin = Origin(federation=federation_of(home), run=RUN, pool="a", made=int(NOW))
    shown = {"report.html": REPORT, GRID: PNG}
    release = make_release(origin, tail, TRUNK, list(found.values()), shown)
    Registry(home).put(release)
    sign_release(home, release.digest)
    with pytest.raises(ReleaseError, match=r"statement \("):
        promote(home, release.digest, judged_by(home), None, NOW)
    assert not home.history.exists()


def test_a_release_of_another_federation_is_neither_signed_nor_promoted(home: CentreHome) -> None:
    tail = tail_of(home)
    origin = Origin(federation="ab" * 32, run=RUN, pool="a", made=int(NOW))
    shown = {"report.html": REPORT, GRID: PNG}
    foreign = make_release(origin, tail, TRUNK, list(sections(tail, TRUNK).values()), shown)
    Registry(home).put(foreign)
    with pytest.raises(ReleaseError, match="federation"):
        sign_release(home, foreign.digest)
    Registry(home).put(foreign.sign(signing_key(home)))
    with pytest.raises(ReleaseError, match="federation"):
        promote(home, foreign.digest, judged_by(home), None, NOW)


def test_a_history_that_was_altered_or_is_anothers_is_refused(
    home: CentreHome, digests: tuple[str, str]
) -> None:
    promote(home, digests[0], judged_by(home), None, NOW)
    content = home.history.read_bytes()
    for changed in (b"[]", b"", content[:-3], content.replace(b"promote", b"withdra")):
        home.history.write_bytes(changed)
        if changed == b"[]":  # nothing is missing in it: who saw more finds out
            with pytest.raises(HistoryError):
                Registry(home).history().check_extends(_head(content, home))
            continue
        with pytest.raises(MascaronError):
            promote(home, digests[1], judged_by(home), None, NOW)


def _head(content: bytes, home: CentreHome) -> Any:
    home.history.write_bytes(content)
    head = Registry(home).history().head
    home.history.write_bytes(b"[]")
    return head


def test_a_history_is_never_replaced_by_one_that_does_not_go_on_from_it(
    home: CentreHome, digests: tuple[str, str]
) -> None:
    promote(home, digests[0], judged_by(home), None, NOW)
    step = Step(action="promote", release=digests[1], pool="a")
    fork = History(federation_of(home)).with_step(step, signing_key(home), int(NOW))
    with pytest.raises(HistoryError), Registry(home).changing():
        Registry(home).write(fork)
    assert Registry(home).history().due("site-0", "a") == digests[0]


# who goes first -------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (0.1, 4), (0.5, 20), (0.99, 40)])
def test_a_share_is_the_same_sites_for_the_same_release(share: float, count: int) -> None:
    chosen = First(share=share).chosen("a" * 64, SITES)
    assert len(chosen) == count
    assert chosen == First(share=share).chosen("a" * 64, list(reversed(SITES)))
    assert set(chosen) <= set(First(share=min(0.99, share * 2)).chosen("a" * 64, SITES))


def test_each_release_has_other_sites_go_first() -> None:
    firsts = {First(share=0.05).chosen(f"{n:064x}", SITES) for n in range(50)}
    assert len(firsts) > 25


@pytest.mark.parametrize(
    "told",
    [{}, {"share": 1.0}, {"share": -0.1}, {"share": float("nan")}, {"share": 0.1, "sites": ("a",)}],
)
def test_a_canary_that_nobody_can_mean_is_refused(told: Any) -> None:
    with pytest.raises(ReleaseError):
        First(**told)


def test_nobody_goes_first_where_there_is_nobody(home: CentreHome) -> None:
    with pytest.raises(ReleaseError):
        First(share=0.5).chosen("a" * 64, [])
    assert sites_of(roster_of(home), "kiosk") == []
    assert sites_of(roster_of(home), "all") == sites_of(roster_of(home), "a") != []
