"""The audit log keeps what it is given, in order, and counts for budgets."""

import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.audit.events import Event, Kind
from client.audit.log import SIX_MONTHS, AuditLog
from client.audit.reading import verify_file
from common.errors import AuditError, BusyError, ConfigError
from tests.small_audit import NOW, event, filled, key, place, tag


def test_what_was_appended_is_read_back_after_reopening(quick_path: Path) -> None:
    path = quick_path / "audit.db"
    with AuditLog(place(path)) as log:
        assert [log.append(event(n)) for n in range(1, 9)] == list(range(1, 9))
        before = log.head()
    with AuditLog(place(path)) as log:
        assert [entry.event for entry in log.entries()] == [event(n) for n in range(1, 9)]
        assert [entry.index for entry in log.entries(after=3, most=2)] == [4, 5]
        assert log.head() == before
        assert log.verify().entries == 8
        assert log.append(event(9)) == 9


def test_a_head_is_signed_for_this_site_and_changes_with_every_row(quick_path: Path) -> None:
    with AuditLog(place(quick_path / "audit.db")) as log:
        heads = [log.head()]
        for n in range(3):
            log.append(event(n))
            heads.append(log.head())
    assert len({head.hash for head in heads}) == 4
    assert [head.index for head in heads] == [0, 1, 2, 3]
    for head in heads:
        head.check(key().public, "north")
        with pytest.raises(Exception, match="audit head"):
            head.check(key().public, "south")


def test_a_count_is_by_caller_kind_and_time(quick_path: Path) -> None:
    rows = [
        Event(kind=kind, began=NOW + n, ended=NOW + n, outcome="no", actors=(tag(who), tag(7)))
        for n, (kind, who) in enumerate(
            [(Kind.VERIFY, 1), (Kind.IDENTIFY, 1), (Kind.VERIFY, 2), (Kind.ENROL, 1)]
        )
    ]
    both = (Kind.VERIFY, Kind.IDENTIFY)
    path = quick_path / "audit.db"
    with AuditLog(place(path)) as log:
        for row in rows:
            log.append(row)
    with AuditLog(place(path)) as log:
        assert log.count(tag(1), both, NOW) == 2
        assert log.count(tag(1), both, NOW + 0.5) == 1
        assert log.count(tag(1) + b"the rest of a longer tag", both, NOW) == 2
        assert log.count(tag(2), both, 0) == 1
        assert log.count(tag(7), both, 0) == 0, "who confirms does not ask"
        assert log.count(tag(1), (), 0) == 0


def test_threads_append_each_their_own_rows(quick_path: Path) -> None:
    with AuditLog(place(quick_path / "audit.db")) as log:

        def work(start: int) -> None:
            for n in range(start, start + 10):
                log.append(event(n))

        threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log.verify().entries == 40
        found = {entry.event.reference for entry in log.entries()}
    assert found == {event(100 * n + k).reference for n in range(4) for k in range(10)}


def test_a_second_process_and_a_forked_one_are_refused(quick_path: Path) -> None:
    path = quick_path / "audit.db"
    with AuditLog(place(path)) as log:
        with pytest.raises(BusyError):
            AuditLog(place(path))
        log._process = os.getpid() + 1
        with pytest.raises(AuditError, match="forked"):
            log.append(event(1))
        log._process = os.getpid()
    with pytest.raises(AuditError, match="closed"):
        log.append(event(1))


def test_nothing_of_a_log_shows_in_its_files_names_modes_or_words(quick_path: Path) -> None:
    path = quick_path / "audit.db"
    with AuditLog(place(path)) as log:
        log.append(event(1))
        assert repr(log) == "AuditLog(...)"
        modes = {file.name: file.stat().st_mode & 0o777 for file in quick_path.iterdir()}
    assert {"audit.db", "audit.db-wal", "audit.db.head", "audit.db.lock"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_old_rows_are_pruned_and_the_rest_still_hangs_together(quick_path: Path) -> None:
    path = quick_path / "audit.db"
    filled(path, range(10))
    with AuditLog(place(path)) as log:
        head = log.head()
        later = NOW + SIX_MONTHS + 100
        assert log.prune(NOW + 4, later) == 4
        assert log.prune(NOW + 4, later) == 0
        assert log.head() == head
        assert [entry.index for entry in log.entries()] == list(range(5, 11))
        assert log.verify().first == 5
    with AuditLog(place(path)) as log:
        assert (log.verify().entries, log.verify().broken) == (6, None)
        assert log.append(event(10)) == 11
        assert log.prune(NOW + 100, later) == 7
        assert (log.verify().entries, log.verify().first) == (0, 12)
    with AuditLog(place(path)) as log:
        assert log.append(event(11)) == 12
        assert event(2).subject not in path.read_bytes()


def test_rows_of_the_last_six_months_are_not_pruned(quick_path: Path) -> None:
    path = quick_path / "audit.db"
    filled(path, range(3))
    with AuditLog(place(path)) as log:
        for now in (NOW, NOW + SIX_MONTHS + 0.5):
            with pytest.raises(ConfigError, match="six months"):
                log.prune(NOW + 1, now)
        assert log.verify().entries == 3


def test_a_row_out_of_the_order_of_time_stops_pruning_before_it(quick_path: Path) -> None:
    with AuditLog(place(quick_path / "audit.db")) as log:
        for n in (1, 50, 2, 3):
            log.append(event(n))
        assert log.prune(NOW + 10, NOW + SIX_MONTHS + 10) == 1
        assert [entry.index for entry in log.entries()] == [2, 3, 4]


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcome": "0.87"},
        {"outcome": "Jane Doe"},
        {"outcome": ""},
        {"outcome": "a" * 41},
        {"reference": "ümlaut"},
        {"reference": "a\nb"},
        {"reference": "a" * 161},
        {"subject": b"short"},
        {"input": b"short"},
        {"actors": (b"",)},
        {"actors": (tag(1),) * 4},
        {"began": float("nan")},
        {"ended": float("inf")},
        {"began": -1.0},
        {"kind": "another"},
    ],
)
def test_nothing_but_tags_and_words_gets_into_an_event(wrong: dict[str, object]) -> None:
    right = {"kind": "verify", "began": 1.0, "ended": 2.0, "outcome": "no"}
    Event(**right)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        Event(**{**right, **wrong})  # type: ignore[arg-type]


times = st.floats(0, 1e12)
tags = st.binary(min_size=16, max_size=40)
events = st.builds(
    Event,
    kind=st.sampled_from(Kind),
    began=times,
    ended=times,
    reference=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=160),
    subject=st.just(b"") | tags,
    input=st.just(b"") | tags,
    outcome=st.from_regex(r"[a-zA-Z_]{1,40}", fullmatch=True),
    actors=st.lists(tags, max_size=3).map(tuple),
)


@given(one=events, other=events)
def test_two_events_have_one_text_only_if_they_are_one(one: Event, other: Event) -> None:
    assert (one.content() == other.content()) == (one == other)


@given(rows=st.lists(events, max_size=5))
def test_every_event_survives_the_disk(quick_module_path: Path, rows: list[Event]) -> None:
    path = Path(tempfile.mkdtemp(dir=quick_module_path)) / "audit.db"
    with AuditLog(place(path)) as log:
        for row in rows:
            log.append(row)
    with AuditLog(place(path)) as log:
        assert [entry.event for entry in log.entries()] == rows


def test_a_log_is_read_whole_while_rows_are_written(quick_path: Path) -> None:
    path, over = quick_path / "audit.db", threading.Event()
    with AuditLog(place(path)) as log:

        def write() -> None:
            n = 0
            while not over.wait(0.002):
                log.append(event(n := n + 1))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            seen = [verify_file(path, key().public, "north") for _ in range(10)]
        finally:
            over.set()
            writer.join()
    assert [verdict.broken for verdict in seen] == [None] * 10
    counts = [verdict.entries for verdict in seen]
    assert counts == sorted(counts)
