"""What an operator is shown of a release: right, coarse, of nobody few, and of who agreed only."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from client.cli import main
from client.commands.evaluate import figures_of, told_of
from client.door.evaluating import LocalFigures, Own, evaluate
from client.door.measures import PLAIN, Likeness
from client.door.thresholds import Calibration, Levels
from client.home import SiteHome
from client.vault.founding import vault_place
from client.vault.store import Vault
from common.metrics.impostors import Faces
from common.models.tail import Tail
from tests.small_home import STARTER
from tests.small_releases import PEOPLE, deciding, peopled, person, public
from tests.small_vault import NOW, TRUNK, consent

SIDE = 30


def test_rates_of_a_hand_made_case() -> None:
    """Of thirty people three have two pictures that are not alike, and one stranger of forty looks
    like one of them: 6 of 60 claims are refused, 1 of 1,200 strangers' is accepted."""
    found = evaluate(own(apart=3), strangers(alike=1), identity(), decided())
    assert found == LocalFigures(people=30, strangers=40, fnmr="1e-01", fmr="8e-04")


def test_where_nothing_goes_wrong_it_is_told_below_what() -> None:
    found = evaluate(own(apart=0), strangers(alike=0), identity(), decided())
    assert (found.fnmr, found.fmr) == ("below 5e-02", "below 3e-03")


def test_of_few_people_nothing_istold_of() -> None:
    few = own(apart=3)
    kept = few.person < 19
    some = Own(features=few.features[kept], person=few.person[kept], quality=few.quality[kept])
    found = evaluate(some, strangers(alike=1), identity(), decided())
    assert found == LocalFigures(people=0, strangers=0, fnmr=None, fmr=None)


def test_of_few_strangers_no_false_matches_aretold_of() -> None:
    there = strangers(alike=1)
    found = evaluate(own(0), Faces(there.embeddings[:19], there.person[:19]), identity(), decided())
    assert (found.strangers, found.fmr) == (0, None)
    assert found.fnmr is not None


def test_every_person_is_a_step() -> None:
    steps: list[int] = []
    evaluate(own(0), strangers(0), identity(), decided(), steps.append)
    assert sum(steps) == SIDE


@pytest.mark.parametrize("pooling", ["best", "mean"])
def test_a_release_is_judged_at_the_thresholds_that_decide(tmp_path: Path, pooling: Any) -> None:
    with peopled(tmp_path) as vault:
        made = deciding(tmp_path, vault, Likeness(pooling=pooling))
        before = vault.generation
        shown = told_of(made.active, figures_of(made.active, (vault, public()), steps, NOW))  # type: ignore[arg-type]
        assert shown["people"] == "20+"
        assert shown["public_strangers"] == "60+"
        assert shown["fnmr"] is not None
        assert shown["fmr_of_public_strangers"] is not None
        assert all(person(number).hex() not in json.dumps(shown) for number in PEOPLE)
        assert vault.generation == before
        vault.renew(person(0), consent("training"), now=NOW)  # agrees to no comparison any more
        later = told_of(made.active, figures_of(made.active, (vault, public()), steps, NOW))  # type: ignore[arg-type]
        assert later["too_few_people"]
        made.close()


@pytest.fixture
def site(quick_path: Path) -> Iterator[SiteHome]:
    home = SiteHome(quick_path / "site")
    typed = ["init", "--alone", "--name", "clinic", "--trunk", str(STARTER)]
    done = CliRunner().invoke(
        main, [*typed, "--public", str(quick_path), "--home", str(home.folder)]
    )
    assert done.exit_code == 0, done.stderr
    yield home


def test_while_the_door_has_the_vault_the_remedy_istold_of(site: SiteHome) -> None:
    with Vault(vault_place(site, site.config())):
        done = CliRunner().invoke(main, ["evaluate", "--home", str(site.folder)])
    assert done.exit_code == 1
    assert "BUSY" in done.stderr
    assert "stop `mascaron-site serve`" in done.stderr


def test_before_any_release_there_is_nothing_to_evaluate(site: SiteHome) -> None:
    done = CliRunner().invoke(main, ["evaluate", "--home", str(site.folder)])
    assert done.exit_code == 1
    assert "no release is here yet" in done.stderr


def own(apart: int) -> Own:
    """Two pictures of each of thirty people; of the first ``apart`` they point to other places."""
    features = np.zeros((2 * SIDE, 3 * SIDE), np.float32)
    for number in range(SIDE):
        features[2 * number, number] = features[2 * number + 1, number] = 1
        if number < apart:
            features[2 * number + 1] = np.eye(3 * SIDE)[SIDE + number]
    person = np.repeat(np.arange(SIDE), 2)
    return Own(features=features, person=person, quality=np.ones(len(person)))


def strangers(alike: int) -> Faces:
    """Forty who look like nobody, but for the last ``alike``, who look like the last of the own."""
    features = np.eye(3 * SIDE, dtype=np.float32)[2 * SIDE - 10 : 3 * SIDE].copy()
    features[:10] = -features[:10]
    if alike:
        features[-alike:] = np.eye(3 * SIDE, dtype=np.float32)[SIDE - 1]
    return Faces(features, np.arange(len(features)))


def identity() -> Tail:
    return Tail(np.eye(3 * SIDE, dtype=np.float32), np.zeros(3 * SIDE, np.float32))


def decided() -> tuple[Calibration, Any]:
    levels = Levels(
        match=0.5, near=0.4, rate=0.01, bound=0.01, own_bound=0.01, comparisons=1, people=1
    )
    calibration = Calibration(
        release=identity().hash,
        trunk=TRUNK,
        verify=levels,
        search=None,
        gallery=SIDE,
        made=NOW,
        faces="",
    )
    return calibration, PLAIN


def steps(what: str, total: int) -> Any:
    return lambda people: None
