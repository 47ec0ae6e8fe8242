"""A history only grows: what is cut, forked, replayed or out of order is refused, by anybody."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, HistoryError, SignatureError, SplitViewError
from common.evidence.history import (
    GENESIS,
    PURPOSE,
    Head,
    History,
    Step,
    entry_digest,
    parse_history,
    read_history,
)
from common.trust.keys import SigningKey
from common.trust.signed import Signed, seal
from tests.small_evidence import FEDERATION, MADE, digest_of

KEY = SigningKey.generate()
ONE, TWO, THREE = (digest_of(name) for name in ("one", "two", "three"))


def step(action: Any, release: str, **told: Any) -> Step:
    return Step(**{"action": action, "release": release, "pool": "door", **told})


def after(*steps: Step, start: History | None = None, key: SigningKey = KEY) -> History:
    found = start or History(FEDERATION)
    for number, one in enumerate(steps):
        found = found.with_step(one, key, MADE + number)
    return found


STEPS = (
    step("promote", ONE),
    step("canary", TWO, sites=("north", "south"), share=0.5),
    step("promote", TWO),
    step("rollback", ONE, reason="TWO refuses too many at dusk"),
    step("withdraw", TWO, reason="biased at dusk"),
    step("promote", THREE, pool="kiosk"),
)
WHOLE = after(*STEPS)


def read(texts: Any, known: Head | None = None) -> History:
    return read_history(texts, KEY.public, FEDERATION, known)


def test_a_history_comes_back_as_it_was() -> None:
    back = parse_history(WHOLE.to_json(), KEY.public, FEDERATION)
    assert back == WHOLE
    assert back.head == WHOLE.head
    assert [entry.number for entry in back.entries] == [1, 2, 3, 4, 5, 6]


def test_it_says_what_each_site_is_to_stage() -> None:
    assert after().due("north", "door") == ""
    first = after(*STEPS[:1])
    assert (first.due("north", "door"), first.due("north", "kiosk")) == (ONE, "")
    canary = after(*STEPS[:2])
    assert (canary.due("north", "door"), canary.due("east", "door")) == (TWO, ONE)
    assert after(*STEPS[:3]).due("east", "door") == TWO
    assert after(*STEPS[:4]).due("north", "door") == ONE
    assert WHOLE.due("north", "kiosk") == THREE
    assert WHOLE.standing("door").withdrawn == {TWO}
    assert WHOLE.reason(TWO, "door") == "biased at dusk"
    assert WHOLE.names(TWO) and not WHOLE.names(digest_of("four"))


def test_what_is_withdrawn_is_due_nowhere() -> None:
    for steps in (STEPS[:1], STEPS[:2]):
        gone = after(*steps, step("withdraw", steps[-1].release, reason="bad"))
        assert gone.due("north", "door") in ("", ONE)
        assert gone.due("north", "door") != steps[-1].release


@pytest.mark.parametrize("action", ["rollback", "withdraw"])
@pytest.mark.parametrize("reason", ["", " ", "\n", "x" * 501])
def test_nothing_goes_back_without_a_reason(action: Any, reason: str) -> None:
    with pytest.raises(ConfigError):
        step(action, ONE, reason=reason)


@pytest.mark.parametrize(
    ("steps", "bad"),
    [
        (STEPS[:3], step("promote", ONE)),  # a rollback in disguise
        (STEPS[:3], step("canary", ONE, sites=("north",))),
        (STEPS[:3], step("promote", TWO)),
        (STEPS[:3], step("rollback", THREE, reason="never was")),
        (STEPS[:3], step("rollback", TWO, reason="is already")),
        (STEPS[:2], step("rollback", TWO, reason="never for all")),
        (STEPS[:5], step("rollback", TWO, reason="withdrawn")),
        (STEPS[:5], step("promote", TWO)),
        (STEPS, step("rollback", ONE, pool="kiosk", reason="of another pool")),
    ],
)
def test_a_step_that_may_not_be_taken_is_neither_signed_nor_believed(
    steps: tuple[Step, ...], bad: Step
) -> None:
    before = after(*steps)
    with pytest.raises(HistoryError):
        before.with_step(bad, KEY, MADE)
    forced = {
        **dataclasses.asdict(bad),
        "federation": FEDERATION,
        "number": len(steps) + 1,
        "previous": before.head.digest,
        "time": MADE + 100,
    }
    with pytest.raises(HistoryError):
        read([*before.texts, seal(KEY, PURPOSE, forced)])


def test_a_canary_can_be_ended_by_going_back_with_a_reason() -> None:
    ended = after(*STEPS[:2], step("rollback", ONE, reason="it was worse"))
    assert ended.due("north", "door") == ONE


# chains ---------------------------------------------------------------------------------------


@given(data=st.data())
def test_a_history_that_was_cut_reordered_or_replayed_is_refused(data: st.DataObject) -> None:
    texts = list(WHOLE.texts)
    match data.draw(st.sampled_from(["drop", "swap", "repeat", "cut"])):
        case "drop":  # the last one alone would be a shorter history
            del texts[data.draw(st.integers(0, len(texts) - 2))]
        case "swap":
            at = data.draw(st.integers(0, len(texts) - 2))
            texts[at], texts[at + 1] = texts[at + 1], texts[at]
        case "repeat":
            at = data.draw(st.integers(0, len(texts) - 1))
            texts.insert(at, texts[at])
        case "cut":
            texts = texts[: data.draw(st.integers(0, len(texts) - 1))]
    with pytest.raises(HistoryError):
        read(texts, WHOLE.head)


@given(at=st.integers(0, len(STEPS) - 1), data=st.data())
def test_a_changed_word_or_signature_is_refused(at: int, data: st.DataObject) -> None:
    texts = list(WHOLE.texts)
    content, signature = texts[at].content, texts[at].signature
    place = data.draw(st.integers(0, len(content) - 1))
    letter = "0" if content[place] != "0" else "1"
    texts[at] = Signed(content[:place] + letter + content[place + 1 :], signature)
    with pytest.raises(SignatureError):
        read(texts)


@pytest.mark.parametrize("at", range(len(STEPS)))
def test_a_fork_is_told_from_growth(at: int) -> None:
    fork = after(*STEPS[:at], step("promote", digest_of("fork"), pool="other"))
    for known in range(at + 1):
        fork.check_extends(WHOLE.head_at(known))
    with pytest.raises(SplitViewError):
        read(fork.texts, WHOLE.head_at(at + 1))


def test_a_shorter_history_is_refused_and_a_longer_one_is_not() -> None:
    for number in range(len(STEPS)):
        with pytest.raises(HistoryError, match="older state"):
            read(WHOLE.texts[:number], WHOLE.head)
        assert read(WHOLE.texts, WHOLE.head_at(number)) == WHOLE


def test_only_the_centres_key_for_this_purpose_and_federation_makes_entries() -> None:
    with pytest.raises(SignatureError):
        read(after(*STEPS, key=SigningKey.generate()).texts)
    words = json.loads(WHOLE.texts[0].content)
    with pytest.raises(SignatureError):
        read([seal(KEY, "charter", words)])
    with pytest.raises(HistoryError, match="federation"):
        read(after(*STEPS, start=History("ab" * 32)).texts)
    for change in ({"number": 2}, {"previous": "1" * 64}, {"more": 1}, {"sites": ["north"]}):
        with pytest.raises((HistoryError, SignatureError)):
            read([seal(KEY, PURPOSE, {**words, **change})])


def test_time_does_not_go_back() -> None:
    first = History(FEDERATION).with_step(STEPS[0], KEY, MADE)
    second = first.with_step(STEPS[1], KEY, MADE - 1000)  # a clock that was put back
    assert second.entries[1].time == MADE
    words = {**json.loads(second.texts[1].content), "time": MADE - 1}
    with pytest.raises(HistoryError, match="older"):
        read([first.texts[0], seal(KEY, PURPOSE, words)])


@pytest.mark.parametrize("text", ["", "{}", "[1]", '["x"]', "[" * 10**5, "null"])
def test_other_texts_are_no_history(text: str) -> None:
    with pytest.raises((HistoryError, SignatureError)):
        parse_history(text, KEY.public, FEDERATION)


def test_a_head_covers_words_and_signature() -> None:
    assert History(FEDERATION).head == Head(0, GENESIS)
    assert WHOLE.head == Head(6, entry_digest(WHOLE.texts[-1]))
    with pytest.raises(HistoryError):
        WHOLE.head_at(7)


@pytest.mark.parametrize(
    "told",
    [
        {"action": "canary"},
        {"action": "promote", "sites": ("north",)},
        {"action": "canary", "sites": ("south", "north")},
        {"action": "canary", "sites": ("north", "north")},
        {"action": "canary", "sites": ("../north",)},
        {"action": "canary", "sites": ("north",), "share": 1.5},
        {"action": "promote", "share": 0.5},
        {"action": "promote", "pool": ""},
        {"action": "promote", "release": "x"},
        {"action": "promote", "reason": "a\nb"},
    ],
)
def test_a_step_that_means_nothing_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Step(**{"release": ONE, "pool": "door", **told})
