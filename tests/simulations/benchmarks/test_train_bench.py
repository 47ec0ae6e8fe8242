import argparse

import pytest
import torch

from simulations.benchmarks import train


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_speed_and_share_are_measured_where_there_is_no_gpu(precision: str) -> None:
    told = argparse.Namespace(
        architecture="tiny", batch=2, people=4, repeats=1, threads=1, device="cpu"
    )
    told.precision, told.loss = precision, "arcface"
    found = train.speed(told)
    assert (found["device"], found["precision"], found["batch"]) == ("cpu", precision, 2)
    # 33 M products a picture forward, and about twice as many backward, two operations each.
    assert 0.15 < found["gflop_per_picture"] < 0.25
    assert found["pictures_per_s"] > 0 and found["share_of_matmul_peak"] > 0
    assert found["feed_pictures_per_s"] > 0 and found["ratio_layout"] > 0


def test_operations_are_two_for_every_product_and_sum() -> None:
    left, right = torch.ones(3, 5), torch.ones(5, 7)
    assert train.operations_of(lambda: (left @ right, None)[1]) == 2 * 3 * 5 * 7
