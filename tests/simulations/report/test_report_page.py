"""The page of a run holds everything it needs, fetches nothing, and says what it does not have."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.errors import RunError
from simulations.cli import main
from simulations.origin import ORIGIN
from simulations.pieces import PIECES, SUMMARY
from simulations.report.page import PAGE, write_report
from simulations.runner import Run
from tests.small_world import TURN, Silent, small_scenario, small_world

MOST_BYTES = 3_000_000
NASTY = "<script>alert(1)</script><img src=https://evil.example/x onerror=y>"


class Reader(HTMLParser):
    """Collects what a page refers to, what it runs, its headings and its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.refers: list[str] = []
        self.handlers: list[str] = []
        self.ids: set[str] = set()
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "action", "srcset", "poster", "xlink:href", "data"):
                self.refers.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
            if name == "id" and value:
                self.ids.add(value)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(path: Path) -> Reader:
    return Reader(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    Run(
        scenario=small_scenario(sites=4, epsilon=(8.0, 2.0, 0.5), seeds=5),
        material=small_world(cameras=4),
        turns=[TURN],
        folder=folder,
        progress=Silent(),
    ).everything()
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    return copy


def change(path: Path, **changes: Any) -> None:
    said = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(said | changes), "utf-8")


def test_four_sites_three_epsilons_and_five_seeds_fit_in_one_small_file(finished: Path) -> None:
    path = write_report(finished)
    assert path == finished / PAGE
    assert 20_000 < path.stat().st_size < MOST_BYTES


def test_nothing_is_fetched_and_nothing_runs(finished: Path) -> None:
    text = write_report(finished).read_text("utf-8")
    page = Reader(text)
    assert all(ref.startswith(("data:", "#")) for ref in page.refers), page.refers
    assert not {"script", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert not page.handlers
    assert not re.search(r"https?:|url\(|@import", text)
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text


def test_every_chart_of_a_run_is_there(finished: Path) -> None:
    page = read(write_report(finished))
    wanted = {"gain", "ladder", "epsilon", "det", "sites", "spent", "bytes", "cameras", "promise"}
    assert wanted | {"arms", "made"} <= page.ids
    assert page.tags.count("img") == 6 * 5  # six sitters as rendered and through four cameras
    for words in ("4 sites", "5 seeds", "ε 0.5", "python", "joined"):
        assert words in page.text
    assert "left-out" not in page.ids
    assert "has not ended" not in page.text


def test_repeatable_noise_is_said_to_protect_nobody(finished: Path) -> None:
    assert "it protects nobody" in read(write_report(finished)).text


def test_what_a_folder_says_is_never_markup(folder: Path) -> None:
    text = (folder / SUMMARY).read_text("utf-8").replace("site-0", "SITE").replace("camera-1", "C")
    (folder / SUMMARY).write_text(text.replace('"SITE"', json.dumps(NASTY)), "utf-8")
    change(folder / SUMMARY, scenario=NASTY)
    change(folder / ORIGIN, command=NASTY, versions={NASTY: NASTY})
    page = read(write_report(folder))
    assert "script" not in page.tags
    assert not page.handlers
    assert all(ref.startswith("data:") for ref in page.refers)
    assert page.text.count("<script>alert(1)</script>") >= 4


def test_unfinished_run_says_so_and_draws_what_is_whole(folder: Path) -> None:
    (folder / SUMMARY).unlink()
    change(folder / ORIGIN, finished=None)
    for piece in (folder / PIECES).glob("fold*-seed4-*.npz"):
        piece.unlink()
    page = read(write_report(folder))
    assert "This run has not ended: 48 of 60 measurements are there." in page.text
    assert "the 4 repetitions that are whole" in page.text
    assert "4 seeds" in page.text
    assert {"gain", "det", "sites", "cameras"} <= page.ids


def test_half_measured_repetition_is_not_compared(folder: Path) -> None:
    (folder / SUMMARY).unlink()
    for seed in range(5):
        (folder / PIECES / f"fold5-seed{seed}-local-0.npz").unlink()
    page = read(write_report(folder))
    assert "No repetition is whole yet" in page.text
    assert "Nothing to compare yet." in page.text
    assert "gain" not in page.ids
    assert "cameras" in page.ids


def test_run_that_was_begun_again_says_whose_figures_these_are(folder: Path) -> None:
    change(folder / ORIGIN, finished=None)
    assert "these are the figures of before" in read(write_report(folder)).text


def test_folder_of_an_earlier_version_is_reported_without_what_it_lacks(folder: Path) -> None:
    summary = json.loads((folder / SUMMARY).read_text("utf-8"))
    later = ("settings", "cameras", "fmr_grid", "bytes", "rounds", "training_people")
    for key in (*later, "gain_by_seed", "gain_by_fold"):
        del summary[key]
    for row in summary["rows"]:
        del row["fnmr"]
    (folder / SUMMARY).write_text(json.dumps(summary), "utf-8")
    (folder / ORIGIN).unlink()
    page = read(write_report(folder))
    assert {"gain", "ladder", "sites", "left-out"} <= page.ids
    assert not {"det", "bytes", "cameras"} & page.ids
    for words in ("DET curves: this run kept none", "before they were kept", "does not say"):
        assert words in page.text


def test_scores_on_public_people_are_drawn_round_by_round(folder: Path) -> None:
    rounds = [{"round": n, "mechanism": "steps", "sites": 4, "public": 0.1 * n} for n in (1, 2, 3)]
    change(folder / SUMMARY, rounds={"private": {"8": rounds}})
    assert "training" in read(write_report(folder)).ids


def test_run_without_private_arms_still_has_a_page(folder: Path) -> None:
    summary = json.loads((folder / SUMMARY).read_text("utf-8"))
    rows = [row for row in summary["rows"] if not row["name"].startswith("private")]
    empty: dict[str, Any] = {"gain": {}, "statements": {}, "epsilon_spent": {}}
    change(folder / SUMMARY, rows=rows, **empty)
    page = read(write_report(folder))
    assert "No private arm was measured." in page.text
    assert {"ladder", "sites"} <= page.ids


def test_private_arms_without_pairs_enough_are_not_called_unmeasured(folder: Path) -> None:
    change(folder / SUMMARY, gain={"private": {"8": None}})
    page = read(write_report(folder))
    assert "Too few pairs to say whether joining pays." in page.text
    assert "No private arm" not in page.text


def test_folder_that_is_neither_run_nor_sweep_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"neither a run .* give the folder named by --out"):
        write_report(tmp_path)
    with pytest.raises(RunError, match="there is no folder"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["{", "[]", '{"rows": 3}', '{"schema": 2, "rows": []}'])
def test_broken_summary_is_told_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / SUMMARY).write_text(content, "utf-8")
    with pytest.raises(RunError, match=SUMMARY):
        write_report(tmp_path)


def test_page_that_cannot_be_written_is_told_by_name(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        write_report(finished, tmp_path / "file" / "x.html")


def test_command_prints_where_page_and_tables_lie(finished: Path, tmp_path: Path) -> None:
    page, tables = tmp_path / "x.html", tmp_path / "tables"
    asked = ["report", str(finished), "--out", str(page), "--csv", str(tables)]
    told = CliRunner().invoke(main, asked)
    assert told.exit_code == 0, told.output
    said = json.loads(told.stdout)
    assert said["report"] == str(page)
    assert {Path(p).name for p in said["csv"]} == {
        "rows.csv",
        "per_site.csv",
        "gain.csv",
        "det.csv",
    }
    assert all(Path(p).is_file() for p in said["csv"])
    refused = CliRunner().invoke(main, ["report", str(tmp_path / "nowhere")])
    assert refused.exit_code == 1
    assert "RUN_FAILED: there is no folder" in refused.stderr
