"""The bench of secure sums runs small, its contenders agree, and upload is near plain."""

import json

import numpy as np
import pytest

from simulations.benchmarks import secagg


def test_the_bench_prints_its_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    secagg.main(["--sites", "3", "--size", "20000", "--repeats", "1"])
    report = json.loads(capsys.readouterr().out)
    assert report["bench"] == "secagg"
    for name in ("ratio_time", "ratio_time_to_plain", "ratio_time_flower_to_plain", "ratio_noise"):
        assert report[f"{name}_3_sites"] > 0
    assert 1 < report["ratio_upload_3_sites"] < 1.1
    assert report["ratio_upload_flower_3_sites"] > 1.9


def test_contenders_that_disagree_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = secagg.plain_sum
    monkeypatch.setattr(secagg, "plain_sum", lambda vectors: plain(vectors) + 0.01)
    with pytest.raises(AssertionError, match="another"):
        secagg.measure(3, 10, 1)


def test_the_plain_sum_is_one() -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert secagg.plain_sum(vectors).tolist() == [6.0, 9.0]
