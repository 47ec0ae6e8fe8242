"""What the laboratory may share between scenarios, and what names a measurement."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ScenarioError
from common.faces.faceset import FaceSet
from simulations import laboratory as room
from simulations import material
from simulations.laboratory import AFTER_FEATURES, Given, features_key
from simulations.scenario import Scenario
from tests.small_laboratory import blank, small_laboratory
from tests.small_world import small_scenario


class Watched:
    """A scenario that remembers which of its fields were read."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.read = scenario, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self.scenario, name)


class Colourless:
    """In place of a studio: features that say nothing."""

    trunk = type("Trunk", (), {"hash": "0" * 64})()

    def shoot(self, faces: FaceSet, lens: Any, what: str) -> Any:
        return np.zeros((len(faces), 3), np.float32)


@pytest.mark.parametrize("changes", [{}, {"one_camera": True}, {"cameras": "none"}])
def test_no_field_that_decides_features_counts_as_one_that_does_not(changes: Any) -> None:
    watched: Any = Watched(small_scenario(**changes))
    tail: Any = None
    studio: Any = Colourless()
    material.prepare(watched, blank(12, "faces"), blank(6, "public"), tail, studio)
    assert "views" in watched.read
    assert not watched.read & AFTER_FEATURES


def test_fields_after_features_are_fields_and_leave_the_key_alone() -> None:
    fields = {entry.name for entry in dataclasses.fields(Scenario)}
    assert fields >= AFTER_FEATURES
    base = small_scenario()
    assert features_key(base) == features_key(small_scenario(sites=5, seeds=9, epsilon=(1.0,)))
    assert features_key(base) != features_key(small_scenario(views=3))
    assert features_key(base) != features_key(small_scenario(one_camera=True))


def test_material_is_made_again_only_for_other_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr(room, "prepare", lambda scenario, *_: made.append(scenario.views))
    laboratory = small_laboratory(tmp_path)
    for views in (3, 3, 4, 3):
        laboratory._prepared(small_scenario(views=views))
    assert made == [3, 4, 3]


def test_a_measurement_is_named_by_scenario_faces_folds_and_entropy(tmp_path: Path) -> None:
    def named(scenario: Scenario | None = None, **given: Any) -> str:
        return small_laboratory(tmp_path, **given).identity(scenario or small_scenario())

    others = [
        named(small_scenario(sites=5)),
        named(small_scenario(seeds=3)),
        named(small_scenario(cameras="harsh.toml")),
        named(seen="other faces"),
        named(train_folds="1-2"),
        named(entropy="os"),
    ]
    assert named() == named()
    assert len({named(), *others}) == 7


def test_sites_are_counted_in_people(tmp_path: Path) -> None:
    assert small_laboratory(tmp_path).sites(small_scenario(sites=4)) == [8, 8, 7, 7]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"train_folds": "1-7"}, "train and choose both have 7 (by default --choose-folds is 7: "),
        ({"report_folds": "7,8"}, "choose and report both have 7 (by default --choose-folds is 7"),
        (
            {"train_folds": "1-8"},
            "train and choose both have 7 "
            "(by default --choose-folds is 7 and --report-folds is 8: name others)",
        ),
        ({"report_folds": "5,6"}, "train and report both have 5, 6 (by default --train-folds is"),
        ({"train_folds": "1,2", "choose_folds": "2"}, "train and choose both have 2"),
    ],
)
def test_folds_that_overlap_are_told_with_the_default_that_clashes(
    given: dict[str, Any], told: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        Given(**given)
    assert f"must not overlap: {told}" in str(caught.value)
    assert ("by default" in str(caught.value)) is ("by default" in told)
    assert Given(train_folds="1-7", choose_folds="").turns()[0].choose == frozenset()
