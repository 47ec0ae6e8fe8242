"""A section travels whole, says what it is about, and holds no picture of anybody who exists."""

from typing import Any

import pytest

from common.errors import ConfigError
from common.evidence.section import About, Picture, Section, figure

ABOUT = About(trunk="1a" * 32, tail="2b" * 32)


def section(**given: Any) -> Section:
    told: dict[str, Any] = {
        "kind": "fairness",
        "about": ABOUT,
        "seed": 1,
        "figures": {"a": {"b": 2}},
    }
    return Section(**{"command": "mascaron-lab fairness", "version": "1", **told, **given})


def test_a_section_comes_back_as_it_was() -> None:
    made = section(failed=("masking: x",), pictures=(Picture.of("a.png", b"1", "one"),))
    assert Section.from_json(made.to_json()) == made
    assert made.to_json() == Section.from_json(made.to_json()).to_json()


@pytest.mark.parametrize("text", ["", "[]", "{}", "{" * 100_000, '{"kind": "fairness"}'])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Section.from_json(text)


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "other"},
        {"schema": 2},
        {"figures": {"a": float("nan")}},
        {"figures": {"a": [float("inf")]}},
        {"figures": {1: 2}},
        {"figures": {"a": object()}},
    ],
)
def test_figures_are_plain_and_of_a_known_kind(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        section(**given)


def test_pictures_of_people_who_exist_are_refused() -> None:
    real = About(trunk="1a" * 32, tail="2b" * 32, invented=False)
    with pytest.raises(ConfigError, match="exist"):
        section(about=real, pictures=(Picture.of("a.png", b"1", "one"),))
    with pytest.raises(ConfigError):
        Picture.of("../a.png", b"1", "one")


def test_a_figure_that_was_not_measured_is_told() -> None:
    found = {"fairness": section()}
    assert figure(found, "fairness.a.b") == 2
    for path in ("fairness.a.c", "fairness.a.b.c", "robustness.a"):
        with pytest.raises(ConfigError, match="does not say"):
            figure(found, path)
