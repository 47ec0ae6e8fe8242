"""What an administrator types: results on stdout, wrong use told before any work is done."""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from common.faces.store import save_pack
from common.models.trunk import load_trunk
from common.privacy import accountant
from common.privacy.accountant import Event
from common.synthetic.generate import synthetic_faces
from server.cli import main
from server.commands.price import price_command

SMALL = ["--people", "16", "--pictures", "3", "--steps", "2"]
CAMERA = '[[camera]]\nname = "dark"\noperations = [{ kind = "gamma", low = 1, high = 2 }]\n'


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_pretraining_writes_a_trunk_that_loads(tmp_path: Path) -> None:
    camera = tmp_path / "camera.toml"
    camera.write_text(CAMERA, "utf-8")
    told = ask("pretrain", "--out", tmp_path / "trunk", "--camera", camera, *SMALL)
    assert told.exit_code == 0, told.output
    answer = json.loads(told.stdout)
    assert (answer["people"], answer["pictures"]) == (16, 48)
    assert "synthetic people only" in answer["licence"]
    assert Path(answer["trunk"]).is_file()
    trunk, tail = load_trunk(tmp_path / "trunk")
    assert trunk.manifest.sha256 == answer["sha256"]
    assert trunk.manifest.licence == answer["licence"]
    assert np.isfinite(tail.weight).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--faces", "nowhere.npz"], "--faces needs --licence"),
        (["--camera", "nowhere.toml"], "nowhere.toml"),
        (["--people", "0"], "--people"),
        (["--steps", "-1"], "--steps"),
        (["--seed", "-1"], "--seed"),
        (["--augment", "flop"], "did you mean 'flip'"),
        (["--loss", "cosface", "--margin", "1"], "margin of cosface"),
        (["--resume"], "--resume needs --checkpoint"),
        (["--folds", "1"], "ask for 2 or more"),
    ],
)
def test_wrong_use_of_pretraining_is_told_and_writes_nothing(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    told = ask("pretrain", "--out", tmp_path / "trunk", *arguments)
    assert told.exit_code == 2, told.output
    assert said in told.stderr
    assert not list(tmp_path.iterdir())


def test_a_kept_training_is_gone_on_with_only_where_that_is_asked_for(tmp_path: Path) -> None:
    kept, faces = tmp_path / "kept", tmp_path / "faces.npz"
    save_pack(faces, synthetic_faces(16, 3, 5))
    told = ["--faces", faces, "--licence", "x", "--steps", "2", "--checkpoint", kept]
    told += ["--loss", "adaface", "--augment", "all", "--sampling", "people", "--width", "0.25"]
    first = ask("pretrain", "--out", tmp_path / "a", *told)
    assert first.exit_code == 0, first.output
    again = ask("pretrain", "--out", tmp_path / "b", *told)
    assert again.exit_code == 1
    assert "say --resume" in again.stderr
    resumed = ask("pretrain", "--out", tmp_path / "b", "--resume", *told)
    assert resumed.exit_code == 0, resumed.output
    answers = [json.loads(done.stdout) for done in (first, resumed)]
    assert answers[0]["sha256"] == answers[1]["sha256"]
    assert answers[0]["loss"] == "adaface"


@pytest.mark.parametrize("arguments", [["--people", "2"], ["--faces", "no.npz", "--licence", "x"]])
def test_faces_that_cannot_be_used_are_told_and_write_nothing(
    tmp_path: Path, arguments: list[str]
) -> None:
    told = ask("pretrain", "--out", tmp_path / "trunk", "--steps", "1", *arguments)
    assert told.exit_code == 1, told.output
    assert "DATASET_INVALID: " in told.stderr
    assert not list(tmp_path.iterdir())


def test_a_trunk_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "trunk.toml").write_text("mine", "utf-8")
    told = ask("pretrain", "--out", tmp_path, *SMALL)
    assert told.exit_code == 1
    assert "holds a trunk already; choose another folder" in told.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["trunk.toml"]


def test_a_trunk_that_could_not_be_kept_is_told_before_anybody_is_invented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invented = "common.synthetic.generate.synthetic_faces"
    monkeypatch.setattr(invented, lambda *_: pytest.fail("somebody was invented"))
    (tmp_path / "file").write_bytes(b"precious")
    for place in ("file", "file/deeper/still"):
        told = ask("pretrain", "--out", tmp_path / place, *SMALL)
        assert told.exit_code == 1
        assert "is not a folder; choose another folder with --out" in told.stderr
    assert (tmp_path / "file").read_bytes() == b"precious"


@pytest.mark.parametrize("epsilon", [0.5, 2.0, 8.0])
def test_a_price_is_what_the_accountant_charges(epsilon: float) -> None:
    told = ask("plan", "price", "--epsilon", epsilon, "--people", 40)
    assert told.exit_code == 0, told.output
    answer = json.loads(told.stdout)
    sigmas = [release["noise_multiplier"] for release in answer["releases"].values()]
    assert set(answer["releases"]) == {"mean", "scatter"}
    cost = accountant.epsilon(tuple(Event(sigma) for sigma in sigmas), answer["delta"])
    assert cost == pytest.approx(epsilon, abs=1e-6)
    assert cost <= epsilon


def test_sixteen_sites_with_distributed_noise_carry_a_quarter_of_the_noise() -> None:
    release = price_command(2.0, 1e-4, 40)["releases"]["mean"]
    assert release["noise_of_one_site_in_clips"] == release["noise_multiplier"] / 40
    alone, shared = (release[f"noise_of_16_sites{kind}_in_clips"] for kind in ("", "_distributed"))
    assert alone == pytest.approx(4 * shared)
    assert release["distributed_noise_is_smaller_by_16_sites"] == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ("--epsilon", "0", "--people", "5"),
        ("--epsilon", "inf", "--people", "5"),
        ("--epsilon", "nan", "--people", "5"),
        ("--epsilon", "1", "--people", "0"),
        ("--epsilon", "1", "--people", "5", "--delta", "1"),
        ("--epsilon", "1e-30", "--people", "5", "--delta", "1e-40"),
        ("--epsilon", "1"),
    ],
)
def test_a_budget_nobody_can_mean_is_wrong_use(arguments: tuple[str, ...]) -> None:
    told = ask("plan", "price", *arguments)
    assert told.exit_code == 2, told.output
    assert not told.stdout


def test_every_command_has_help() -> None:
    for command in commands(main, []):
        told = ask(*command, "--help")
        assert told.exit_code == 0
        assert len(told.stdout.splitlines()) > 3


def commands(group: Any, path: list[str]) -> list[list[str]]:
    found = [path]
    for name, command in getattr(group, "commands", {}).items():
        assert isinstance(command, click.Command)
        assert command.help, name
        found += commands(command, [*path, name])
    return found
