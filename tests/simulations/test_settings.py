"""A scenario whose dealing or strategy contradicts itself is told so before anything runs."""

from typing import Any

import pytest

from common.errors import ConfigError, ScenarioError
from common.privacy.plan import GradientMechanism
from simulations.mechanisms import mechanisms
from simulations.scenario import Scenario


def scenario(**changes: Any) -> Scenario:
    return Scenario(**{"name": "a", "sites": 4, **changes})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"alpha": 0.0}, "alpha must be in"),
        ({"ridge": 0.0}, "ridge must be in"),
        ({"own_shrink": 0.0}, "own_shrink must be in"),
        ({"own_shrink": float("nan")}, "own_shrink must be in"),
        ({"mean_share": 1.0}, "mean_share must be in"),
        ({"alpha": float("nan")}, "alpha must be in"),
        ({"partition": "attribute"}, "attribute names what"),
        ({"attribute": "glasses"}, "attribute names what"),
        ({"partition": "dirichlet", "people": 5}, "draws how many people a site has"),
        ({"partition": "camera", "people": 5}, "draws how many people a site has"),
        ({"strategy": "fedmedain"}, "did you mean 'fedmedian'"),
        ({"strategy": "fedadam"}, "fedadam acts on gradients: set gradient_share"),
        ({"strategy": "fedprox", "proximal": 1.0}, "fedprox acts on gradients"),
        ({"strategy": "fedprox", "gradient_share": 0.5}, "fedprox needs proximal in"),
        ({"strategy": "fedprox", "gradient_share": 0.5, "proximal": 1e4}, "proximal in"),
        (
            {"strategy": "fedprox", "gradient_share": 0.5, "proximal": 1.0},
            "fedprox at one step a round is fedavg",
        ),
        ({"local_steps": 0}, "local_steps must be in"),
        ({"malicious": -1}, "malicious must be"),
        ({"trim": 0.7}, "trim must be in"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ScenarioError, match=told):
        scenario(**changes)


def test_where_each_picture_was_taken_once_a_camera_may_have_so_many_people() -> None:
    assert scenario(partition="camera", people=5, cameras="none").people == 5
    assert scenario(partition="camera", people=5, one_camera=True).people == 5


def gradients(**changes: Any) -> GradientMechanism:
    steps = mechanisms(scenario(gradient_share=0.5, **changes), 0.3, None)[-1]
    assert isinstance(steps, GradientMechanism)
    return steps


def test_local_steps_and_the_proximal_term_reach_the_plan() -> None:
    one = gradients()
    assert (one.steps_per_round, one.proximal) == (1, 0.0)
    more = gradients(local_steps=3, strategy="fedprox", proximal=20.0)
    assert (more.steps_per_round, more.proximal) == (3, 20.0)


def test_only_fedprox_reads_the_proximal_term() -> None:
    assert gradients(proximal=20.0).proximal == 0


@pytest.mark.parametrize(
    ("changes", "possible"),
    [
        ({}, True),
        ({"strategy": "fedyogi", "gradient_share": 0.5}, True),
        ({"strategy": "krum"}, False),
        ({"local_steps": 2}, False),
    ],
)
def test_shared_noise_is_for_rules_that_need_the_sum_only(
    changes: dict[str, Any], possible: bool
) -> None:
    assert scenario(**changes).sums_only is possible


def test_the_choice_is_the_scenarios() -> None:
    choice = scenario(strategy="multikrum", malicious=2, selected=3).choice
    assert (choice.name, choice.malicious, choice.selected) == ("multikrum", 2, 3)
    assert issubclass(ScenarioError, ConfigError)
