"""The benches measure what they say: small runs of each, and that both ways agree."""

import importlib.util
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from simulations.benchmarks import simulate, start
from simulations.benchmarks.toy import KINDS, toy_features, toy_federation
from simulations.cli import main


def test_the_toy_federation_releases_three_sums_from_every_site(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from simulations.benchmarks.toy import run_toy

    outcome = run_toy(toy_federation(3), tmp_path)
    assert [name for site, name, _ in outcome.left if site == "site-1"] == [
        f"moments.{kind}.sum" for kind in KINDS
    ]


def test_a_site_has_the_same_features_however_many_there_are() -> None:
    few, many = toy_features(2), toy_features(4)
    np.testing.assert_array_equal(few, many[: len(few)])


def test_simulate_prints_the_ratio_of_time_a_site(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate, "ENOUGH", 4)
    monkeypatch.setattr(simulate, "_elsewhere", lambda function, sites: function(sites))
    simulate.main(["--sites", "2", "4", "--repeats", "1", "--flower", "0"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["bench"] == "simulate"
    assert report["ratio_time_per_site"] == report["ratio_time_per_site_4_to_2"] > 0
    assert all(mib > 20 for mib in report["peak_mib"].values())


def test_simulate_leaves_flower_out_with_a_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert simulate.flower_ratio(2) == {"flower": "skipped: ray is not installed"}
    assert "ray is not installed" in capsys.readouterr().err


def test_start_ends_with_the_first_release(capsys: pytest.CaptureFixture[str]) -> None:
    start.main(["--sites", "2", "--repeats", "1"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["bench"] == "start"
    assert 0.1 < report["ratio_start"] < 100


def test_a_start_that_fails_is_told() -> None:
    with pytest.raises(RuntimeError, match="the measured process failed"):
        start._seconds(["-c", "raise SystemExit(3)"], expected=start.REPLIED)


@pytest.mark.parametrize("asked", [["--sites", "0"], ["--sites", "2", "x"], ["--flower", "-1"]])
def test_counts_that_cannot_be_meant_are_told_with_their_option(
    capsys: pytest.CaptureFixture[str], asked: list[str]
) -> None:
    with pytest.raises(SystemExit):
        simulate.main(asked)
    told = capsys.readouterr().err
    assert f"{asked[0]}: expected a whole number, at least" in told
    assert told.splitlines()[-1].endswith(f"got {asked[-1]!r}")


def test_each_bench_tells_its_own_options() -> None:
    told = CliRunner().invoke(main, ["bench", "start", "--help"]).output
    assert "--repeats" in told
    everything = CliRunner().invoke(main, ["bench", "--help"], terminal_width=200).output
    assert {"dp-step", "secagg"} <= set(re.findall(r"[a-z-]+", everything))


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="needs the extra 'ray'")
def test_the_same_sums_come_out_under_flowers_own_simulation() -> None:
    assert simulate.flower_ratio(2)["ratio_flower"] > 1
