"""A charter comes back as it was written, and a broken one is refused before anything starts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError, RunError
from common.privacy.plan import MomentMechanism, PrivacyPlan
from server.charter import CHARTER, INITIAL, Charter, EarlyStop, load_charter
from server.strategies.choice import StrategyChoice

PLAN = PrivacyPlan(
    mechanisms=(MomentMechanism(kind="mean", sigma=1.0, clip=1.0, name="mean"),),
    people=10,
    delta=1e-4,
)
ARRAYS = {
    "tail.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "tail.bias": np.ones(2, "f4"),
}


def test_charter_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = Charter(
        run="r1",
        plan=PLAN,
        timeout=5.0,
        early_stop=EarlyStop(patience=3),
        strategy=StrategyChoice(name="multikrum", malicious=2, selected=3),
    )
    written.save(tmp_path / "new" / "folder", ARRAYS)
    read, initial = load_charter(tmp_path / "new" / "folder")
    assert read == written
    assert read.plan.digest == PLAN.digest
    assert set(initial) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(initial[name], array)


def test_charter_without_early_stop_has_none(tmp_path: Path) -> None:
    Charter(run="r1", plan=PLAN).save(tmp_path, ARRAYS)
    assert load_charter(tmp_path)[0].early_stop is None


def test_charter_from_before_there_were_strategies_averages(tmp_path: Path) -> None:
    Charter(run="r1", plan=PLAN).save(tmp_path, ARRAYS)
    changed(strategy=None)(tmp_path)
    assert load_charter(tmp_path)[0].strategy == StrategyChoice()


def changed(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        table = json.loads((folder / CHARTER).read_text("utf-8"))
        for key, value in changes.items():
            table.pop(key, None)
            if value is not None:
                table[key] = value
        (folder / CHARTER).write_text(json.dumps(table), "utf-8")

    return change


def text(content: str | bytes, name: str = CHARTER) -> Callable[[Path], None]:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: (folder / name).write_bytes(data) and None


MALFORMED: dict[str, Callable[[Path], None]] = {
    "no charter": lambda folder: (folder / CHARTER).unlink(),
    "no arrays": lambda folder: (folder / INITIAL).unlink(),
    "a folder instead": lambda folder: ((folder / CHARTER).unlink(), (folder / CHARTER).mkdir())[1],
    "empty": text(""),
    "a list": text("[]"),
    "a number": text("3"),
    "a string": text('"plan"'),
    "not utf-8": text(b"\xff\xfe\x00"),
    "half of it": text('{"run": "r1", "plan": {"mech'),
    "too deep": text("[" * 100_000),
    "no run": changed(run=None),
    "empty run": changed(run=""),
    "run is a number": changed(run=3),
    "no plan": changed(plan=None),
    "plan is a string": changed(plan="x"),
    "plan without mechanisms": changed(plan={"people": 3, "delta": 1e-4}),
    "plan with an unknown key": changed(plan={**json.loads(PLAN.to_json()), "x": 1}),
    "unknown key": changed(tiemout=3.0),
    "no time": changed(timeout=0.0),
    "endless": changed(timeout=float("inf")),
    "not a number": changed(timeout=float("nan")),
    "momentum of one": changed(momentum=1.0),
    "no patience": changed(early_stop={"patience": 0}),
    "misspelt patience": changed(early_stop={"patient": 3}),
    "unknown strategy": changed(strategy={"name": "fedavgg"}),
    "strategy is a name": changed(strategy="fedavg"),
    "misspelt option of a strategy": changed(strategy={"name": "krum", "malicous": 1}),
    "arrays cut off": text(b"\x10\x00\x00\x00\x00\x00\x00\x00{}", INITIAL),
    "arrays empty": text(b"", INITIAL),
}


@pytest.mark.parametrize("how", MALFORMED)
def test_malformed_charter_is_refused_by_name(tmp_path: Path, how: str) -> None:
    Charter(run="r1", plan=PLAN).save(tmp_path, ARRAYS)
    MALFORMED[how](tmp_path)
    with pytest.raises(RunError, match=CHARTER):
        load_charter(tmp_path)


def test_misspelt_key_is_pointed_out(tmp_path: Path) -> None:
    Charter(run="r1", plan=PLAN).save(tmp_path, ARRAYS)
    changed(tiemout=3.0)(tmp_path)
    with pytest.raises(RunError, match="did you mean 'timeout'"):
        load_charter(tmp_path)


def test_charter_that_makes_no_sense_cannot_be_built() -> None:
    with pytest.raises(ConfigError, match="momentum"):
        Charter(run="r1", plan=PLAN, momentum=-0.1)
