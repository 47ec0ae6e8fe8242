"""The threshold excludes a split in two, and every digest binds every term."""

import dataclasses
import itertools

import pytest

from common.errors import CohortError, PlanError
from common.privacy.plan import MomentMechanism, PrivacyPlan
from common.secagg.terms import AggregationTerms, least_threshold, terms_of
from tests.small_secagg import names, small_context, small_grid, small_terms


@pytest.mark.parametrize("sites", [3, 4, 5, 6, 7, 8])
def test_no_split_of_the_honest_sites_gives_both_secrets(sites: int) -> None:
    """By trying: some are told that a site lives, the others that it died; colluders tell both."""
    for colluders, threshold in itertools.product(range(sites), range(3, sites + 1)):
        honest = sites - colluders
        split = any(
            told + colluders >= threshold and honest - told + colluders >= threshold
            for told in range(honest + 1)
        )
        try:
            AggregationTerms(
                members=names(sites),
                threshold=threshold,
                colluders=colluders,
                grid=small_grid(sites),
                size=1,
            )
        except PlanError:
            continue
        assert not split, (colluders, threshold)


@pytest.mark.parametrize("sites", range(3, 65))
def test_the_least_threshold_is_taken_and_the_one_below_it_not(sites: int) -> None:
    terms = small_terms(sites)
    assert terms.threshold + terms.dropouts == sites
    assert terms.threshold - terms.colluders >= terms.grid.honest
    with pytest.raises(PlanError):
        dataclasses.replace(terms, threshold=least_threshold(sites, 1) - 1)


@pytest.mark.parametrize(
    "change",
    [
        {"members": names(2)},
        {"members": names(65)},
        {"members": names(6)[::-1]},
        {"members": (*names(5), names(5)[0])},
        {"threshold": 7},
        {"colluders": -1},
        {"colluders": 3},
        {"size": 0},
        {"size": 2**40},
        {"grid": small_grid(6, 5)},
        {"grid": small_grid(5)},
    ],
)
def test_terms_that_promise_too_much_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(PlanError):
        dataclasses.replace(small_terms(6), **change)  # type: ignore[arg-type]


def test_whatever_differs_changes_the_digest() -> None:
    terms = small_terms(6)
    grid = dataclasses.replace(terms.grid, units=terms.grid.units // 2)
    contexts = [
        small_context(terms),
        small_context(terms, federation="0" * 64),
        small_context(terms, charter="0" * 64),
        small_context(terms, run="other"),
        small_context(terms, round=2),
        small_context(terms, attempt=2),
        small_context(dataclasses.replace(terms, threshold=5)),
        small_context(dataclasses.replace(terms, size=6)),
        small_context(dataclasses.replace(terms, members=(*names(5), "zz"))),
        small_context(dataclasses.replace(terms, grid=grid)),
        small_context(dataclasses.replace(terms, colluders=0)),
    ]
    assert len({context.digest for context in contexts}) == len(contexts)
    assert small_context(terms).digest == contexts[0].digest


def test_a_small_cohort_is_told_what_is_missing() -> None:
    small_terms(6).check_cohort(4, "came")
    with pytest.raises(CohortError, match="3 sites came, a secure sum here needs 4"):
        small_terms(6).check_cohort(3, "came")


def test_a_plan_with_distributed_noise_says_all_that_is_needed() -> None:
    mechanism = MomentMechanism(kind="scatter", sigma=2.0, clip=0.5, name="scatter")
    plan = PrivacyPlan(
        people=240,
        delta=1e-5,
        noise="distributed",
        honest_sites=3,
        cohort=4,
        mechanisms=(mechanism,),
    )
    terms = terms_of(plan, mechanism, names(6)[::-1], 36)
    assert (terms.members, terms.threshold, terms.colluders) == (names(6), 4, 1)
    assert (terms.grid.clip, terms.grid.sigma, terms.grid.honest) == (0.5, 2.0, 3)
    larger = terms_of(plan, mechanism, names(9), 36)
    assert (larger.threshold, larger.colluders, larger.grid.honest) == (6, 1, 3)
    with pytest.raises(CohortError, match="a pool has 3 sites"):
        terms_of(plan, mechanism, names(3), 36)
    local = dataclasses.replace(plan, noise="local", honest_sites=1)
    with pytest.raises(PlanError, match="distributed"):
        terms_of(local, mechanism, names(6), 36)
