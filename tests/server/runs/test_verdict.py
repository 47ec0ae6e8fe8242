"""What evaluations said, in words that a person understands, and nothing that noise made up."""

from typing import Any

from server.runs.verdict import verdict


def rate(value: float, error: float) -> dict[str, float]:
    return {"value": value, "error": error}


def figures(own: Any, **parts: Any) -> dict[str, Any]:
    part = {
        "people": rate(411.6, 9.0),
        "paired": rate(380.0, 7.0),
        "own": [own],
        "public": [rate(-0.002, 0.011)],
        "public_rates": [0.01],
        "sites": 3,
    }
    return {"tail": "shared", "pools": {"door": part}, **parts}


def entry(name: str, own: Any, **parts: Any) -> dict[str, Any]:
    return {"round": 1, "mechanism": name, "sites": 3, "evaluation": figures(own, **parts)}


def test_a_figure_is_told_with_its_threshold_error_people_and_sites() -> None:
    [line] = verdict([{"round": 1, "mechanism": "mean"}, entry("after", rate(0.8734, 0.0213))])
    assert line == (
        "after, door: at the threshold where 1 % of public pairs pass: 87.3 % +- 2.1 % of own "
        "pairs and 0.0 % +- 1.1 % of public impostors pass, over about 412 people at 3 sites"
    )


def test_what_is_lost_in_the_noise_is_said_to_be_unknown() -> None:
    [line] = verdict([entry("after", None)])
    assert "an unknown share (too few people for the noise) of own pairs" in line


def test_the_gain_is_told_where_the_first_tail_was_evaluated_too() -> None:
    told = verdict([entry("before", rate(0.80, 0.03)), entry("after", rate(0.87, 0.04))])
    assert told[-1] == "gain, door: +7.0 +- 5.0 points of own pairs where 1 % of public pairs pass"
    assert len(told) == 3
    assert len(verdict([entry("before", rate(0.8, 0.03)), entry("after", None)])) == 2


def test_several_pools_have_a_line_for_all_of_them_together() -> None:
    together = figures(rate(0.9, 0.01))["pools"]["door"]
    told = verdict([entry("after", rate(0.9, 0.02), together=together)])
    assert [line.split(":")[0] for line in told] == ["after, door", "after, all pools"]


def test_a_run_without_evaluations_has_nothing_to_say() -> None:
    assert verdict([{"round": 1, "mechanism": "mean", "sites": 3}]) == []
