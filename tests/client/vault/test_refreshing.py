"""Somebody enrolled shows themselves anew, and a trunk goes: in one change, or not at all."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.vault.records import NewTemplate
from client.vault.store import Vault
from common.errors import ConsentExpiredError, ModelError, UnknownPersonError
from tests.failing_writes import failing_writes
from tests.small_vault import (
    LATER,
    NOW,
    OTHER,
    TRUNK,
    consent,
    content,
    enrol,
    files,
    filled,
    person,
    place,
    template,
)

Operation = Callable[[Vault], object]
SEEDS = (0, 2, 4)  # of these, deleting alone left copies in the pages


def both(*numbers: int) -> list[NewTemplate]:
    return [template(n, trunk) for n in numbers for trunk in (TRUNK, OTHER)]


def held(vault: Vault, number: int, trunk: str = TRUNK) -> set[bytes]:
    return {one.feature.tobytes() for one in vault.held(person(number), trunk)}


def drawn(*numbers: int) -> set[bytes]:
    return {template(n).feature.tobytes() for n in numbers}


def test_new_templates_push_out_the_oldest_of_their_trunk_and_nothing_else(
    quick_path: Path,
) -> None:
    filled(quick_path / "v", range(3))
    with Vault(place(quick_path / "v")) as vault:
        before, others = vault.generation, (held(vault, 0), held(vault, 2))
        vault.refresh(person(1), both(50, 51), most=3, now=NOW)
        assert vault.generation == before + 1
        assert held(vault, 1) == drawn(1001, 50, 51)
        assert held(vault, 1, OTHER) == drawn(50, 51)
        vault.refresh(person(1), [template(n) for n in (52, 53, 54)], most=3, now=NOW)
        assert held(vault, 1) == drawn(52, 53, 54) and held(vault, 1, OTHER) == drawn(50, 51)
        assert (vault.label(person(1)), vault.consent(person(1))) == ("L1", consent())
        assert (held(vault, 0), held(vault, 2)) == others
        vault.verify()
        last = content(vault), content(vault, OTHER)
    with Vault(place(quick_path / "v")) as vault:
        assert (content(vault), content(vault, OTHER)) == last


def test_nobody_is_refreshed_who_is_not_here_or_no_longer_agrees(quick_path: Path) -> None:
    filled(quick_path / "v", range(3))
    with Vault(place(quick_path / "v")) as vault:
        vault.erase([person(2)], NOW)
        before = vault.generation
        told = set()
        for number in (2, 99):
            with pytest.raises(UnknownPersonError) as refused:
                vault.refresh(person(number), both(50), most=8, now=NOW)
            told.add(str(refused.value))
        assert len(told) == 1
        with pytest.raises(ConsentExpiredError):
            vault.refresh(person(1), both(50), most=8, now=LATER)
        for templates in ([], both(50, 51, 52)):
            with pytest.raises(ModelError):
                vault.refresh(person(1), templates, most=2, now=NOW)
        assert vault.generation == before


def test_a_trunk_goes_once_nobody_depends_on_it(quick_path: Path) -> None:
    filled(quick_path / "v", range(2))
    with Vault(place(quick_path / "v")) as vault:
        vault.refresh(person(1), both(50), most=8, now=NOW)
        before = vault.generation
        with pytest.raises(ModelError, match="alone"):
            vault.forget_trunk(TRUNK)
        assert (vault.generation, held(vault, 0)) == (before, drawn(0, 1000))
        vault.refresh(person(0), both(60), most=8, now=NOW)
        kept = content(vault, OTHER)
        vault.forget_trunk(TRUNK)
        assert not content(vault) and content(vault, OTHER) == kept
        assert vault.export(person(1))["trunks"] == [OTHER]
        generation = vault.generation
        vault.forget_trunk(TRUNK)
        assert vault.generation == generation
        vault.verify()
    left = b"".join(path.read_bytes() for path in files(quick_path / "v"))
    assert bytes.fromhex(TRUNK) not in left, "not even a deleted row stays in a file"


def wide(trunk: str) -> list[NewTemplate]:
    feature = np.ones(512, np.float16)
    return [NewTemplate(trunk=trunk, feature=feature, quality=0.5) for _ in range(4)]


@pytest.mark.parametrize("seed", SEEDS)
def test_of_a_trunk_that_goes_nothing_stays_where_pages_were_split(
    quick_path: Path, seed: int
) -> None:
    draws = random.Random(seed)  # noqa: S311
    order = draws.sample(range(1000), 60)
    with Vault.create(replace(place(quick_path / "v"), random=draws.randbytes)) as vault:
        for n in order:
            vault.enrol(person(n), wide(TRUNK), consent(), now=NOW, label="")
        for n in order:
            vault.refresh(person(n), wide(OTHER), most=8, now=NOW)
        vault.forget_trunk(TRUNK)
    left = b"".join(path.read_bytes() for path in files(quick_path / "v"))
    assert bytes.fromhex(TRUNK) not in left and left.count(bytes.fromhex(OTHER)) == 240


OPERATIONS: dict[str, Operation] = {
    "refresh": lambda vault: vault.refresh(person(1), both(50, 51), most=3, now=NOW),
    "forget a trunk": lambda vault: vault.forget_trunk(TRUNK),
}


def everything(vault: Vault) -> tuple[object, ...]:
    """What is kept, without the ids that were drawn for it."""
    people = sorted(vault.people(now=NOW))
    features = [
        sorted(one.feature.tobytes() for one in vault.held(who, trunk))
        for who in people
        for trunk in (TRUNK, OTHER)
    ]
    return people, features, [(vault.label(who), vault.consent(who)) for who in people]


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_any_write_that_fails_leaves_before_or_after(
    quick_path: Path, name: str, for_good: bool
) -> None:
    operation, folder = OPERATIONS[name], quick_path / "v"
    with Vault.create(place(folder)) as vault:
        enrol(vault, [1, 2])
        for number in (1, 2):
            vault.refresh(person(number), both(number + 60), most=8, now=NOW)
    tried = [fatal for fatal, _ in failing_writes(folder, operation, everything, for_good=for_good)]
    assert len(tried) > 10
