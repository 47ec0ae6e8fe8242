"""The page of a release says whether it ships, shows every figure, and fetches nothing."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError
from common.evidence.section import About, Picture, Section
from simulations.report.evidence_page import Gate, answer, evidence_page

ABOUT = About(trunk="1a" * 32, tail="2b" * 32, faces="3c" * 32, people=120)
CONTENT = b"\x89PNG\r\n\x1a\n"


def rate(value: float) -> dict[str, Any]:
    return {"value": value, "ci95": [value - 0.01, value + 0.01]}


def section(kind: str, figures: dict[str, Any], **more: Any) -> Section:
    command = f"mascaron-lab {kind} <b>"
    return Section(
        kind=kind, about=ABOUT, seed=0, command=command, version="1", figures=figures, **more
    )


def sections() -> dict[str, Section]:
    cells = {"2/255": rate(0.2), "8/255": rate(0.9)}
    curves = {"linf": {"pgd": {"dodge": cells, "impersonate": cells}}}
    grid = Picture.of("grid.png", CONTENT, "what is <left>")
    made = (
        section("verification", {"tar_at_far": {"1e-2": rate(0.721), "1e-3": None}}),
        section("robustness", {"curves": curves, "robust_tar": rate(0.613)}),
        section("mechanism", {"claimed_epsilon": 8.0, "gaussian": {"lower_bound": 7.0}}),
        section("fairness", {"groups": {"north": {"fmr": rate(0.03), "fnmr": None}}}),
        section("inversion", {}, pictures=(grid,)),
    )
    return {one.kind: one for one in made}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "grid.png").write_bytes(CONTENT)
    return tmp_path


def test_the_page_shows_figures_pictures_and_commands_and_escapes_them(folder: Path) -> None:
    page = evidence_page(sections(), (), folder)
    for told in ("72.1 %", "61.3 %", "pgd, 8: 90.0 %", "north", "data:image/png;base64,"):
        assert told in page
    assert "mascaron-lab fairness &lt;b&gt;" in page and "&lt;left&gt;" in page
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")


def test_one_gate_that_stops_it_is_the_headline(folder: Path) -> None:
    gates = [Gate(name="least TAR", held=True, told=""), Gate(name="masking", held=False, told="")]
    assert answer(sections(), gates)[0] == "This release does not ship."
    assert "masking" in answer(sections(), gates)[1]
    assert "passes all 1 gates" in answer(sections(), gates[:1])[0]
    page = evidence_page(sections(), gates, folder)
    assert "does not ship" in page and "stops it" in page


def test_what_failed_in_a_section_stands_above_everything(folder: Path) -> None:
    found = sections() | {"robustness": section("robustness", {}, failed=("masking: hidden",))}
    page = evidence_page(found, (), folder)
    assert page.index("masking: hidden") < page.index("<h1>")


def test_another_picture_than_the_one_named_is_refused(folder: Path) -> None:
    (folder / "grid.png").write_bytes(CONTENT + b"x")
    with pytest.raises(ConfigError, match="not the picture"):
        evidence_page(sections(), (), folder)


def test_a_page_of_one_section_is_a_page(folder: Path) -> None:
    for kind, one in sections().items():
        assert ABOUT.trunk in evidence_page({kind: one}, (), folder)


def test_what_heads_read_is_shown_beside_what_they_read_before(folder: Path) -> None:
    told = {"released": rate(0.643), "public": rate(0.651)}
    years = {"released": rate(12.34), "public": rate(11.87)}
    heads = section("heads", {"attributes": told, "gender": None, "age": years})
    page = evidence_page({**sections(), "heads": heads}, (), folder)
    for words in ("64.3 %", "65.1 %", "12.3 years off on average, 11.9 before"):
        assert words in page
    assert "What heads read" not in evidence_page(sections(), (), folder)
