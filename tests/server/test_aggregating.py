"""Whoever drops out and whenever, up to the threshold: the exact sum over who sent a vector."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import AggregationError, CohortError, NotReadyError
from common.secagg.messages import Boxes, Dealing, Masked, Shares, Survivors, check_of
from common.secagg.phases import KEYS, OPENING, PHASES, SHARES, SURVIVORS, VECTOR
from server.strategies.aggregating import Aggregation
from tests.small_secagg import SmallFederation, names, small_context, small_terms


def patterns(sites: int, lost: int) -> Iterator[dict[str, str]]:
    """Every choice of at most ``lost`` sites and of the phase each is lost at."""
    for count in range(lost + 1):
        for gone in itertools.combinations(names(sites), count):
            for phases in itertools.product(PHASES, repeat=count):
                yield dict(zip(gone, phases, strict=True))


@pytest.mark.parametrize(("sites", "colluders"), [(3, 0), (3, 1), (4, 0), (4, 1), (5, 1)])
def test_every_pattern_of_tolerated_dropouts_gives_the_exact_sum(
    sites: int, colluders: int, tmp_path: Path
) -> None:
    terms = small_terms(sites, colluders)
    federation = SmallFederation(sites, tmp_path)
    for attempt, lost_at in enumerate(patterns(sites, terms.dropouts), start=1):
        centre = federation.run(small_context(terms, attempt=attempt), lost_at)
        assert np.array_equal(centre.total, federation.plain_sum(lost_at)), lost_at
        assert set(centre.dropped) == set(lost_at)


@pytest.mark.slow
@pytest.mark.parametrize(("sites", "colluders"), [(5, 0), (6, 1), (7, 1)])
def test_every_pattern_of_two_dropouts_too(sites: int, colluders: int, tmp_path: Path) -> None:
    test_every_pattern_of_tolerated_dropouts_gives_the_exact_sum(sites, colluders, tmp_path)


@st.composite
def dropouts(draw: st.DrawFn, most: int) -> tuple[int, int, dict[str, str]]:
    """Sites, colluders, and a pattern that the terms tolerate."""
    sites = draw(st.integers(3, most))
    colluders = draw(st.integers(0, (sites - 1) // 3))
    tolerated = small_terms(sites, colluders).dropouts
    phases = st.sampled_from(PHASES)
    lost_at = draw(st.dictionaries(st.sampled_from(names(sites)), phases, max_size=tolerated))
    return sites, colluders, lost_at


@given(case=dropouts(most=14))
def test_any_tolerated_pattern_gives_the_exact_sum(case: tuple[int, int, dict[str, str]]) -> None:
    check_exact(*case)


@pytest.mark.slow
@given(case=dropouts(most=64))
def test_any_tolerated_pattern_of_up_to_64_sites(case: tuple[int, int, dict[str, str]]) -> None:
    check_exact(*case)


def test_64_sites_that_lose_all_they_may_give_the_exact_sum() -> None:
    lost = dict(zip(names(64)[::2], itertools.cycle(PHASES), strict=False))
    tolerated = small_terms(64).dropouts
    assert tolerated == 31
    check_exact(64, 1, dict(itertools.islice(lost.items(), tolerated)))


def check_exact(sites: int, colluders: int, lost_at: dict[str, str]) -> None:
    with TemporaryDirectory() as folder:
        federation = SmallFederation(sites, Path(folder))
        terms = small_terms(sites, colluders)
        centre = federation.run(small_context(terms), lost_at)
        assert np.array_equal(centre.total, federation.plain_sum(lost_at))
        assert len(centre.summed) >= terms.threshold


def test_words_of_64_bits_add_up_as_those_of_32(tmp_path: Path) -> None:
    federation, terms = SmallFederation(4, tmp_path), small_terms(4)
    wide = dataclasses.replace(terms, grid=dataclasses.replace(terms.grid, bits=64))
    lost_at = {federation.names[3]: VECTOR}
    centre = federation.run(small_context(wide), lost_at)
    assert np.array_equal(centre.total, federation.plain_sum(lost_at))


@pytest.mark.parametrize("phase", PHASES)
def test_one_dropout_too_many_ends_the_attempt(phase: str, tmp_path: Path) -> None:
    federation, terms = SmallFederation(6, tmp_path), small_terms(6)
    lost_at = dict.fromkeys(names(6)[: terms.dropouts + 1], phase)
    with pytest.raises(CohortError, match="needs 4"):
        federation.run(small_context(terms), lost_at)


def test_a_failed_attempt_is_over_and_the_next_one_works(tmp_path: Path) -> None:
    federation, terms = SmallFederation(4, tmp_path), small_terms(4)
    centre = federation.until(OPENING, small_context(terms))
    with pytest.raises(CohortError):
        centre.take(OPENING, {})
    for phase in PHASES:
        with pytest.raises(NotReadyError):
            centre.requests(phase)
    with pytest.raises(NotReadyError):
        assert centre.total is None
    again = federation.run(small_context(terms, attempt=2), {})
    assert np.array_equal(again.total, federation.plain_sum({}))
    assert len(federation.charged) == 8  # a second noised sum is paid for a second time


def spoil_shares(message: Shares) -> Shares:
    return dataclasses.replace(message, shares=bytes(16) + message.shares[16:])


def test_a_site_that_opens_a_wrong_share_is_found_out_and_not_needed(tmp_path: Path) -> None:
    federation, context = SmallFederation(6, tmp_path), small_context(small_terms(6))
    centre = federation.until(OPENING, context)
    answers, liar = federation.answers(centre, OPENING), federation.names[0]
    lie = spoil_shares(Shares.from_bytes(answers[liar]))
    answers[liar] = lie.signed(liar, federation.keys[liar], context, view(centre)).to_bytes()
    centre.take(OPENING, answers)
    assert np.array_equal(centre.total, federation.plain_sum({}))


def test_too_many_wrong_shares_are_an_error_and_no_sum(tmp_path: Path) -> None:
    federation, context = SmallFederation(4, tmp_path), small_context(small_terms(4))
    centre = federation.until(OPENING, context)
    answers = federation.answers(centre, OPENING)
    for liar in federation.names[:2]:
        lie = spoil_shares(Shares.from_bytes(answers[liar]))
        answers[liar] = lie.signed(liar, federation.keys[liar], context, view(centre)).to_bytes()
    with pytest.raises(AggregationError, match="site-00 cannot be put together"):
        centre.take(OPENING, answers)


def test_a_dealer_whose_digest_fits_another_seed_is_named(tmp_path: Path) -> None:
    federation, context = SmallFederation(4, tmp_path), small_context(small_terms(4))
    centre = federation.until(SHARES, context)
    answers, liar = federation.answers(centre, SHARES), federation.names[2]
    dealing = Dealing.from_bytes(answers[liar])
    cohort = centre._cohort.view()
    lie = dataclasses.replace(dealing, seed_digest=bytes(16), signature=b"")
    answers[liar] = lie.signed(liar, federation.keys[liar], context, cohort).to_bytes()
    centre.take(SHARES, answers)
    for phase in (VECTOR, SURVIVORS):
        centre.take(phase, federation.answers(centre, phase))
    with pytest.raises(AggregationError, match="site-02"):
        centre.take(OPENING, federation.answers(centre, OPENING))


def test_masks_that_do_not_cancel_are_an_error_and_no_sum(tmp_path: Path) -> None:
    federation, context = SmallFederation(4, tmp_path), small_context(small_terms(4, size=200))
    for name in federation.names:
        federation.vectors[name] = np.zeros(200, np.int64)
    centre = federation.until(VECTOR, context)
    answers, liar = federation.answers(centre, VECTOR), federation.names[1]
    lie = Masked(np.random.default_rng(0).bytes(800))
    answers[liar] = lie.signed(
        liar, federation.keys[liar], context, centre._dealers_view
    ).to_bytes()
    centre.take(VECTOR, answers)
    centre.take(SURVIVORS, federation.answers(centre, SURVIVORS))
    with pytest.raises(AggregationError, match="out of range"):
        centre.take(OPENING, federation.answers(centre, OPENING))


@pytest.mark.parametrize("phase", PHASES)
@settings(max_examples=15)
@given(data=st.data())
def test_a_mangled_answer_costs_its_site_and_never_the_sum(phase: str, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        federation, context = SmallFederation(4, Path(folder)), small_context(small_terms(4))
        centre = federation.until(phase, context)
        answers, victim = federation.answers(centre, phase), federation.names[0]
        raw = bytearray(answers[victim])
        kind = data.draw(st.sampled_from(["flip", "cut", "grow", "other"]))
        at = data.draw(st.integers(0, len(raw) - 1))
        if kind == "flip":
            raw[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del raw[at:]
        elif kind == "grow":
            raw += b"\0"
        else:
            raw = bytearray(answers[federation.names[1]])
        centre.take(phase, {**answers, victim: bytes(raw)})
        assert set(centre.dropped) == {victim}
        for later in PHASES[PHASES.index(phase) + 1 :]:
            centre.take(later, federation.answers(centre, later))
        lost_at = {victim: phase}
        assert np.array_equal(centre.total, federation.plain_sum(lost_at))


def test_a_stranger_and_a_revoked_site_are_not_asked(tmp_path: Path) -> None:
    federation, context = SmallFederation(5, tmp_path), small_context(small_terms(5))
    entries = list(federation.roster.sites)
    entries[0] = dataclasses.replace(entries[0], state="revoked", reason="left")
    federation.roster = dataclasses.replace(federation.roster, sites=tuple(entries))
    centre = Aggregation(context, federation.roster)
    assert set(centre.requests(KEYS)) == set(names(5)[1:])
    answers = federation.answers(centre, KEYS)
    centre.take(KEYS, {**answers, "stranger": next(iter(answers.values()))})
    assert set(centre.requests(SHARES)) == set(names(5)[1:])


def test_a_share_is_bound_to_its_keeper() -> None:
    assert check_of(b"s" * 16, "a", "b", b"x") != check_of(b"s" * 16, "b", "a", b"x")


def view(centre: Aggregation) -> bytes:
    """What the sites of ``centre`` signed along in the last phase."""
    assert isinstance(centre._survivors, Survivors)
    none = (b"",) * len(centre._dealings)
    boxes = Boxes(tuple(centre._dealings), none, none)
    return centre._survivors.view(boxes.view(centre._cohort.view()))
