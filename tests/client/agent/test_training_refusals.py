"""What a site refuses, charging nobody: plans, policies, ledgers and malformed requests."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from client.agent.charters import Offer
from client.privacy.ledger import Ledger
from common.errors import (
    AggregationError,
    BudgetError,
    ConfigError,
    MascaronError,
    NotReadyError,
    PlanError,
    TrunkError,
    WireError,
)
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.privacy import accountant
from common.privacy.plan import MomentMechanism, PrivacyPlan
from common.trust.charter import PURPOSE, array_digests
from common.trust.signed import seal
from simulations.entropy import SeededEntropy
from simulations.federation import LaboratoryLedger, LaboratoryPolicy
from tests.small_site import (
    CENTRE,
    RUN,
    SUM,
    Arrays,
    D,
    K,
    Site,
    accepted,
    charter,
    frame,
    initial,
    long_plan,
    mean_plan,
    noiseless,
    offer,
    tail,
)


def refused(site: Site, plan: PrivacyPlan, error: type[MascaronError]) -> None:
    refused_offer(site, offer(plan), error)


def refused_offer(site: Site, asked: Offer, error: type[MascaronError]) -> None:
    room = site.training()
    with pytest.raises(error):
        room.accept(asked)
    with pytest.raises(NotReadyError):
        room.train(RUN, 1, frame())
    assert site.kinds() == []


def test_a_plan_over_the_budget_is_refused_whole(site: Site) -> None:
    cheap = MomentMechanism(kind="mean", sigma=9.0, clip=1.0, name="mean")
    dear = MomentMechanism(kind="scatter", sigma=0.05, clip=1.0, name="scatter")
    refused(site, mean_plan(mechanisms=(cheap, dear)), BudgetError)


def test_plans_together_may_not_exceed_the_budget(site: Site) -> None:
    room = site.training()
    with pytest.raises(BudgetError):
        for number in range(100):
            room.accept(offer(mean_plan(), f"r{number}"))
    assert 1 < len(site.kinds()) < 100


def test_the_centres_delta_does_not_make_a_plan_cheaper(site: Site) -> None:
    dear = MomentMechanism(kind="mean", sigma=0.42, clip=1.0, name="mean")
    assert accountant.epsilon((dear.event,), 9e-3) < site.policy.epsilon
    refused(site, mean_plan(mechanisms=(dear,), delta=9e-3), BudgetError)


def test_a_plan_for_another_trunk_is_refused(site: Site) -> None:
    refused(site, mean_plan(trunk="u" * 64), TrunkError)


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        (noiseless(mean_plan()), PlanError),
        (mean_plan(noise="distributed", honest_sites=2, cohort=2), AggregationError),
    ],
)
def test_only_a_laboratory_lets_a_site_add_less_than_all_the_noise(
    site: Site, plan: PrivacyPlan, error: type[MascaronError]
) -> None:
    refused(site, plan, error)
    site.restart()
    (site.folder / "ledger.db").unlink()
    (site.folder / "ledger.db.head").unlink()
    site.policy = LaboratoryPolicy(epsilon=50.0, delta=1e-4)
    if plan.noise == "none":  # costs infinitely much, and no budget of a site holds that
        with pytest.raises(BudgetError):
            site.training().accept(offer(plan))
    else:
        assert set(accepted(site, plan).train(RUN, 1, frame())) == {SUM}


def test_more_rounds_than_the_operator_allows_are_refused(site: Site) -> None:
    site.policy = dataclasses.replace(site.policy, rounds=3)
    refused(site, long_plan(), PlanError)


def test_a_slot_longer_than_the_operator_allows_is_refused(site: Site) -> None:
    refused(site, mean_plan(release_slot=1e6), PlanError)


@pytest.mark.parametrize("text", ["{}", '{"people": 1}', '{"mechanisms": [{}]}'])
def test_what_is_no_plan_is_refused(site: Site, text: str) -> None:
    told = seal(CENTRE, PURPOSE, {**charter_table(), "plan": json.loads(text)})
    refused_offer(site, Offer(charter=told.to_json(), initial=array_digests(initial())), PlanError)


def charter_table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(charter(mean_plan()).sign(CENTRE).content)
    return table


@pytest.mark.parametrize(("epsilon", "delta"), [(0, 1e-4), (51, 1e-4), (1, 0), (1, 0.5)])
def test_a_policy_that_protects_nobody_cannot_be_made(epsilon: float, delta: float) -> None:
    from client.policy import SitePolicy

    with pytest.raises(ConfigError):
        SitePolicy(epsilon=epsilon, delta=delta)


def test_an_agent_with_more_budget_than_its_policy_or_repeatable_noise_cannot_be_made(
    site: Site,
) -> None:
    generous = site.policy
    assert site.ledger.budget.epsilon == generous.epsilon  # opened under it
    for smaller in ({"epsilon": 4.0}, {"delta": 1e-5}):
        site.policy = dataclasses.replace(generous, **smaller)
        with pytest.raises(ConfigError, match="budget"):
            site.training()
    site.policy = generous
    site.entropy = SeededEntropy(1)
    with pytest.raises(ConfigError, match="operating system"):
        site.training()


class Unjournaled(Ledger):
    """Waits for the disk, which a power cut in the middle of a write leaves torn."""

    _settings = ("journal_mode = MEMORY", "synchronous = FULL")


@pytest.mark.parametrize("kind", [LaboratoryLedger, Unjournaled])
def test_an_agent_refuses_a_ledger_that_a_power_cut_may_shorten(
    site: Site, kind: type[Ledger]
) -> None:
    with kind(site.folder / "lab.db", bytes(32), site.ledger.budget) as ledger:
        site._ledger, kept = ledger, site._ledger
        with pytest.raises(ConfigError, match="power cut"):
            site.training()
        site._ledger = kept
    assert site.ledger.durable


# A malformed request is refused before anybody is charged for it.

Change = Callable[[Arrays], Arrays]
MALFORMED: dict[str, Change] = {
    "nothing": lambda a: {},
    "one missing": lambda a: {FRAME_WEIGHT: a[FRAME_WEIGHT]},
    "one more": lambda a: {**a, "extra": np.ones(1, np.float32)},
    "of another phase": lambda a: tail(),
    "flat": lambda a: {**a, FRAME_WEIGHT: a[FRAME_WEIGHT].ravel()},
    "transposed": lambda a: {**a, FRAME_WEIGHT: a[FRAME_WEIGHT].T},
    "no rows": lambda a: {FRAME_WEIGHT: np.empty((0, D), "f4"), FRAME_BIAS: np.empty(0, "f4")},
    "too many rows": lambda a: {
        FRAME_WEIGHT: np.zeros((2049, D), "f4"),
        FRAME_BIAS: np.zeros(2049, "f4"),
    },
    "a long bias": lambda a: {**a, FRAME_BIAS: np.zeros(K + 1, "f4")},
    "float64": lambda a: {**a, FRAME_BIAS: a[FRAME_BIAS].astype(np.float64)},
    "nan": lambda a: {**a, FRAME_BIAS: np.full(K, np.nan, np.float32)},
    "infinite": lambda a: {**a, FRAME_WEIGHT: np.full((K, D), np.inf, np.float32)},
}


@pytest.mark.parametrize("kind", sorted(MALFORMED))
def test_a_malformed_request_is_refused_and_charges_nobody(site: Site, kind: str) -> None:
    room = accepted(site, mean_plan())
    with pytest.raises(WireError):
        room.train(RUN, 1, MALFORMED[kind](frame()))
    assert site.kinds() == ["accept"]
    assert set(room.train(RUN, 1, frame())) == {SUM}
