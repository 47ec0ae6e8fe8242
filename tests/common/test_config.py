"""Settings: every mistake is named with its place, and nothing is silently ignored."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from common.config import load
from common.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Door:
    name: str
    width: float = 1.0
    span: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class House:
    door: tuple[Door, ...]
    floors: int = 1

    def __post_init__(self) -> None:
        if self.floors < 1:
            raise ConfigError("floors must be at least 1")


def test_a_good_file_becomes_its_dataclass(tmp_path: Path) -> None:
    path = write(tmp_path, 'floors = 2\n[[door]]\nname = "front"\nwidth = 2\nspan = [1, 2]\n')
    house = load(House, path)
    assert house == House(floors=2, door=(Door(name="front", width=2.0, span=(1.0, 2.0)),))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("flors = 2\ndoor = []", "unknown key 'flors'; did you mean 'floors'?"),
        ("floors = 2", "missing door"),
        (f"[[door]]\nname = 'x'\nwidth = 1{'0' * 400}", "width: the number is too large"),
        ("floors = '2'\ndoor = []", "floors: expected int, got '2'"),
        ("floors = 0\ndoor = []", "floors must be at least 1"),
        ("[[door]]\nnmae = 'a'", "door[0]: unknown key 'nmae'; did you mean 'name'?"),
        ("[[door]]\nname = 'a'\nspan = [1]", "span: expected 2 values, got 1"),
        ("floors = ", "cannot read"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(House, path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_missing_section_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml: No such file or directory$"):
        load(House, tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"has no \[house\] section"):
        load(House, write(tmp_path, "floors = 1"), "house")


def write(folder: Path, text: str) -> Path:
    path = folder / "house.toml"
    path.write_text(text, "utf-8")
    return path
