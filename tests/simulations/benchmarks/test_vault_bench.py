"""The bench of vaults runs small, and times nothing that reads wrongly."""

import json
from dataclasses import replace

import pytest

from client.vault.loading import Loaded
from client.vault.store import Vault
from simulations.benchmarks import vault


def test_the_bench_prints_its_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    vault.main(["--people", "20", "--templates", "2", "--dim", "32", "--repeats", "2"])
    report = json.loads(capsys.readouterr().out)
    assert report["bench"] == "vault" and report["rows"] == 40
    for name in ("load", "boot"):
        for suffix in ("", "_typical", "_by_person", "_by_person_typical"):
            assert report[f"ratio_{name}{suffix}"] > 0
    for name in ("enrol", "group", "erase"):
        assert report[f"cost_{name}"] > 0


def test_a_load_that_differs_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Vault.load

    def turned(self: Vault, trunk: str) -> Loaded:
        loaded = load(self, trunk)
        seen.append(loaded)
        if len(seen) == 1:  # what the bare loops are made of
            return loaded
        return replace(loaded, features=loaded.features[::-1])

    seen: list[Loaded] = []
    monkeypatch.setattr(Vault, "load", turned)
    with pytest.raises(AssertionError, match="load differs"):
        vault.measure(vault.Size(people=10, templates=1, dim=16, group=2), 1)
