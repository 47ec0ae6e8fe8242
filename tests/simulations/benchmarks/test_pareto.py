import json
from pathlib import Path

import numpy as np
import pytest

from common.errors import ConfigError, ModelError
from common.faces.store import save_pack
from common.models import quantise
from common.models.registry import build
from common.models.safetensors_import import save_trunk
from common.models.trunk import load_trunk
from common.synthetic.generate import synthetic_faces
from simulations.benchmarks import pareto as bench
from simulations.benchmarks.pareto import ParetoRequest, pareto, table

ROW = {"products": 2_000_000, "ms": 1.0, "kind": "fp32", "lfw_accuracy": None, "front": False}


def test_every_trunk_is_measured_in_both_kinds_and_judged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "QuantiseOptions", lambda: quantise.QuantiseOptions(likeness=0))
    monkeypatch.setattr(bench, "BATCHES", (1, 2))
    monkeypatch.setattr(bench, "_RANGES", 4)
    for name, width in (("large", 0.5), ("small", 0.25)):
        save_trunk(tmp_path / name, build("tiny", 8, width=width), "anyone may")
    save_pack(tmp_path / "faces.npz", synthetic_faces(3, 2, 5))
    asked = ParetoRequest(
        trunks=tuple(f"{name}={tmp_path / name}" for name in ("large", "small")),
        faces=tmp_path / "faces.npz",
        public=tmp_path / "faces.npz",
        out=tmp_path / "out",
        repeats=1,
    )
    found = pareto(asked)
    assert [(row["name"], row["kind"]) for row in found["rows"]] == [
        ("large", "fp32"), ("large", "int8"), ("small", "fp32"), ("small", "int8"),
    ]  # fmt: skip
    assert found["rows"][0]["speedup"] == 1
    assert found["rows"][0]["products"] > found["rows"][2]["products"]
    assert found["rows"][2]["products"] == found["rows"][3]["products"]
    assert json.loads((tmp_path / "out" / "pareto.json").read_text()) == found
    assert (tmp_path / "out" / "pareto.png").read_bytes().startswith(b"\x89PNG")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "features").iterdir()}
    assert len(kept) == 4
    monkeypatch.setattr(bench, "quantised", None)  # nothing is made or judged again
    pareto(asked)
    assert kept == {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "features").iterdir()}


def test_the_front_is_whom_nobody_beats_in_both() -> None:
    slow, fast, poor = (
        {"speedup": speedup, "tar": tar} for speedup, tar in ((1.0, 0.9), (2.0, 0.9), (2.0, 0.8))
    )
    assert bench._beats(fast, slow)
    assert bench._beats(fast, poor)
    assert not bench._beats(fast, fast)
    assert not bench._beats(slow, poor)
    assert not bench._beats(fast, {"speedup": 1.0, "tar": None})


def test_a_table_has_a_line_for_each_and_no_figure_where_there_is_none() -> None:
    rows = [
        {**ROW, "name": "b", "speedup": 2.0, "tar": None},
        {**ROW, "name": "a", "speedup": 1.0, "tar": 0.5, "front": True},
    ]
    lines = table(rows).splitlines()
    assert lines[2].startswith("| **a** | fp32 | 2 | 1.00 | 1.00 | 50.00 %")
    assert lines[3].endswith("| - | - |")


def test_a_trunk_without_a_name_is_refused() -> None:
    here = Path()
    asked = ParetoRequest(trunks=("nameless",), faces=here, public=here, out=here)
    with pytest.raises(ConfigError, match="name=path"):
        asked.named()


def test_a_trunk_that_eight_bits_spoil_is_shown_in_float32_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ModelError("spoiled")

    monkeypatch.setattr(bench, "quantised", refuse)
    save_trunk(tmp_path, build("tiny", 8, width=0.25), "anyone may")
    trunk, tail = load_trunk(tmp_path)
    whole = bench.Contender("a", "fp32", trunk, tail, 1)
    assert bench._small(whole, np.zeros((1, 112, 112, 3), np.uint8), tmp_path) == []
