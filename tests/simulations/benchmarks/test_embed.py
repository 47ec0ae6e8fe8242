from collections.abc import Callable

import pytest

from common.models.trunk import load_trunk
from simulations.benchmarks import embed
from simulations.benchmarks.quality import STARTER


def test_operations_are_two_for_every_weight_at_every_place() -> None:
    trunk, _ = load_trunk(STARTER)
    front = trunk.module.front
    counted = embed.operations_of(front)
    weights = {n.inputs[1] for n in front.graph.nodes if n.op in ("Conv", "Gemm", "MatMul")}
    least = 2 * sum(front.graph.tensors[name].size for name in weights)
    assert least < counted < 2e9


def test_contenders_run_in_turns_and_the_first_turn_does_not_count() -> None:
    order: list[str] = []
    contenders: dict[str, Callable[[], object]] = {
        "a": lambda: order.append("a"),
        "b": lambda: order.append("b"),
    }
    times = embed.in_turns(contenders, 3)
    assert order == ["a", "b"] * 4
    assert {name: len(turns) for name, turns in times.items()} == {"a": 3, "b": 3}


@pytest.mark.slow
def test_int8_and_float32_agree_and_every_step_of_the_eye_is_measured() -> None:
    found = embed.speed(1, 2, 1)
    assert found["agree"] > embed.AGREE
    assert 5.0 < found["gflop"] < 5.5  # of IResNet18
    assert list(embed.breakdown(1)) == [
        "decode", "detect", "align", "quality", "life", "trunk", "tail",
    ]  # fmt: skip
