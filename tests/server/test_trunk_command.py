import json
from pathlib import Path

import onnx
from click.testing import CliRunner

from common.faces.store import save_pack
from common.synthetic.generate import synthetic_faces
from server.cli import main
from simulations.benchmarks.quality import STARTER


def typed(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, [str(word) for word in ("trunk", *words)])
    return done.exit_code, done.output


def test_a_trunk_is_written_as_one_file_and_never_over_another(tmp_path: Path) -> None:
    out = tmp_path / "new" / "whole.onnx"
    code, told = typed("export", STARTER, "--out", out)
    assert code == 0, told
    assert json.loads(told)["embedding"] == 128
    assert onnx.load(out).graph.output[0].name == json.loads(told)["output"]
    assert typed("export", STARTER, "--out", out)[0] == 1


def test_a_trunk_in_integers_says_what_it_lost_and_never_replaces_another(tmp_path: Path) -> None:
    save_pack(tmp_path / "public.npz", synthetic_faces(6, 3, 5))
    words = (STARTER, "--public", tmp_path / "public.npz", "--fmr", 0.4, "--drop", 1)
    code, told = typed("quantise", *words, "--likeness", 0, "--out", tmp_path / "int8")
    assert code == 0, told
    found = json.loads(told)
    assert found["judged_by_people"] == 3
    assert 0 <= found["tar_after"] <= 1
    assert (tmp_path / "int8" / "trunk.toml").is_file()
    code, told = typed("quantise", *words, "--out", tmp_path / "int8")
    assert code == 1
    assert "holds a trunk already" in told


def test_too_few_public_people_are_told_with_how_many_are_needed(tmp_path: Path) -> None:
    save_pack(tmp_path / "public.npz", synthetic_faces(4, 2, 5))
    words = ("quantise", STARTER, "--public", tmp_path / "public.npz", "--out", tmp_path / "int8")
    code, told = typed(*words)
    assert code == 1
    assert "10000" in told
    assert not (tmp_path / "int8").exists()
