"""Whatever write fails while labels come or go: as before or as after, and gone means gone."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from client.vault.identity import PersonId
from client.vault.labels import Told
from client.vault.store import Vault
from client.vault.tables import Tables
from common.errors import MascaronError
from tests.failing_writes import failing_writes
from tests.killing import killed
from tests.small_labels import (
    AGREED,
    BARE,
    HAT,
    enrol_labelled,
    labelled,
    lies_in,
    sealed_labels,
    told,
)
from tests.small_vault import NOW, consent, enrolled, filled, person, place

Operation = Callable[[Vault], object]
OPERATIONS: dict[str, Operation] = {
    "enrol": lambda vault: enrol_labelled(vault, 4, HAT, BARE),
    "put": lambda vault: vault.labels.put(person(1), BARE, now=NOW),
    "take away": lambda vault: vault.labels.take_away(person(1)),
    "withdraw": lambda vault: vault.renew(person(1), consent("verify"), now=NOW),
    "refresh": lambda vault: vault.refresh(person(1), [labelled(9, BARE)], most=2, now=NOW),
    "erase": lambda vault: vault.erase([person(1)], NOW),
}
GONE = ("take away", "withdraw", "erase")


def everything(vault: Vault) -> dict[PersonId, tuple[frozenset[str], list[Told]]]:
    return {who: (vault.consent(who).purposes, told(vault, who)) for who in vault.people(now=NOW)}


@pytest.mark.parametrize(
    ("name", "for_good"), [*((name, False) for name in OPERATIONS), ("withdraw", True)]
)
def test_any_write_that_fails_leaves_before_or_after(
    quick_path: Path, name: str, for_good: bool
) -> None:
    operation, folder = OPERATIONS[name], quick_path / "v"
    with Vault.create(place(folder)) as vault:
        for number in (1, 2, 3):
            enrol_labelled(vault, number, HAT, BARE)
        secret = sealed_labels(vault, person(1))
    for fatal, unchanged in failing_writes(folder, operation, everything, for_good=for_good):
        if name in GONE:
            assert lies_in(folder, secret) == unchanged, f"write {fatal}"


def test_a_withdrawal_that_was_cut_short_is_finished_when_the_vault_opens(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was in the database, and old copies might still have been in the free space of pages."""
    rebuilt: list[int] = []
    rebuild = Tables.rebuild

    def cut(own: Tables) -> None:
        rebuilt.append(1)
        if len(rebuilt) == 1:
            raise OSError(5, "cut off")
        rebuild(own)

    monkeypatch.setattr(Tables, "rebuild", cut)
    with Vault.create(place(quick_path / "v")) as vault:
        who = enrol_labelled(vault, 1, HAT)
        with pytest.raises(MascaronError):
            vault.renew(who, consent("verify"), now=NOW)
    with Vault(place(quick_path / "v")) as vault:
        assert len(rebuilt) == 2 and told(vault, who) == []
        assert vault.consent(who).purposes == {"verify"}
    Vault(place(quick_path / "v")).close()
    assert len(rebuilt) == 2, "once, and not at every opening"


def live(folder: Path, tell: Callable[[str], object], seed: int) -> None:
    """Puts labels, takes them away and has them agreed to at random, and says what it does."""
    rng = random.Random(seed)  # noqa: S311
    with Vault(place(folder)) as vault:
        for _ in range(8):
            number, kind = rng.choice((1, 2, 3)), rng.choice(("put", "take", "no", "yes"))
            tell(f"begun {kind} {number}")
            willing = "labels" in vault.consent(person(number)).purposes
            if kind == "put" and willing:
                vault.labels.put(person(number), HAT, now=NOW)
            elif kind == "take":
                vault.labels.take_away(person(number))
            elif kind in ("yes", "no"):
                purposes = AGREED if kind == "yes" else AGREED[:-1]
                vault.renew(person(number), consent(*purposes), now=NOW)
            tell(f"done {kind} {number}")


def survive(folder: Path, kills: int, seed: int) -> None:
    filled(folder, range(1, 4))
    rng = random.Random(seed)  # noqa: S311
    model = {number: (False, 0) for number in (1, 2, 3)}  # who agrees, and how many are labelled
    for life in range(kills):
        maybe = dict(model)
        for line in killed(partial(live, folder, seed=life), rng, 12, 0.02):
            state, kind, text = line.split()
            willing, count = model[int(text)]
            after = {
                "put": (willing, 2 if willing else 0),
                "take": (willing, 0),
                "yes": (True, count),
                "no": (False, 0),
            }[kind]
            maybe = {**model, int(text): after}
            if state == "done":
                model = maybe
        with Vault(place(folder)) as vault:
            now = {
                number: ("labels" in vault.consent(who).purposes, len(told(vault, who)))
                for number, who in ((n, person(n)) for n in model)
            }
            assert now in (model, maybe), "something was lost, or came back"
            assert enrolled(vault) == {1, 2, 3}
        model = now


def test_killed_at_random_moments_it_keeps_what_was_put_and_agreed_to(quick_path: Path) -> None:
    survive(quick_path / "v", 25, seed=1)


@pytest.mark.slow
def test_killed_five_hundred_times_it_keeps_what_was_put_and_agreed_to(quick_path: Path) -> None:
    survive(quick_path / "v", 500, seed=2)
