"""A detector of fakes is plugged in by name, or the door does not open; tests of its word are the
eye's."""

import sys
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.faces.liveness import plugged_in

CODE = """
class Watchful:
    def live(self, picture, face):
        return True

class Blind: pass

class Broken:
    def __init__(self):
        raise RuntimeError("words of its own")

number = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bought_detector.py").write_text(CODE, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bought_detector", raising=False)


def test_what_a_setting_names_is_asked() -> None:
    assert plugged_in("bought_detector:Watchful").live(None, None) is True


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bought_detector", "package.module:name"),
        ("bought_detector:", "package.module:name"),
        ("nowhere_at_all:Watchful", "cannot be imported"),
        ("bought_detector:Absent", "cannot be imported"),
        ("bought_detector:number", "not a class or function"),
        ("bought_detector:Blind", "no method live"),
        ("bought_detector:Broken", "cannot be made: RuntimeError"),
    ],
)
def test_a_detector_that_cannot_be_asked_closes_the_door(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        plugged_in(name)
    assert "words of its own" not in str(refused.value)
