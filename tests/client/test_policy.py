"""What an operator may forbid, and that a plan which asks for it is refused by name."""

from pathlib import Path
from typing import Any, Literal

import pytest

from client.policy import AutoAccept, SitePolicy
from common.config import load
from common.errors import (
    CohortError,
    ConfigError,
    ForbiddenError,
    LabelError,
    MascaronError,
    PlanError,
    TrunkError,
)
from common.privacy.plan import GradientMechanism, MomentMechanism, PrivacyPlan
from tests.fakes import TRUNK
from tests.small_site import long_plan, mean_plan

HASH = "a" * 64


def policy(**limits: Any) -> SitePolicy:
    return SitePolicy(**{"epsilon": 8.0, "delta": 1e-4, **limits})


def test_every_limit_is_read_from_one_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        f"""\
epsilon = 4
delta = 1e-5
declared_people = 240
rounds = 20
release_slot = 30.0
trunks = ["{HASH}"]
tensors = ["moments.mean.sum"]
denied_attributes = ["age", "beard"]
cohort = 3
[auto_accept]
epsilon = 1.0
rounds = 2
""",
        "utf-8",
    )
    assert load(SitePolicy, path) == SitePolicy(
        epsilon=4.0,
        delta=1e-5,
        declared_people=240,
        rounds=20,
        release_slot=30.0,
        trunks=(HASH,),
        tensors=("moments.mean.sum",),
        denied_attributes=("age", "beard"),
        cohort=3,
        auto_accept=AutoAccept(epsilon=1.0, rounds=2),
    )


def test_what_the_shipped_policy_says_is_allowed_is_allowed() -> None:
    policy().check(long_plan(), TRUNK)


def test_a_trunk_that_is_not_on_the_list_is_refused_even_if_the_site_runs_it() -> None:
    policy(trunks=(HASH,)).check(mean_plan(trunk=HASH), HASH)
    with pytest.raises(TrunkError, match=r"policy\.toml"):
        policy(trunks=(HASH,)).check(mean_plan(trunk="b" * 64), "b" * 64)


@pytest.mark.parametrize(
    ("tensors", "allowed"),
    [
        (("moments.", "gradient."), True),
        (("moments.mean.sum", "moments.scatter.sum", "gradient."), True),
        (("moments.",), False),
        (("gradient.",), False),
        (("moments.mean", "moments.scatter", "gradient."), False),
        ((), False),
    ],
)
def test_only_tensors_on_the_list_may_be_planned(tensors: tuple[str, ...], allowed: bool) -> None:
    limits = policy(tensors=tensors)
    if allowed:
        limits.check(long_plan(), TRUNK)
    else:
        with pytest.raises(PlanError, match="not among the tensors"):
            limits.check(long_plan(), TRUNK)


def test_a_plan_that_attacks_crops_is_refused_where_features_alone_are_kept() -> None:
    def asked(on: Literal["features", "crops"]) -> PrivacyPlan:
        step = GradientMechanism(
            sigma=9.0,
            clip=1.0,
            rate=0.5,
            rounds=1,
            adversarial_steps=2,
            adversarial_eps=0.01,
            adversarial_on=on,
        )
        return PrivacyPlan(mechanisms=(step,), people=100, delta=1e-5, trunk=TRUNK)

    policy().check(asked("features"), TRUNK)
    with pytest.raises(PlanError, match="keeps features only"):
        policy().check(asked("crops"), TRUNK)


@pytest.mark.parametrize(
    ("changes", "name", "error"),
    [
        ({"heads": ("attributes",)}, "hat", None),
        ({"heads": ("attributes",)}, "age", LabelError),
        ({"heads": ("attributes", "age")}, "female", LabelError),
        ({"heads": ("gender",)}, "female", None),
        ({"heads": ("age",)}, "young", LabelError),
        ({}, "hat", LabelError),
        ({"heads": ("attributes",), "denied_attributes": ("hat",)}, "hat", ForbiddenError),
        ({"heads": ("attributes",), "denied_attributes": ("age",)}, "elderly", ForbiddenError),
        ({"heads": ("gender",), "denied_attributes": ("male",)}, "female", ForbiddenError),
        ({"heads": ("attributes",), "denied_attributes": ("attributes",)}, "hat", ForbiddenError),
    ],
)
def test_of_a_picture_is_said_what_a_head_may_learn_and_nothing_else(
    changes: dict[str, Any], name: str, error: type[MascaronError] | None
) -> None:
    limits = policy(**{"heads": (), "denied_attributes": (), **changes})
    assert limits.allows_label(name) == (error is None)
    if error is not None:
        with pytest.raises(error):
            limits.check_label(name)


def test_a_denied_attribute_is_neither_a_mechanism_nor_an_objective() -> None:
    limits = policy(denied_attributes=("age", "contrast"))
    limits.check(mean_plan(), TRUNK)
    about = [
        mean_plan(mechanisms=(MomentMechanism(kind="mean", sigma=2.0, clip=1.0, name=name),))
        for name in ("attribute.age", "attribute.young")
    ]
    for plan in (*about, long_plan()):
        with pytest.raises(PlanError, match="denied"):
            limits.check(plan, TRUNK)


@pytest.mark.parametrize(
    ("denied", "name"),
    [
        *(("age", name) for name in ("gradient-age", "gradient_age", "mean-of-age", "under_35")),
        *(("age", name) for name in ("mean.under_35", "scatter-young", "mean.ages")),
        *(("glasses", name) for name in ("eyeglasses", "scatter.eyeglasses")),
        *(("gender", name) for name in ("woman", "mean.women")),
        *(("头发", name) for name in ("mean.hair", "black_hair", "bald")),
    ],
)
def test_a_mechanism_about_what_is_denied_is_refused_whatever_its_name(
    denied: str, name: str
) -> None:
    plan = mean_plan(mechanisms=(MomentMechanism(kind="mean", sigma=2.0, clip=1.0, name=name),))
    policy(denied_attributes=()).check(plan, TRUNK)
    with pytest.raises(PlanError, match=r"denied by policy\.toml"):
        policy(denied_attributes=(denied,)).check(plan, TRUNK)


@pytest.mark.parametrize("name", ["race", "muslim", "gradient.skin", "mean_of_black_men"])
def test_a_mechanism_about_what_is_forbidden_is_refused_where_nothing_is_denied(name: str) -> None:
    plan = mean_plan(mechanisms=(MomentMechanism(kind="mean", sigma=2.0, clip=1.0, name=name),))
    with pytest.raises(PlanError, match="forbidden everywhere"):
        policy(denied_attributes=()).check(plan, TRUNK)


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        *((("contrast",), True), (("mean",), True), (("gradient",), True), (("scatter",), True)),
        *((("compact",), False), (("evaluation",), False), (("age", "race", "words"), False)),
    ],
)
def test_objectives_and_kinds_of_mechanisms_may_be_denied(
    words: tuple[str, ...], refused: bool
) -> None:
    limits = policy(denied_attributes=words)
    if refused:
        with pytest.raises(PlanError, match="denied"):
            limits.check(long_plan(), TRUNK)
    else:
        limits.check(long_plan(), TRUNK)


@pytest.mark.parametrize("word", ["", " ", "eyeglases", "tattoo", "glasses and tattoos", "contrst"])
def test_a_denied_word_that_means_nothing_here_is_no_policy(word: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(f'epsilon = 4\ndelta = 1e-5\ndenied_attributes = ["age", "{word}"]\n', "utf-8")
    with pytest.raises(ConfigError, match="would deny nothing"):
        load(SitePolicy, path)


def test_a_cohort_smaller_than_the_sites_is_refused() -> None:
    policy(cohort=3).check(mean_plan(cohort=3), TRUNK)
    with pytest.raises(CohortError):
        policy(cohort=3).check(mean_plan(cohort=2), TRUNK)


def test_nothing_is_automatic_unless_the_operator_says_so() -> None:
    assert not policy().automatic(mean_plan())
    assert policy(auto_accept=AutoAccept(epsilon=8.0, rounds=1)).automatic(mean_plan())
    assert not policy(auto_accept=AutoAccept(epsilon=8.0, rounds=3)).automatic(long_plan())
    assert not policy(auto_accept=AutoAccept(epsilon=0.5, rounds=1)).automatic(mean_plan())


@pytest.mark.parametrize(
    "limits",
    [
        {"trunks": ("short",)},
        {"tensors": ("",)},
        {"cohort": 0},
        {"rounds": 0},
        {"declared_people": 0},
        {"release_slot": -1.0},
    ],
)
def test_a_limit_that_cannot_be_meant_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        policy(**limits)


@pytest.mark.parametrize("limits", [{"epsilon": -1.0}, {"epsilon": 51.0}, {"rounds": -1}])
def test_an_automatic_limit_that_cannot_be_meant_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        AutoAccept(**limits)
