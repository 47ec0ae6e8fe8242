"""A round's part in a secure sum: who, how many and what come from the charter; attempts cost."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.commands.ledger import Book
from client.commands.outbox import show_outbox
from client.privacy.contributions import contributions
from client.privacy.moments import clip_rows
from client.privacy.reconcile import Sent, uncharged
from common.errors import (
    AggregationError,
    BudgetError,
    CharterError,
    CohortError,
    MascaronError,
    NotReadyError,
    PlanError,
    ReplayError,
    WireError,
)
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.privacy.accountant import epsilon
from common.secagg.messages import Masked
from common.secagg.phases import KEYS, OPENING, PHASES, SHARES, SURVIVORS, VECTOR
from tests.small_site import KEY, POLICY, RUN, features, frame, mean_plan, offer
from tests.small_sums import NAMES, Sharing, shared_mean


@pytest.fixture
def four(tmp_path: Path) -> Iterator[Sharing]:
    sites = Sharing(tmp_path)
    yield sites
    for ledger in sites.ledgers.values():
        ledger.close()


def exact(names: tuple[str, ...] = NAMES) -> np.ndarray:
    """The clipped sum that the sites' noise is added to."""
    total = np.zeros(len(frame()[FRAME_BIAS]))
    for name in names:
        pictures = features(5, 3, NAMES.index(name))
        bags = [pictures[3 * n : 3 * n + 3] for n in range(5)]
        rows = contributions("mean", bags, frame()[FRAME_WEIGHT], frame()[FRAME_BIAS])
        total += clip_rows(rows, 1.0).sum(axis=0)
    return total


def test_a_round_of_four_agents_is_their_sum_with_the_noise_of_the_plan(four: Sharing) -> None:
    quiet = dataclasses.replace(mean_plan().mechanisms[0], sigma=1e-3)
    four.policy = dataclasses.replace(POLICY, epsilon=50.0)
    with pytest.raises(BudgetError):  # so little noise costs more than anybody has
        four.accept(shared_mean(mechanisms=(quiet,)))
    four.accept(shared_mean())
    centre = four.until(OPENING)
    four.take(centre, OPENING)
    assert centre.summed == NAMES
    found = centre.context.terms.grid.decode(centre.total)
    deviation = 2.0 * np.sqrt(4 / 3)  # four shares of a noise that three make whole
    assert np.abs(found - exact()).max() < 6 * deviation
    assert np.abs(found - exact()).max() > 1e-3
    for name in NAMES:
        assert four.kinds(name) == ["accept", "reserve", "masked"]
        plan = four.plan
        assert four.ledgers[name].epsilon() == pytest.approx(epsilon(plan.events(), 1e-4))


def test_a_share_of_the_noise_never_leaves_by_itself(four: Sharing) -> None:
    four.accept(shared_mean())
    with pytest.raises(AggregationError, match="in a secure sum only"):
        four.rooms["north"].train(RUN, 1, frame())
    assert four.kinds("north") == ["accept"]


def test_a_run_with_noise_of_its_own_is_no_secure_sum(four: Sharing) -> None:
    four.rooms["north"].accept(offer(mean_plan()))
    with pytest.raises(AggregationError, match="no secure sums"):
        four.answer("north", KEYS, b"")


def members(*names: str) -> Any:
    return offer(shared_mean(), members={"door": names})


REFUSED: dict[str, tuple[Callable[[], Any], type[MascaronError]]] = {
    "no members": (lambda: offer(shared_mean()), AggregationError),
    "members without this site": (lambda: members("east", "south", "west"), CharterError),
    "two members": (lambda: members("east", "north"), CohortError),
    "fewer members than the cohort": (
        lambda: offer(shared_mean(cohort=4), members={"door": ("east", "north", "south")}),
        CohortError,
    ),
}


@pytest.mark.parametrize("how", sorted(REFUSED))
def test_a_charter_whose_sums_would_hide_nothing_is_refused(four: Sharing, how: str) -> None:
    make, error = REFUSED[how]
    for ask in (four.rooms["north"].accept, four.rooms["north"].review):
        with pytest.raises(error):
            ask(make())
    assert four.kinds("north") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"door": ("north", "east", "south")},
        {"door": ("east", "east", "north")},
        {"door": ("east", "north"), "hall": ("north", "south", "west")},
        {"door": ("../up", "north", "south")},
        {"": ("east", "north", "south")},
        {"door": ()},
    ],
)
def test_members_are_names_in_order_each_once(wrong: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(CharterError):
        offer(shared_mean(), members=wrong)


def test_members_belong_to_shared_noise() -> None:
    with pytest.raises(CharterError, match="belong to distributed noise"):
        offer(mean_plan(), members={"door": NAMES})


def test_an_operator_may_ask_for_larger_sums(tmp_path: Path) -> None:
    strict = Sharing(tmp_path, policy=dataclasses.replace(POLICY, least_sites=4))
    with pytest.raises(CohortError, match="policy asks for 4 sites"):
        strict.accept(shared_mean())
    strict.accept(shared_mean(cohort=4))


def test_every_attempt_that_sends_a_vector_is_charged(four: Sharing) -> None:
    four.accept(shared_mean())
    once = epsilon(four.plan.events(), 1e-4)
    for attempt in (1, 2):
        centre = four.until(SURVIVORS, attempt)
        with pytest.raises(CohortError):
            centre.take(SURVIVORS, {})
    assert four.kinds("north") == ["accept", "reserve", "masked", "reserve", "masked"]
    assert four.ledgers["north"].epsilon() > once
    four.until(VECTOR, 3)
    assert four.kinds("north").count("reserve") == 2  # keys and shares cost nothing


def test_an_attempt_beyond_the_budget_is_refused_and_nothing_leaves(tmp_path: Path) -> None:
    once = epsilon(shared_mean().events(), 1e-4)
    sites = Sharing(tmp_path, policy=dataclasses.replace(POLICY, epsilon=once * 1.001))
    sites.accept(shared_mean())
    sites.until(SURVIVORS, 1)
    centre = sites.until(VECTOR, 2)
    with pytest.raises(BudgetError):
        sites.answer("north", VECTOR, centre.requests(VECTOR)["north"], 2)
    assert sites.kinds("north") == ["accept", "reserve", "masked"]


def test_a_repeat_in_an_attempt_has_the_same_bytes_and_costs_nothing(four: Sharing) -> None:
    four.accept(shared_mean())
    centre = four.until(VECTOR)
    payload = centre.requests(VECTOR)["north"]
    said = four.answer("north", VECTOR, payload)
    assert four.answer("north", VECTOR, payload) == said
    assert four.kinds("north") == ["accept", "reserve", "masked"]
    key, view = four.keys["north"].public, centre._dealers_view
    Masked.from_bytes(said).verify("north", key, centre.context, view)


def test_a_second_attempt_has_other_noise_and_other_masks(four: Sharing) -> None:
    four.accept(shared_mean())
    totals = []
    for attempt in (1, 2):
        centre = four.until(OPENING, attempt)
        four.take(centre, OPENING, attempt)
        totals.append(centre.total)
    assert (totals[0] != totals[1]).any()


def test_an_agent_that_restarts_is_out_of_the_attempt_and_in_the_next(four: Sharing) -> None:
    four.accept(shared_mean())
    centre = four.until(VECTOR)
    payload = centre.requests(VECTOR)["north"]
    four.rooms["north"] = four.start("north")
    with pytest.raises(AggregationError, match="holds no secrets"):
        four.answer("north", VECTOR, payload)
    with pytest.raises(ReplayError):
        four.answer("north", KEYS, b"")
    again = four.until(OPENING, 2)
    four.take(again, OPENING, 2)
    assert again.summed == NAMES
    assert four.kinds("north") == ["accept", "reserve", "masked"]


@pytest.mark.parametrize("at", PHASES)
def test_a_site_that_is_lost_in_any_phase_leaves_an_exact_sum(four: Sharing, at: str) -> None:
    four.accept(shared_mean())
    centre = four.until(OPENING, lost={"west": at})
    four.take(centre, OPENING, lost={"west": at})
    late = at in (SURVIVORS, OPENING)  # its vector was there
    assert centre.summed == (NAMES if late else NAMES[:3])
    paid = at not in (KEYS, SHARES, VECTOR)
    assert (four.kinds("west") == ["accept", "reserve", "masked"]) is paid


def other_frame() -> Any:
    return {**frame(), FRAME_WEIGHT: frame(3)[FRAME_WEIGHT]}


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"arrays": {}}, WireError),
        ({"arrays": other_frame()}, CharterError),
        ({"round": 2}, PlanError),
        ({"run": "other"}, NotReadyError),
        ({"attempt": 0}, WireError),
        ({"attempt": 2**31}, WireError),
        ({"attempt": 2}, AggregationError),
        ({"phase": "sum"}, WireError),
        ({"phase": OPENING, "arrays": {}}, NotReadyError),
    ],
)
def test_a_request_that_is_not_the_rounds_is_refused_before_anything_is_charged(
    four: Sharing, words: dict[str, Any], error: type[MascaronError]
) -> None:
    four.accept(shared_mean())
    centre = four.until(VECTOR)
    payload = centre.requests(VECTOR)["north"]
    with pytest.raises(error):
        four.answer("north", VECTOR, payload, **words)
    assert four.kinds("north") == ["accept"]
    four.answer("north", VECTOR, payload)  # and the honest request is still answered


@pytest.mark.parametrize("phase", [KEYS, SHARES])
def test_shared_arrays_come_with_the_phase_that_looks_at_people(four: Sharing, phase: str) -> None:
    four.accept(shared_mean())
    centre = four.until(phase)
    with pytest.raises(WireError, match="only one phase"):
        four.answer("north", phase, centre.requests(phase)["north"], arrays=frame())


def test_a_revoked_member_is_out_of_the_sum(four: Sharing) -> None:
    four.accept(shared_mean())
    gone = dataclasses.replace(four.entry("west"), state="revoked", reason="left")
    four.roster = four.roster.with_site(gone)
    centre = four.until(OPENING)
    four.take(centre, OPENING)
    assert centre.summed == NAMES[:3]


def test_the_outbox_lists_masked_bytes_for_what_they_are(four: Sharing, tmp_path: Path) -> None:
    four.accept(shared_mean())
    said = four.until(VECTOR)
    sent = four.answer("north", VECTOR, said.requests(VECTOR)["north"])
    key = tmp_path / "key"
    key.write_bytes(KEY)
    told = show_outbox(Book(path=tmp_path / "north.db", key=key))
    [line] = told["sent"]
    assert (line["masked"], line["bytes"], line["round"]) == (True, len(sent), 1)
    assert told["wasted"] == 0


def test_a_charters_members_survive_a_restart(four: Sharing) -> None:
    four.accept(shared_mean())
    for name in NAMES:
        four.rooms[name] = four.start(name)
    centre = four.until(OPENING)
    four.take(centre, OPENING)
    assert centre.summed == NAMES


def test_one_reservation_pays_for_one_masked_vector(four: Sharing) -> None:
    four.accept(shared_mean())
    ledger, event = four.ledgers["north"], four.plan.mechanisms[0].event
    ledger.reserve(RUN, 1, "d", event)
    ledger.masked(RUN, 1, "d", b"first")
    with pytest.raises(NotReadyError):
        ledger.masked(RUN, 1, "d", b"second")
    with pytest.raises(ReplayError):
        ledger.masked(RUN, 1, "another request", b"second")
    sent = [Sent(RUN, 1, b"first"), Sent(RUN, 1, b"second")]
    assert uncharged(ledger.entries(), sent) == (sent[1],)
    ledger.reserve(RUN, 1, "d", event)
    ledger.masked(RUN, 1, "d", b"second")
    assert uncharged(ledger.entries(), sent) == ()
