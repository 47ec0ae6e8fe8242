"""The page of a sweep: what was gained where, what was skipped and why, what is still missing."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from simulations.report.page import write_report
from simulations.report.reading import SweepFolder, read_folder
from simulations.report.records import records_of
from simulations.report.sweep_charts import axis_figures, heat_maps
from simulations.report.sweep_page import sweep_answer

ASKED = """name = "small"
scenario = "demo"
[axes]
people = [5, 50, 500]
sites = [4, 64]
"""


def line(people: int, sites: int, value: float, **others: Any) -> dict[str, Any]:
    told = {"value": value, "ci95": [value - 1, value + 1]}
    gain = {"private": {"8": told, "2": told}, "private_secagg": {"8": told, "2": told}}
    return {
        "schema": 1,
        "key": f"{people}-{sites}-{others}",
        "point": {"people": people, "sites": sites, **others},
        "status": "done",
        "scenario": "demo",
        "seeds": 5,
        "folds": 1,
        "rows": [],
        "gain": gain,
        "people": people,
        "sites": sites,
    }


def skipped(people: int, sites: int) -> dict[str, Any]:
    told = {"status": "skipped", "reason": "12 people <cannot> fill 64 sites"}
    return {k: line(people, sites, 0)[k] for k in ("schema", "key", "point", "scenario")} | told


def lines() -> list[dict[str, Any]]:
    grid = product((5, 50, 500), (4, 64))
    return [line(n, s, n / 100 - 1 + s / 64) if n * s < 32_000 else skipped(n, s) for n, s in grid]


def write(folder: Path, settled: list[dict[str, Any]], tail: str = "") -> Path:
    (folder / "sweep.toml").write_text(ASKED, "utf-8")
    text = "".join(json.dumps(one) + "\n" for one in settled)
    (folder / "sweep.jsonl").write_text(text + tail, "utf-8")
    return folder


def test_page_shows_maps_axes_and_what_was_skipped(tmp_path: Path) -> None:
    text = write_report(write(tmp_path, lines())).read_text("utf-8")
    assert text.count("<caption>") == 4  # two noise models x two epsilons
    assert text.count('<td class="none">') == 4  # the skipped point of each
    for words in ("Gain against people a site", "Gain against sites", "Gain against ε"):
        assert words in text
    assert "12 people &lt;cannot&gt; fill 64 sites" in text
    assert "5 points measured · 1 skipped" in text
    assert "has not ended" not in text
    assert "https:" not in text


def test_unfinished_sweep_says_how_far_it_is(tmp_path: Path) -> None:
    half = json.dumps(line(50, 64, 1.0))[:-20]
    text = write_report(write(tmp_path, lines()[:3], half)).read_text("utf-8")
    assert "This sweep has not ended: 3 of 6 points are settled." in text


def test_sweep_that_measured_nothing_yet_has_a_page(tmp_path: Path) -> None:
    text = write_report(write(tmp_path, [])).read_text("utf-8")
    assert "Nothing was measured yet." in text
    assert "0 of 6 points" in text


def test_points_with_too_few_pairs_are_not_called_unmeasured(tmp_path: Path) -> None:
    told = [{**line(5, 4, 0.5), "gain": {"private": {"8": None}}}]
    text = write_report(write(tmp_path, told)).read_text("utf-8")
    assert "Too few pairs to say whether joining pays." in text


def test_answer_says_where_it_surely_pays_and_where_it_costs() -> None:
    head, beside = sweep_answer(records_of(lines()))
    assert head == "Joining pays at 4 of 20 places, by up to +4.1 points."
    assert "500 people a site, 4 sites" in beside
    nothing, _ = sweep_answer(records_of([line(5, 4, 0.5)]))
    assert nothing == "Joining is not shown to pay anywhere in this sweep."


def test_a_cell_of_the_map_tells_sureness_sign_and_size() -> None:
    first = heat_maps(records_of(lines()))[0]
    assert [sites for sites, _ in first.rows] == [64, 4]  # upwards
    assert list(first.people) == [5, 50, 500]
    cells = {s: {n: c for n, c in zip(first.people, row, strict=True)} for s, row in first.rows}
    assert cells[64][500] is None
    strong, unsure = cells[4][500], cells[64][5]
    assert strong is not None
    assert unsure is not None
    assert (strong.css, strong.strength, strong.words) == ("up sure", 1.0, "+4.1")
    assert unsure.css == "up"


def test_other_axes_are_kept_apart() -> None:
    both = [line(n, 4, 1.0, strategy=s) for n in (5, 50) for s in ("fedavg", "krum")]
    records = records_of(both)
    titles = [figure.title for figure in axis_figures(records)]
    assert "Gain against people a site (strategy fedavg)" in titles
    assert "Gain under other settings" in titles
    assert {one.others for one in heat_maps(records)} == {"strategy fedavg", "strategy krum"}


def test_broken_request_is_no_reason_not_to_draw(tmp_path: Path) -> None:
    write(tmp_path, lines())
    (tmp_path / "sweep.toml").write_text("[axes", "utf-8")
    found = read_folder(tmp_path)
    assert isinstance(found, SweepFolder)
    assert found.points is None
    assert write_report(tmp_path).is_file()


@pytest.mark.parametrize("sites", [1, 4])
def test_one_point_alone_is_no_map(sites: int) -> None:
    assert heat_maps(records_of([line(5, sites, 1.0)])) == []
