"""A strategy is named, its numbers make sense, and what it needs is said before a run begins."""

import pytest

from common.errors import ConfigError
from common.privacy.plan import GradientMechanism, MomentMechanism, NoiseModel, PrivacyPlan
from server.charter import Charter
from server.strategies.choice import NAMES, ROBUST, StrategyChoice


def plan(
    noise: NoiseModel = "local",
    proximal: float = 0.0,
    cohort: int = 9,
    rounds: int = 2,
    steps: int = 1,
) -> PrivacyPlan:
    mean = MomentMechanism(kind="mean", sigma=1.0, clip=1.0, name="mean")
    gradients = GradientMechanism(
        sigma=1.0, clip=1.0, rate=0.5, rounds=2, proximal=proximal, steps_per_round=steps
    )
    return PrivacyPlan(
        mechanisms=(mean, gradients) if rounds else (mean,),
        people=10,
        delta=1e-4,
        cohort=cohort,
        pooling="all",
        noise=noise,
        honest_sites=cohort if noise == "distributed" else 1,
    )


def test_an_unknown_name_is_answered_with_what_was_meant() -> None:
    with pytest.raises(ConfigError, match=r"no strategy 'fedadm'; did you mean 'fedadam'\?"):
        StrategyChoice(name="fedadm")
    with pytest.raises(ConfigError, match="there are: fedavg, fedprox"):
        StrategyChoice(name="?")


@pytest.mark.parametrize(
    "changes",
    [
        {"malicious": -1}, {"selected": 0}, {"trim": 0.0}, {"trim": 0.5}, {"server_rate": 0.0},
        {"tau": float("inf")}, {"beta_1": 1.0}, {"beta_2": -0.1},
    ],
)  # fmt: skip
def test_impossible_numbers_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        StrategyChoice(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choice", "least"),
    [
        (StrategyChoice(name="fedmedian"), 3),
        (StrategyChoice(name="fedtrimmedavg", trim=0.2), 5),
        (StrategyChoice(name="fedtrimmedavg", trim=0.34), 3),
        (StrategyChoice(name="krum", malicious=1), 5),
        (StrategyChoice(name="krum", malicious=2), 7),
        (StrategyChoice(name="multikrum", malicious=1, selected=6), 9),
        (StrategyChoice(name="multikrum", malicious=2), 7),
        (StrategyChoice(name="bulyan", malicious=1), 7),
        (StrategyChoice(name="bulyan", malicious=2), 11),
    ],
)
def test_robust_rules_need_enough_sites(choice: StrategyChoice, least: int) -> None:
    assert choice.too_few({"door": least, "hall": least + 3}) is None
    told = choice.too_few({"door": least, "hall": least - 1})
    assert told is not None
    assert f"needs {least} sites in every pool, 'hall' has {least - 1}" in told
    with pytest.raises(ConfigError, match=f"cohort is too small: {choice.name}"):
        Charter(run="r", plan=plan(cohort=least - 1), strategy=choice)
    Charter(run="r", plan=plan(cohort=least), strategy=choice)


@pytest.mark.parametrize("name", sorted(set(NAMES) - ROBUST))
def test_averages_need_nobody(name: str) -> None:
    assert StrategyChoice(name=name).too_few({"door": 0}) is None


@pytest.mark.parametrize("name", sorted(ROBUST))
def test_a_rule_that_compares_sites_is_refused_where_only_the_sum_may_be_seen(name: str) -> None:
    with pytest.raises(ConfigError, match="under distributed noise the centre may see their sum"):
        Charter(run="r", plan=plan("distributed"), strategy=StrategyChoice(name=name))


@pytest.mark.parametrize("trim", [1e-7, 1 / 49, 0.1, 0.49])
def test_the_fewest_sites_are_those_of_which_a_trim_cuts_one_off(trim: float) -> None:
    least = StrategyChoice(name="fedtrimmedavg", trim=trim).least_sites
    assert (int(trim * least), int(trim * (least - 1))) == (1, 0)


@pytest.mark.parametrize("name", sorted(set(NAMES) - ROBUST - {"fedprox"}))
def test_a_rule_that_averages_goes_with_shared_noise(name: str) -> None:
    shared = plan("distributed")
    assert Charter(run="r", plan=shared, strategy=StrategyChoice(name=name)).plan is shared


def test_names_that_would_only_be_another_word_for_fedavg_are_refused() -> None:
    prox = StrategyChoice(name="fedprox")
    for idle in (plan(steps=2), plan(proximal=0.1), plan("distributed", proximal=0.1)):
        with pytest.raises(ConfigError, match="fedprox without a proximal term that acts"):
            Charter(run="r", plan=idle, strategy=prox)
    Charter(run="r", plan=plan(proximal=0.1, steps=2), strategy=prox)
    for name in ("fedadam", "fedyogi"):
        with pytest.raises(ConfigError, match="the plan has none, so it would be fedavg"):
            Charter(run="r", plan=plan(rounds=0), strategy=StrategyChoice(name=name))


def test_noise_of_a_robust_moment_is_never_taken_for_less_than_that_of_the_sum() -> None:
    factor = {name: StrategyChoice(name=name).noise_factor(9) for name in NAMES}
    assert {name for name, value in factor.items() if value == 1} == set(NAMES) - ROBUST
    assert factor["krum"] == 9  # one release stands for nine
    assert factor["multikrum"] == pytest.approx(9 / 6)
    assert 1.5 < factor["fedmedian"] < factor["bulyan"] < factor["krum"]
