"""Faces are told and found by number, in words, and never by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.errors import ConfigError, TrunkError
from common.faces.store import save_folder
from common.synthetic.generate import synthetic_faces
from common.text.forbidden import category
from common.text.parsing import parse
from simulations.cli import main
from simulations.reading import HEADS, open_reader

NAME = "zebedee"


def run(*words: str) -> tuple[int, dict[str, Any], str]:
    done = CliRunner().invoke(main, list(words))
    return done.exit_code, json.loads(done.stdout or "{}"), done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures of one person whose name must not be shown."""
    where = tmp_path_factory.mktemp("faces") / "all"
    save_folder(where, synthetic_faces(1, 2, seed=77))
    person = next(entry for entry in where.iterdir() if entry.is_dir())
    person.rename(where / NAME)
    (where / "labels.csv").unlink(missing_ok=True)
    return where


def test_invented_people_are_described_with_what_they_were_made_from() -> None:
    code, told, shown = run("describe", "--invented", "2", "--seed", "5")
    assert code == 0, shown
    for picture in told["pictures"]:
        assert picture["sentence"] in shown
        assert category(picture["sentence"]) is None
        assert parse(picture["truth"]).attributes
        assert all(chance >= 0.7 for _, chance in picture["said"].values())


def test_a_picture_is_described_in_chinese_and_less_is_said_where_more_is_asked(
    folder: Path,
) -> None:
    picture = str(next((folder / NAME).iterdir()))
    code, told, shown = run("describe", picture, "--aligned", "--language", "zh")
    assert code == 0 and NAME not in shown + json.dumps(told)
    strict = run("describe", picture, "--aligned", "--least", "0.99")[1]
    assert len(strict["pictures"][0]["said"]) <= len(told["pictures"][0]["said"])
    assert told["pictures"][0]["sentence"].startswith("\u4e00\u4e2a")


def test_a_folder_is_searched_by_number(folder: Path) -> None:
    words = ("--faces", str(folder), "--aligned", "--top", "1")
    code, told, shown = run("search", "no sunglasses, glorious woman", *words)
    assert code == 0 and NAME not in shown + json.dumps(told)
    assert told["asked"] == ["sunglasses"] and told["unasked"] == ["gender"]
    assert told["strange_words"] == 1 and "glorious" not in json.dumps(told)
    assert [hit["picture"] for hit in told["found"]] in ([0], [1])


def test_what_is_forbidden_or_unclear_is_refused_without_being_repeated(folder: Path) -> None:
    where = ("--faces", str(folder), "--aligned")
    for query, reason in (("muslim zorro", "TOPIC_FORBIDDEN"), ("zorro", "QUERY_UNCLEAR")):
        code, _, shown = run("search", query, *where)
        assert code == 1 and reason in shown and "zorro" not in shown


def test_whose_faces_has_to_be_said_once() -> None:
    assert run("describe")[0] == 2
    assert run("search", "glasses", "--invented", "2", "--faces", "x")[0] == 2


def test_heads_go_with_their_trunk(tmp_path: Path) -> None:
    assert HEADS.stat().st_size < 500_000
    with pytest.raises(ConfigError):
        open_reader(tmp_path, None)
    other = tmp_path / "other.heads.safetensors"
    trunk = open_reader(None, None).heads.trunk
    other.write_bytes(HEADS.read_bytes().replace(trunk.encode(), b"0" * 64))
    with pytest.raises(TrunkError):
        open_reader(None, other)
