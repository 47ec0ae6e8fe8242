"""Invented people who are drawn once."""

from pathlib import Path

import pytest

from common.errors import DataSetError
from common.synthetic.generate import synthetic_faces
from common.synthetic.kept import kept_faces


def test_they_are_drawn_once_and_read_after_that(tmp_path: Path) -> None:
    told: list[int] = []
    folder = tmp_path / "new"
    first = kept_faces(folder, 2, 2, 5, told.append)
    (file,) = folder.iterdir()
    assert told == [2, 4]
    again = kept_faces(folder, 2, 2, 5, told.append)
    assert told == [2, 4]
    assert first.digest == again.digest == synthetic_faces(2, 2, 5).digest
    other = kept_faces(folder, 2, 2, 6)
    assert other.digest != first.digest
    assert len(list(folder.iterdir())) == 2
    assert file.exists()


def test_a_folder_that_takes_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataSetError, match="cannot be written"):
        kept_faces(tmp_path / "file" / "folder", 1, 1, 5)
