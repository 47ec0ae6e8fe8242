"""The contenders of the benchmark compute the same thing; how fast is not tested here."""

import dataclasses
import json

import pytest
import torch

from client.privacy.objective import BagContrast
from simulations.benchmarks import dp_step
from simulations.benchmarks.contenders import CONTENDERS, Bench, Setting, make_bench, picture_losses

LITTLE = Setting(persons=2, pictures=3, width=0.1)


def test_contenders_agree_before_they_race() -> None:
    assert dp_step.check_agreement(LITTLE) <= dp_step.AGREE


def test_contender_that_computes_something_else_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = CONTENDERS | {"accumulated": lambda bench: CONTENDERS["plain"](fewer(bench))}
    monkeypatch.setattr(dp_step, "CONTENDERS", broken)
    with pytest.raises(AssertionError, match="disagree"):
        dp_step.check_agreement(LITTLE)


def test_loss_of_the_benchmark_is_the_shipped_one() -> None:
    bench = make_bench(LITTLE)
    identity = torch.nn.Identity()
    embedding = torch.randn(3, 128, generator=torch.Generator().manual_seed(1))
    shipped = BagContrast(identity, bench.negatives, 16.0)(identity, embedding)
    assert picture_losses(embedding, bench.negatives, 3).sum() == pytest.approx(float(shipped))


def test_report_is_one_json_line_of_ratios(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dp_step, "Setting", lambda **given: LITTLE)
    monkeypatch.setattr(dp_step, "_peak_elsewhere", lambda name, setting: 1000)
    dp_step.main(["--repeats", "1"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["bench"] == "dp-step"
    ratios = ["ratio_time", "ratio_memory", "ratio_cached", "ratio_time_hooks", "ratio_time_ghost"]
    assert all(report[name] > 0 for name in ratios)


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    assert dp_step._peak_elsewhere("cached", LITTLE) > 0


def fewer(bench: Bench) -> Bench:
    return dataclasses.replace(bench, crops=bench.crops[:1])
