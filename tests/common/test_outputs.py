"""What cannot be kept is told before the work; what can be kept leaves no trace yet."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RunError
from common.outputs import check_file, check_folder

PARTS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4)


@given(made=PARTS, asked=PARTS)
def test_a_place_under_any_folder_will_do_and_is_not_made_yet(
    tmp_path_factory: pytest.TempPathFactory, made: list[str], asked: list[str]
) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / Path(*made)).mkdir(parents=True)
    before = sorted(root.rglob("*"))
    check_folder(root / Path(*asked))
    check_file(root / Path(*asked) / "figures.json")
    assert sorted(root.rglob("*")) == before


@given(above=PARTS, below=st.lists(st.sampled_from("ab"), max_size=3))
def test_a_file_where_a_folder_must_be_is_told_with_what_names_another(
    tmp_path_factory: pytest.TempPathFactory, above: list[str], below: list[str]
) -> None:
    file = tmp_path_factory.mktemp("root") / Path(*above, "file")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"precious")
    with pytest.raises(RunError, match="is not a folder; choose another folder with --cache"):
        check_folder(file.joinpath(*below), "--cache")
    with pytest.raises(RunError, match="is not a folder; choose another file with --out"):
        check_file(file.joinpath(*below, "figures.json"))
    assert file.read_bytes() == b"precious"


def test_a_link_to_nowhere_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RunError, match="it is not a folder"):
        check_folder(tmp_path / "link")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc here")
def test_a_place_where_nobody_may_write_is_told() -> None:
    with pytest.raises(RunError, match=r"nothing can be written in /proc \(.*--out"):
        check_folder(Path("/proc/mine/deeper"))


def test_a_folder_without_permission_is_told_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    for check in (check_folder, check_file):
        with pytest.raises(RunError, match=r"in .* \(Permission denied\); choose another"):
            check(tmp_path / "new" / "place")


def test_a_name_longer_than_any_disk_takes_is_told(tmp_path: Path) -> None:
    for check in (check_folder, check_file):
        with pytest.raises(RunError, match="File name too long; choose another"):
            check(tmp_path / ("x" * 300))


def test_a_folder_that_holds_something_else_is_told_by_what_it_is(tmp_path: Path) -> None:
    foreign = {"sweep.jsonl": "a sweep"}
    check_folder(tmp_path, foreign=foreign)
    (tmp_path / "sweep.jsonl").touch()
    with pytest.raises(RunError, match="holds a sweep; choose another folder with --out"):
        check_folder(tmp_path, foreign=foreign)


def test_where_something_new_is_made_nothing_is_overwritten(tmp_path: Path) -> None:
    check_folder(tmp_path, new=True)
    check_file(tmp_path / "a.npz", new=True)
    (tmp_path / "a.npz").touch()
    check_folder(tmp_path)
    check_file(tmp_path / "a.npz")
    with pytest.raises(RunError, match="holds something already"):
        check_folder(tmp_path, new=True)
    with pytest.raises(RunError, match=r"a\.npz is there already"):
        check_file(tmp_path / "a.npz", new=True)


def test_a_folder_where_a_file_must_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="it is a folder; choose another file with --gallery"):
        check_file(tmp_path, "--gallery")
