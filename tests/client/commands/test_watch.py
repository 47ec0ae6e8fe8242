"""Watching: when a file is whole, what a camera gives, when it ends, what it goes on after."""

import os
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from client.commands.asking import Asking
from client.commands.watch import Watch, _folder, watch_source
from client.door.thresholds import Band
from client.home import SiteHome
from common.errors import (
    AuditError,
    ConfigError,
    MascaronError,
    OpenLimitError,
    PadError,
    QualityError,
    QueryBudgetError,
)
from common.faces.pictures import decode

PERSON = "0a" * 16


class Door:
    """Answers as it was told to, then asks the watch to stop."""

    def __init__(self, *answers: Band | MascaronError) -> None:
        self.answers, self.shown = list(answers), list[bytes]()

    def verify(self, person: bytes, picture: bytes) -> Band:
        self.shown.append(picture)
        answer = self.answers.pop(0)
        if not self.answers:
            os.kill(os.getpid(), signal.SIGTERM)
        if isinstance(answer, MascaronError):
            raise answer
        return answer

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class At(Asking):
    """Asks at a door that is here."""

    def door(self) -> Any:
        return DOORS[-1]


DOORS: list[Door] = []


def watched(door: Door, source: str, **options: Any) -> list[dict[str, Any]]:
    DOORS[:], told = [door], list[dict[str, Any]]()
    wanted = {"person": PERSON, "every": 0.01, "once": False, **options}
    watch_source(At(home=SiteHome(Path("/"))), Watch(source=source, **wanted), told.append)
    return told


class Camera:
    """Gives grey frames, and now and then none."""

    def __init__(self, index: int) -> None:
        self.index, self.read_so_far = index, 0

    def isOpened(self) -> bool:  # noqa: N802
        return self.index == 0

    def read(self) -> tuple[bool, Any]:
        self.read_so_far += 1
        return self.read_so_far % 2 == 0, np.full((48, 64, 3), 99, np.uint8)


def test_frames_of_a_camera_are_decided_until_somebody_asks_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    door = Door(Band.NO, Band.MATCH)
    told = watched(door, "0")
    assert [(one["picture"], one["band"]) for one in told] == [(1, "no"), (2, "match")]
    assert decode(door.shown[0]).shape == (48, 64, 3)
    with pytest.raises(ConfigError, match="no camera 7"):
        watched(door, "7")


def test_it_goes_on_after_a_picture_that_is_refused_and_stops_where_all_would_be(
    tmp_path: Path,
) -> None:
    for number in range(6):
        (tmp_path / f"{number}.jpg").write_bytes(b"picture")
    full = OpenLimitError("")  # of searches that wait for two people
    refusals = (QualityError("", ("blurred",)), PadError(""), QueryBudgetError(""), full)
    told = watched(Door(*refusals, Band.NEAR, Band.NO), str(tmp_path), once=True)
    assert [one.get("refused") for one in told] == [
        "QUALITY_TOO_LOW",
        "PAD_REJECTED",
        "QUERY_BUDGET_EXHAUSTED",
        "TOO_MANY_OPEN",
        None,
        None,
    ]
    assert told[0]["reasons"] == ["blurred"]
    with pytest.raises(AuditError):
        watched(Door(AuditError(""), Band.NO), str(tmp_path), once=True)


def test_a_file_is_looked_at_once_and_only_when_it_grows_no_more(tmp_path: Path) -> None:
    (tmp_path / "old.jpg").write_bytes(b"was there before")
    new = _folder(Watch(source=str(tmp_path), person=None, every=1.0, once=False))
    assert list(new()) == []
    path = tmp_path / "new.jpg"
    path.write_bytes(b"half")
    assert list(new()) == []
    path.write_bytes(b"half and whole")
    assert list(new()) == []
    assert list(new()) == [b"half and whole"]
    assert list(new()) == []
    (tmp_path / ".partial").write_bytes(b"hidden")
    assert [list(new()), list(new())] == [[], []]
