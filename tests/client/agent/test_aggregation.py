"""A centre that lies in a secure sum learns no single update: each lie has its refusal."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client.agent.aggregation import Member, SecureAggregation
from client.agent.attempts import Attempts
from common.errors import (
    AggregationError,
    BudgetError,
    CohortError,
    MascaronError,
    NotReadyError,
    ReplayError,
    SignatureError,
    WireError,
)
from common.secagg.messages import Boxes, Cohort, Consent, Consents, SiteKeys, Survivors
from common.secagg.phases import KEYS, OPENING, PHASES, SHARES, SURVIVORS, VECTOR
from common.secagg.terms import Context
from common.trust.keys import SigningKey
from server.strategies.aggregating import Aggregation
from tests.small_secagg import SmallFederation, names, small_context, small_terms

SITES = 6  # threshold 4 of 6, one colluder, two dropouts
FIRST, SECOND, LAST = names(SITES)[0], names(SITES)[1], names(SITES)[-1]


@pytest.fixture
def federation(tmp_path: Path) -> SmallFederation:
    return SmallFederation(SITES, tmp_path)


@pytest.fixture
def context() -> Context:
    return small_context(small_terms(SITES))


def ask(federation: SmallFederation, centre: Aggregation, phase: str, payload: bytes) -> bytes:
    return federation.answer(FIRST, centre.context, phase, payload)


def cohort_with(cohort: Cohort, keys: SiteKeys) -> Cohort:
    """``cohort`` with other keys for the second site."""
    return dataclasses.replace(cohort, keys=(cohort.keys[0], keys, *cohort.keys[2:]))


def cohort_of(centre: Aggregation) -> Cohort:
    return Cohort.from_bytes(centre.requests(SHARES)[FIRST])


def substituted(cohort: Cohort, **other: object) -> Cohort:
    keys = dataclasses.replace(cohort.keys[1], **other)  # type: ignore[arg-type]
    return cohort_with(cohort, keys)


def test_substituted_keys_are_refused(federation: SmallFederation, context: Context) -> None:
    centre = federation.until(SHARES, context)
    cohort, own = cohort_of(centre), bytes(range(32))
    forger = SigningKey.generate()
    forged = SiteKeys(own, own).signed(SECOND, forger, context)
    lies = [
        substituted(cohort, masks=own),
        substituted(cohort, shares=own),
        substituted(cohort, masks=own, signature=b""),
        cohort_with(cohort, forged),
    ]
    for lie in lies:
        with pytest.raises(SignatureError):
            ask(federation, centre, SHARES, lie.to_bytes())
    assert ask(federation, centre, SHARES, cohort.to_bytes())


def test_keys_of_another_round_attempt_run_or_charter_are_refused(
    federation: SmallFederation, context: Context
) -> None:
    centre = federation.until(SHARES, context)
    cohort = cohort_of(centre)
    others = [
        small_context(context.terms, round=2),
        small_context(context.terms, attempt=2),
        small_context(context.terms, run="other"),
        small_context(context.terms, charter="d" * 64),
        small_context(dataclasses.replace(context.terms, size=4)),
        small_context(dataclasses.replace(context.terms, threshold=5)),
    ]
    for other in others:
        keys = SiteKeys(cohort.keys[1].masks, cohort.keys[1].shares)
        lie = cohort_with(cohort, keys.signed(SECOND, federation.keys[SECOND], other))
        with pytest.raises(SignatureError, match=SECOND):
            ask(federation, centre, SHARES, lie.to_bytes())


def test_another_charter_digest_than_the_sites_is_refused_at_every_phase(
    federation: SmallFederation, context: Context
) -> None:
    other = dataclasses.replace(context, charter="d" * 64)
    for phase in PHASES[1:]:
        centre = federation.until(phase, dataclasses.replace(context, round=PHASES.index(phase)))
        lie = dataclasses.replace(other, round=centre.context.round)
        with pytest.raises(AggregationError, match="another charter"):
            federation.answer(FIRST, lie, phase, centre.requests(phase)[FIRST])
    with pytest.raises(AggregationError, match="another federation"):
        federation.answer(FIRST, dataclasses.replace(context, federation="0" * 64), KEYS, b"")


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_a_cohort_below_the_threshold_is_too_small(
    kept: int, federation: SmallFederation, context: Context
) -> None:
    centre = federation.until(SHARES, context)
    cohort = cohort_of(centre)
    lie = Cohort(cohort.names[:kept], cohort.keys[:kept])
    with pytest.raises(CohortError) as refused:
        ask(federation, centre, SHARES, lie.to_bytes())
    assert refused.value.reason == "COHORT_TOO_SMALL"


def test_too_few_dealers_are_too_small(federation: SmallFederation, context: Context) -> None:
    centre = federation.until(VECTOR, context)
    boxes = Boxes.from_bytes(centre.requests(VECTOR)[FIRST])
    lie = Boxes(boxes.dealers[:2], boxes.boxes[:2], boxes.checks[:2])
    with pytest.raises(CohortError):
        ask(federation, centre, VECTOR, lie.to_bytes())
    assert not federation.charged


def test_a_shrunk_roster_and_a_site_without_its_key_in_it_are_refused(
    federation: SmallFederation, context: Context
) -> None:
    whole = federation.roster
    federation.roster = dataclasses.replace(whole, number=2, sites=whole.sites[:3])
    with pytest.raises(CohortError, match="pinned roster"):
        federation.answer(FIRST, context, KEYS, b"")
    federation.roster = dataclasses.replace(whole, number=3, sites=whole.sites[1:])
    with pytest.raises(AggregationError, match="not in the roster"):
        federation.answer(FIRST, context, KEYS, b"")
    federation.roster = whole
    centre = federation.until(SHARES, context)
    federation.roster = dataclasses.replace(whole, number=4, sites=whole.sites[:-1])
    with pytest.raises(AggregationError, match="the cohort"):  # revoked meanwhile
        ask(federation, centre, SHARES, cohort_of(centre).to_bytes())


def test_strangers_doubles_and_twin_keys_in_the_cohort_are_refused(
    federation: SmallFederation, context: Context
) -> None:
    centre = federation.until(SHARES, context)
    cohort = cohort_of(centre)
    stranger = SiteKeys(b"a" * 32, b"b" * 32).signed("zz", SigningKey.generate(), context)
    first, keys = cohort.keys[0], federation.keys
    twin = SiteKeys(first.masks, first.shares).signed(SECOND, keys[SECOND], context)
    own = SiteKeys(b"a" * 32, b"b" * 32).signed(FIRST, keys[FIRST], context)
    for lie in (
        Cohort((*cohort.names, "zz"), (*cohort.keys, stranger)),
        Cohort((*cohort.names, LAST), (*cohort.keys, cohort.keys[-1])),
        Cohort(cohort.names[::-1], cohort.keys[::-1]),
        cohort_with(cohort, twin),
        Cohort(cohort.names[1:], cohort.keys[1:]),
        Cohort(cohort.names, (own, *cohort.keys[1:])),
    ):
        with pytest.raises(AggregationError):
            ask(federation, centre, SHARES, lie.to_bytes())


def test_a_key_of_small_order_is_refused(federation: SmallFederation, context: Context) -> None:
    centre = federation.until(SHARES, context)
    cohort = cohort_of(centre)
    good, one = cohort.keys[1], b"\1" + bytes(31)
    for weak in (SiteKeys(one, good.shares), SiteKeys(good.masks, bytes(32))):
        lie = cohort_with(cohort, weak.signed(SECOND, federation.keys[SECOND], context))
        with pytest.raises(AggregationError, match="not one"):
            ask(federation, centre, SHARES, lie.to_bytes())


SURVIVOR_LIES: dict[str, tuple[Callable[[tuple[str, ...]], Survivors], type[MascaronError]]] = {
    "both": (lambda n: Survivors(n, n[-1:]), AggregationError),
    "all both": (lambda n: Survivors(n, n), AggregationError),
    "neither": (lambda n: Survivors(n[:-1], ()), AggregationError),
    "twice": (lambda n: Survivors((*n, n[-1]), ()), AggregationError),
    "stranger": (lambda n: Survivors((*n, "zz"), ()), AggregationError),
    "without this site": (lambda n: Survivors(n[1:], n[:1]), AggregationError),
    "two": (lambda n: Survivors(n[:2], n[2:]), CohortError),
    "one below the threshold": (lambda n: Survivors(n[:3], n[3:]), CohortError),
}


@pytest.mark.parametrize("lie", SURVIVOR_LIES)
def test_a_false_list_of_survivors_is_refused(
    lie: str, federation: SmallFederation, context: Context
) -> None:
    centre = federation.until(SURVIVORS, context)
    make, error = SURVIVOR_LIES[lie]
    with pytest.raises(MascaronError) as refused:
        ask(federation, centre, SURVIVORS, make(names(SITES)).to_bytes())
    assert type(refused.value) is error


def test_other_survivors_than_the_signed_ones_are_refused_for_good(
    federation: SmallFederation, context: Context
) -> None:
    centre = federation.until(OPENING, context)
    fewer = Survivors(names(SITES)[:-1], (LAST,))
    with pytest.raises(ReplayError):
        ask(federation, centre, SURVIVORS, fewer.to_bytes())
    centre.take(OPENING, federation.answers(centre, OPENING))
    with pytest.raises(ReplayError):
        ask(federation, centre, SURVIVORS, fewer.to_bytes())


def test_a_second_opening_with_other_signers_is_refused_and_the_same_one_repeated(
    federation: SmallFederation, context: Context
) -> None:
    centre = federation.until(OPENING, context)
    request = centre.requests(OPENING)[FIRST]
    answered = ask(federation, centre, OPENING, request)
    assert ask(federation, centre, OPENING, request) == answered
    consents = Consents.from_bytes(request)
    fewer = Consents(consents.names[:-1], consents.consents[:-1])
    with pytest.raises(ReplayError):
        ask(federation, centre, OPENING, fewer.to_bytes())


def test_nothing_is_opened_without_a_threshold_of_signatures_on_the_same_survivors(
    federation: SmallFederation, context: Context
) -> None:
    """Half the sites are shown one list, half another: neither half opens."""
    centre = federation.until(SURVIVORS, context)
    some, others = names(SITES)[:3], names(SITES)[3:]
    lists = {
        some: Survivors(names(SITES)[:5], (LAST,)),
        others: Survivors(names(SITES)[1:], (FIRST,)),
    }
    signed = {
        group: [federation.answer(name, context, SURVIVORS, survivors.to_bytes()) for name in group]
        for group, survivors in lists.items()
    }
    with pytest.raises(CohortError, match="signed the survivors"):
        ask(federation, centre, OPENING, packed(some, signed[some]))
    mixed = packed((*some, others[0]), [*signed[some], signed[others][0]])
    with pytest.raises(SignatureError):
        ask(federation, centre, OPENING, mixed)
    again = packed((*some, some[-1]), [*signed[some], signed[some][-1]])
    with pytest.raises(AggregationError, match="each there once"):
        ask(federation, centre, OPENING, again)
    lost = packed((*some, LAST), [*signed[some], signed[others][-1]])
    with pytest.raises(AggregationError, match="signers"):
        ask(federation, centre, OPENING, lost)


def test_sites_that_were_shown_other_dealers_do_not_open_for_each_other(
    federation: SmallFederation, context: Context
) -> None:
    """The masks of the one that was shown fewer would cancel with nobody's; it is not opened."""
    centre = federation.until(VECTOR, context)
    for name, payload in centre.requests(VECTOR).items():
        boxes = Boxes.from_bytes(payload)
        if name == FIRST:
            boxes = Boxes(boxes.dealers[:-1], boxes.boxes[:-1], boxes.checks[:-1])
        federation.answer(name, context, VECTOR, boxes.to_bytes())
    alive, dead = names(SITES)[:-1], names(SITES)[-1:]
    signed = []
    for name in alive:
        shown = Survivors(alive, () if name == FIRST else dead)
        signed.append(federation.answer(name, context, SURVIVORS, shown.to_bytes()))
    consents = packed(alive, signed)
    for name in (FIRST, SECOND):
        with pytest.raises(SignatureError, match="survivors"):
            federation.answer(name, context, OPENING, consents)


def packed(names: tuple[str, ...], consents: list[bytes]) -> bytes:
    return Consents(names, tuple(map(Consent.from_bytes, consents))).to_bytes()


def test_a_replayed_round_is_refused(federation: SmallFederation, context: Context) -> None:
    later = dataclasses.replace(context, round=2)
    federation.run(context, {})
    federation.run(later, {})
    for old in (context, dataclasses.replace(context, charter="d" * 64)):
        with pytest.raises(ReplayError):
            federation.answer(FIRST, old, KEYS, b"")
    assert federation.answer(FIRST, dataclasses.replace(context, attempt=2), KEYS, b"")
    assert len(federation.charged) == 2 * SITES


@pytest.mark.parametrize("phase", PHASES)
def test_a_restarted_site_has_no_part_in_the_attempt_any_more(
    phase: str, federation: SmallFederation, context: Context
) -> None:
    centre = federation.until(phase, context)
    request = centre.requests(phase)[FIRST]
    federation.answer(FIRST, context, phase, request)
    federation.sites[FIRST] = federation.site(FIRST)
    for again in PHASES:
        with pytest.raises(ReplayError if again == KEYS else AggregationError):
            federation.answer(FIRST, context, again, b"" if again == KEYS else request)
    later = federation.run(dataclasses.replace(context, attempt=2), {})
    assert np.array_equal(later.total, federation.plain_sum({}))


def test_phases_come_in_order_and_other_names_are_none(
    federation: SmallFederation, context: Context
) -> None:
    with pytest.raises(AggregationError):
        federation.answer(FIRST, context, SHARES, b"")
    federation.answer(FIRST, context, KEYS, b"")
    for phase in (VECTOR, SURVIVORS, OPENING):
        with pytest.raises(NotReadyError):
            federation.answer(FIRST, context, phase, b"")
    for phase, payload in (("unmask", b""), (KEYS, b"x"), (SHARES, b"\xff" * 40)):
        with pytest.raises(WireError):
            federation.answer(FIRST, context, phase, payload)


def test_the_same_request_gets_the_same_bytes_and_is_charged_once(
    federation: SmallFederation, context: Context
) -> None:
    for phase in PHASES:
        centre = federation.until(phase, dataclasses.replace(context, round=PHASES.index(phase)))
        request = centre.requests(phase)[FIRST]
        first = ask(federation, centre, phase, request)
        charged = len(federation.charged)
        assert ask(federation, centre, phase, request) == first
        assert len(federation.charged) == charged


def test_a_release_that_cannot_be_paid_leaves_the_phase_open(
    federation: SmallFederation, context: Context
) -> None:
    centre = federation.until(VECTOR, context)
    request = centre.requests(VECTOR)[FIRST]

    def poor() -> np.ndarray:
        raise BudgetError("nothing left")

    with pytest.raises(BudgetError):
        federation.sites[FIRST].answer(context, VECTOR, request, poor)
    for wrong in (np.zeros(4, np.int64), np.zeros(5, np.int32)):
        with pytest.raises(AggregationError, match="size"):
            federation.sites[FIRST].answer(context, VECTOR, request, lambda w=wrong: w)
    assert ask(federation, centre, VECTOR, request)


def test_an_operator_may_ask_for_more_sites_than_the_charter_and_never_for_fewer_than_three(
    federation: SmallFederation, context: Context
) -> None:
    key, attempts = federation.keys[FIRST], Attempts(federation.folder / "strict")
    strict = Member(name=FIRST, key=key, roster=lambda: federation.roster, least_sites=5)
    with pytest.raises(CohortError, match="policy"):
        SecureAggregation(strict, attempts).answer(context, KEYS, b"", federation.release(FIRST))
    with pytest.raises(ValueError, match="3"):
        dataclasses.replace(strict, least_sites=2)
    attempts.close()


def test_attempts_outlive_their_process_and_never_go_back(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path / "attempts")
    attempts.begin("run", 1, 2)
    attempts.begin("run", 2, 1)
    attempts.close()
    again = Attempts(tmp_path / "attempts")
    for number in (1, 2):
        with pytest.raises(ReplayError):
            again.begin("run", 1, number)
    again.begin("run", 1, 3)
    with pytest.raises(AggregationError):
        again.begin("run", 1, 2**70)
    again.close()
    assert (tmp_path / "attempts").stat().st_mode & 0o777 == 0o600
    with pytest.raises(AggregationError, match="cannot open"):
        Attempts(tmp_path / "none" / "attempts")
