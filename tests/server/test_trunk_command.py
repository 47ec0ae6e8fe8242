import json
from pathlib import Path

import onnx
from click.testing import CliRunner

from common.faces.store import save_pack
from common.models.trunk import load_trunk
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


def test_a_pruned_and_a_taught_trunk_say_what_they_lost_and_never_replace_another(
    tmp_path: Path,
) -> None:
    save_pack(tmp_path / "public.npz", synthetic_faces(4, 2, 5))
    words = ("--faces", tmp_path / "public.npz", "--steps", 2, "--batch", 2, "--views", 1)
    prune = ("prune", "--trunk", STARTER, "--keep", 0.8, "--rounds", 1, "--pictures", 2, *words)
    code, told = typed(*prune, "--out", tmp_path / "pruned")
    assert code == 0, told
    found = json.loads(told)
    assert found["multiplications"] < 0.9 * found["multiplications_before"]
    assert load_trunk(tmp_path / "pruned")[0].hash == found["hash"]
    code, told = typed(*prune, "--out", tmp_path / "pruned")
    assert code == 1
    assert "holds a trunk already" in told
    distill = ("distill", "--teacher", tmp_path / "pruned", "--width", 0.25, *words)
    kept = (*distill, "--checkpoint", tmp_path / "standing", "--cache", tmp_path / "cache")
    code, told = typed(*kept, "--out", tmp_path / "taught")
    assert code == 0, told
    assert load_trunk(tmp_path / "taught")[0].hash == json.loads(told)["hash"]
    code, told = typed(*kept, "--out", tmp_path / "again")
    assert code == 1
    assert "--resume" in told
    code, again = typed(*kept, "--resume", "--out", tmp_path / "again")
    assert code == 0, again
    assert typed(*distill, "--resume", "--out", tmp_path / "third")[0] == 2


def test_invented_people_teach_alone_or_besides_others_and_are_drawn_once(tmp_path: Path) -> None:
    save_pack(tmp_path / "public.npz", synthetic_faces(4, 2, 5))
    cache, faces = tmp_path / "cache", ("--faces", tmp_path / "public.npz")
    words = ("--teacher", STARTER, "--width", 0.25, "--steps", 1, "--batch", 2, "--views", 1)
    distill = ("distill", *words, "--cache", cache)
    code, told = typed(*distill, "--out", tmp_path / "nobody")
    assert code == 2
    assert "--invented" in told
    code, told = typed(*distill, "--invented", 3, "--out", tmp_path / "alone")
    assert code == 0, told
    assert json.loads(told)["judged_by_people"] == 1
    (drawn,) = cache.glob("people-*.npz")
    written = drawn.stat().st_mtime_ns
    code, told = typed(*distill, *faces, "--invented", 3, "--out", tmp_path / "both")
    assert code == 0, told
    found = json.loads(told)
    assert (found["invented"], found["judged_by_people"]) == (3, 1)
    assert drawn.stat().st_mtime_ns == written


def test_edges_of_the_picture_go_by_four_numbers(tmp_path: Path) -> None:
    words = ("prune", "--trunk", STARTER, "--invented", 2, "--keep", 1, "--steps", 0)
    code, told = typed(*words, "--frame", "16,0", "--out", tmp_path / "out")
    assert code == 2
    assert "top,right,bottom,left" in told
    code, told = typed(*words, "--frame", "0,16,0,16", "--out", tmp_path / "out")
    assert code == 0, told
    found = json.loads(told)
    assert found["frame"] == [0, 16, 0, 16]
    assert found["multiplications"] < 0.8 * found["multiplications_before"]
