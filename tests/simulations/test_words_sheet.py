"""What the demo shows of faces in words."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from simulations.commands import demo
from simulations.words_sheet import GAP, MARGIN, SIDE, Hits, words_sheet


def face(level: int) -> np.ndarray:
    return np.full((112, 112, 3), level, np.uint8)


def test_every_face_is_on_the_sheet_in_its_place() -> None:
    made = words_sheet(
        [(face(10), "A person."), (face(60), "word " * 60)],
        [Hits("glasses", [face(110), face(160)]), Hits("hat", [])],
    )
    sheet = np.asarray(Image.open(io.BytesIO(made)))
    middle, row = SIDE // 2, SIDE + GAP
    assert (sheet[MARGIN + middle, MARGIN + middle] == 10).all()
    assert (sheet[MARGIN + row + middle, MARGIN + middle] == 60).all()
    for level, left in ((110, MARGIN), (160, MARGIN + row)):
        assert (sheet[:, left + middle] == level).all(axis=1).sum() == SIDE


def test_the_demo_describes_faces_and_finds_them_by_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in {"FACES": 6, "DESCRIBED": 2, "FOUND": 2}.items():
        monkeypatch.setattr(demo, name, number)
    console = Console(file=io.StringIO(), width=200)
    assert demo.show_words(tmp_path, console).is_file()
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.count("A person") + said.count("A woman") + said.count("A man") == 2
    assert said.count("finds") == len(demo.QUERIES)
