"""A charter comes back as it was written, and a broken one is refused before anything starts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError, RunError
from common.privacy.plan import MomentMechanism, PrivacyPlan
from common.trust.charter import PURPOSE
from common.trust.keys import SigningKey
from common.trust.signed import Signed, seal
from server.charter import (
    CHARTER,
    INITIAL,
    Charter,
    EarlyStop,
    Initial,
    load_charter,
    write_charter,
)
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


KEY = SigningKey.generate()


def save(charter: Charter, folder: Path) -> None:
    write_charter(folder, charter.terms("f", ARRAYS, 2**40).sign(KEY), ARRAYS)


def load(folder: Path) -> tuple[Charter, Initial, Signed]:
    return load_charter(folder, KEY.public)


def test_charter_comes_back_as_it_was_signed(tmp_path: Path) -> None:
    written = Charter(
        run="r1",
        plan=PLAN,
        timeout=5.0,
        early_stop=EarlyStop(patience=3),
        strategy=StrategyChoice(name="multikrum", malicious=2, selected=3),
    )
    save(written, tmp_path / "new" / "folder")
    read, initial, signed = load(tmp_path / "new" / "folder")
    assert read == written
    assert read.plan.digest == PLAN.digest
    assert signed == written.terms("f", ARRAYS, 2**40).sign(KEY)
    assert set(initial) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(initial[name], array)


def test_charter_without_early_stop_has_none(tmp_path: Path) -> None:
    save(Charter(run="r1", plan=PLAN), tmp_path)
    assert load(tmp_path)[0].early_stop is None


def test_charter_that_says_nothing_of_the_centre_averages(tmp_path: Path) -> None:
    save(Charter(run="r1", plan=PLAN), tmp_path)
    changed(centre={})(tmp_path)
    assert load(tmp_path)[0].strategy == StrategyChoice()


def test_a_charter_that_expired_is_read_for_its_run_may_go_on(tmp_path: Path) -> None:
    save(Charter(run="r1", plan=PLAN), tmp_path)
    changed(expires=1)(tmp_path)
    assert load(tmp_path)[0].run == "r1"


def test_a_charter_that_another_key_signed_or_that_was_altered_is_refused(tmp_path: Path) -> None:
    save(Charter(run="r1", plan=PLAN), tmp_path)
    with pytest.raises(RunError, match="not by the key expected"):
        load_charter(tmp_path, SigningKey.generate().public)
    path = tmp_path / CHARTER
    path.write_text(path.read_text("utf-8").replace("r1", "r2"), "utf-8")
    with pytest.raises(RunError, match="not by the key expected"):
        load(tmp_path)


def test_initial_arrays_other_than_those_signed_are_refused(tmp_path: Path) -> None:
    save(Charter(run="r1", plan=PLAN), tmp_path)
    signed = Signed.from_json((tmp_path / CHARTER).read_text("utf-8"))
    write_charter(tmp_path, signed, {**ARRAYS, "tail.bias": np.zeros(2, "f4")})
    with pytest.raises(RunError, match="initial arrays"):
        load(tmp_path)


def changed(**changes: Any) -> Callable[[Path], None]:
    """Changes the words and signs them again: what only the centre itself can do."""

    def change(folder: Path) -> None:
        signed = Signed.from_json((folder / CHARTER).read_text("utf-8"))
        table = json.loads(signed.content)
        for key, value in changes.items():
            table.pop(key, None)
            if value is not None:
                table[key] = value
        again = seal(KEY, PURPOSE, table)
        (folder / CHARTER).write_text(again.to_json(), "utf-8")

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
    "more than a week": changed(timeout=1e6),
    "momentum of one": changed(centre={"momentum": 1.0}),
    "no patience": changed(centre={"early_stop": {"patience": 0}}),
    "misspelt patience": changed(centre={"early_stop": {"patient": 3}}),
    "unknown strategy": changed(centre={"strategy": {"name": "fedavgg"}}),
    "strategy is a name": changed(centre={"strategy": "fedavg"}),
    "misspelt option of a strategy": changed(centre={"strategy": {"name": "krum", "malicous": 1}}),
    "centre is a list": changed(centre=[]),
    "arrays cut off": text(b"\x10\x00\x00\x00\x00\x00\x00\x00{}", INITIAL),
    "arrays empty": text(b"", INITIAL),
}


@pytest.mark.parametrize("how", MALFORMED)
def test_malformed_charter_is_refused_by_name(tmp_path: Path, how: str) -> None:
    save(Charter(run="r1", plan=PLAN), tmp_path)
    MALFORMED[how](tmp_path)
    with pytest.raises(RunError, match=CHARTER):
        load(tmp_path)


def test_misspelt_key_is_pointed_out(tmp_path: Path) -> None:
    save(Charter(run="r1", plan=PLAN), tmp_path)
    changed(tiemout=3.0)(tmp_path)
    with pytest.raises(RunError, match="did you mean 'timeout'"):
        load(tmp_path)


def test_charter_that_makes_no_sense_cannot_be_built() -> None:
    with pytest.raises(ConfigError, match="momentum"):
        Charter(run="r1", plan=PLAN, momentum=-0.1)
