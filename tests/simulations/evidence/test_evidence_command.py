"""One command takes all the evidence, lets the gates judge, and shows what they said."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.errors import ReleaseError
from common.evidence.section import KINDS, Section
from server.home import CentreHome
from server.release.registry import Registry
from simulations.cli import main
from simulations.commands.evidence import ship
from simulations.evidence.gathering import Depth, Gathering
from simulations.evidence.robustness.plan import RobustnessOptions
from simulations.progress import Told
from tests.small_evidence import group, rate
from tests.small_registry import RUN, evidence, finished, tail_of
from tests.small_subject import small_subject, small_tail


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("over") / "centre").folder


@pytest.fixture
def home(over: Path, tmp_path: Path) -> CentreHome:
    return CentreHome(Path(shutil.copytree(over, tmp_path / "centre")))


def test_a_release_that_passes_is_in_force_and_its_page_has_every_gate(
    home: CentreHome, tmp_path: Path
) -> None:
    folder = evidence(tmp_path / "evidence", tail_of(home))
    shipped = ship(home, RUN, folder)
    assert all(gate["held"] for gate in shipped["gates"])
    page = (folder / "report.html").read_text("utf-8")
    assert "passes all 16 gates" in page and "stops it" not in page
    release = Registry(home).get(shipped["release"])
    assert release.files["report.html"].decode() == page
    assert Registry(home).history().standing("a").in_force == release.digest


def test_a_release_that_fails_is_shown_to_fail_and_does_not_ship(
    home: CentreHome, tmp_path: Path
) -> None:
    biased = {"groups": {"a": group(0.001), "b": group(0.5)}, "fmr_worst_to_best": rate(500.0)}
    folder = evidence(tmp_path / "evidence", tail_of(home), {"fairness": biased})
    with pytest.raises(ReleaseError, match="groups"):
        ship(home, RUN, folder)
    page = (folder / "report.html").read_text("utf-8")
    assert "does not ship" in page and "1 of 16 gates stop it: groups" in page
    assert not Registry(home).history().entries


def gathering(folder: Path, seed: int = 0) -> Gathering:
    subject = dataclasses.replace(small_subject(), tail=small_tail(seed))
    depth = Depth(robustness=RobustnessOptions.quick(fmr=1e-2), fmr=0.1)
    return Gathering(subject, small_tail(), depth, folder, Told())


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which tails were measured: the quickest section alone."""
    made: list[str] = []

    def makers(self: Gathering) -> dict[str, object]:
        def measure() -> Section:
            made.append(self.subject.tail.hash)
            return self._verification()

        return {"verification": measure}

    monkeypatch.setattr(Gathering, "_makers", makers)
    return made


def test_sections_that_are_there_stay_and_those_of_another_tail_do_not(
    tmp_path: Path, verified: list[str]
) -> None:
    first = gathering(tmp_path).all()
    assert gathering(tmp_path).all() == first and len(verified) == 1
    text = (tmp_path / "verification.json").read_text("utf-8")
    assert Section.from_json(text) == first["verification"]
    gathering(tmp_path, seed=5).all()
    assert verified == [small_tail().hash, small_tail(5).hash]
    (tmp_path / "verification.json").write_text("{", "utf-8")
    gathering(tmp_path).all()
    assert len(verified) == 3


@pytest.mark.slow
def test_the_demo_makes_a_release_that_passes(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["evidence", "--demo", "--out", str(tmp_path / "demo")])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    home = CentreHome(Path(told["centre"]))
    assert Registry(home).history().standing("as it is").in_force == told["release"]
    assert set(Registry(home).get(told["release"]).sections) == set(KINDS)
    assert "passes all 16 gates" in Path(told["report"]).read_text("utf-8")
