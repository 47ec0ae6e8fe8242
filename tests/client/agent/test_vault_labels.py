"""Heads learn from labels of the vault's people: of who agreed to both, and of nobody else."""

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.agent.gradients import gradient_rows, gradient_update
from client.agent.labelled import site_labels
from client.agent.labels import SiteLabels
from client.agent.mechanisms import Terms
from client.agent.people import SitePeople
from client.policy import AutoAccept, SitePolicy
from client.vault.handles import framed
from client.vault.identity import PersonId
from client.vault.labelling import Labelling
from client.vault.labels import Labels
from common.errors import PlanError, VaultError
from common.privacy.heads import HeadTerms
from common.privacy.plan import GradientMechanism
from common.text.vocabulary import FEMALE, names
from tests.client.agent.test_gradients import Still, negatives
from tests.client.agent.test_participants import House, feature
from tests.small_labels import ALL_KINDS, drawn_labels
from tests.small_site import RUN, Site, head_plan, heads, initial, offer, tail

BOTH = ("training", "labels")
SAID = (Labels(shown={"hat": True, "beard": False}, age=40), Labels(shown={"hat": False}))
KINDS = ("attributes", "age")
TERMS = (
    HeadTerms(kind="attributes", weight=0.5, names=("beard", "hat"), shown=(5, 2), absent=(5, 8)),
    HeadTerms(kind="age", weight=0.25),
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "house")
    yield made
    made.vault.close()


def known(people: SitePeople) -> dict[bytes, Any]:
    """What is said, by picture: hat and beard, and the age."""
    found: dict[bytes, Any] = {}
    for index in range(len(people)):
        said = people.labels(index)
        if said is None:
            continue
        shown = said.named(("hat", "beard"))
        for row, one in enumerate(people.bag(index)):
            age = None if said.age is None or np.isnan(said.age[row]) else float(said.age[row])
            cells = (-1, -1) if shown is None else tuple(shown[row].tolist())
            found[one.astype(np.float16).tobytes()] = (*cells, age)
    return found


def of(person: PersonId, *cells: tuple[Any, ...]) -> dict[bytes, Any]:
    return {feature(person, n).tobytes(): cell for n, cell in enumerate(cells)}


ALL = ((1, 0, 40.0), (0, -1, None))
NONE = ((-1, -1, None), (-1, -1, None))


def test_labels_of_who_agreed_to_both_lie_beside_their_own_pictures(house: House) -> None:
    first = house.enrol(*BOTH, said=SAID)
    second = house.enrol("training")
    house.enrol("labels", said=SAID)  # who is not trained on
    last = house.enrol(*BOTH, said=(None, SAID[0]))
    house.people.begin(RUN)
    expected = of(first, *ALL) | of(second, *NONE) | of(last, NONE[0], ALL[0])
    assert known(house.people.of(RUN)) == expected


def test_of_nobody_is_anything_said_where_nobody_agreed(house: House) -> None:
    house.enrol("training", "text")
    house.enrol("labels", said=SAID)
    house.people.begin(RUN)
    people = house.people.of(RUN)
    assert [people.labels(index) for index in range(len(people))] == [None]


def test_who_agrees_to_labels_later_is_learnt_from_in_the_next_run(house: House) -> None:
    person = house.enrol("training")
    house.people.begin(RUN)
    house.vault.renew(person, house.consent(*BOTH), now=house.now)
    house.vault.labels.put(person, SAID[0], now=house.now)
    assert known(house.people.of(RUN)) == {}
    house.people.begin("the next")
    assert known(house.people.of("the next")) == of(person, ALL[0], ALL[0])
    assert known(house.people.of(RUN)) == {}


def test_a_withdrawal_an_erasure_and_an_end_take_effect_at_the_next_round(house: House) -> None:
    erased, withdrawn, stays = (house.enrol(*BOTH, said=SAID) for _ in range(3))
    ends = house.enrol(*BOTH, days=1.0, said=SAID)
    house.people.begin(RUN)
    house.vault.erase([erased], house.now)
    house.vault.renew(withdrawn, house.consent("training"), now=house.now)
    house.now += 2 * 86400.0
    expected = of(withdrawn, *NONE) | of(stays, *ALL)
    assert known(house.people.of(RUN)) == expected
    assert not known(house.people.of(RUN)).keys() & of(ends, *ALL).keys()
    house.vault.renew(withdrawn, house.consent(*BOTH), now=house.now)
    assert known(house.people.of(RUN)) == expected, "what was withdrawn does not come back"
    house.vault.renew(stays, house.consent("labels"), now=house.now)
    assert known(house.people.of(RUN)) == {}, "of who is not trained on nothing is read"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"heads": ()}, None),
        ({"heads": ("age",)}, ((-1, -1, 40.0), NONE[1])),
        ({"heads": ("attributes",)}, ((1, 0, None), (0, -1, None))),
        ({"denied_attributes": ("hat",)}, ((-1, 0, 40.0), NONE[1])),
        ({"denied_attributes": ("age",)}, ((1, 0, None), (0, -1, None))),
    ],
)
def test_what_the_policy_of_today_does_not_allow_is_left_out(
    house: House, changes: dict[str, Any], expected: Any
) -> None:
    person = house.enrol(*BOTH, said=SAID)
    house.policy = dataclasses.replace(ALL_KINDS, **changes)
    house.people.begin(RUN)
    assert known(house.people.of(RUN)) == ({} if expected is None else of(person, *expected))


def test_labels_are_opened_by_who_asks_for_them_and_by_nobody_else(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.enrol(*BOTH, said=SAID)
    house.people.begin(RUN)
    opened: list[int] = []
    read = house.vault.labels.of
    monkeypatch.setattr(
        house.vault.labels, "of", lambda *some, **more: opened.append(1) or read(*some, **more)
    )
    people = house.people.of(RUN)
    people.bags()
    assert not opened
    people.labels(0)
    people.labels(0)
    assert len(opened) == 1


def test_a_run_that_began_before_there_were_labels_learns_none(house: House) -> None:
    """Its file holds the tags of those who agreed to training, and nothing else."""
    house.enrol(*BOTH, said=SAID)
    people = house.people
    older = sorted(people._tags(RUN, "training").values())
    key = house.vault.derive("training")
    people.begin(RUN)
    [path] = (house.folder / "runs").iterdir()
    path.write_bytes(key.seal(b"".join(older), framed("run", RUN)))
    assert len(people.of(RUN)) == 1 and known(people.of(RUN)) == {}


def test_an_altered_record_of_labels_ends_the_round(house: House) -> None:
    person = house.enrol(*BOTH, said=SAID)
    house.people.begin(RUN)
    people = house.people.of(RUN)
    database = house.vault._core.tables._database
    database.execute("UPDATE labels SET sealed = zeroblob(1052) WHERE person = ?", (person,))
    with pytest.raises(VaultError):
        people.labels(0)


@given(st.lists(drawn_labels, min_size=1, max_size=6))
def test_what_was_sealed_is_what_heads_see(rows: list[Labels | None]) -> None:
    found = site_labels(rows, ALL_KINDS.allows_label)
    if found is None:
        assert not any(rows)
        return
    every = found.named(names())
    for row, one in enumerate(rows):
        table = {} if one is None else one.table()
        for column, name in enumerate(names()):
            cell = -1 if every is None else every[row, column]
            assert cell == (int(table[name]) if name in table else -1)
        female = -1 if found.gender is None else found.gender[row]
        assert female == (int(table[FEMALE]) if FEMALE in table else -1)
        age = np.nan if found.age is None else found.age[row]
        assert age == table["age"] if "age" in table else np.isnan(age)


# A whole agent.


def update(people: SitePeople) -> dict[str, np.ndarray]:
    told = GradientMechanism(
        **{"sigma": 0.0, "clip": 0.7, "rate": 0.5, "rounds": 1, "views": 8, "negatives": 8},
        learning_rate=0.3,
        scale=4.0,
        heads=TERMS,
    )
    terms = Terms(told.sigma, Still(), 5)
    return gradient_update(told, {**tail(), **heads(TERMS)}, people, negatives(), terms)


def test_a_vault_teaches_heads_as_a_folder_with_the_same_labels_does(house: House) -> None:
    persons = [house.enrol(*BOTH, said=SAID) for _ in range(3)]
    house.people.begin(RUN)
    from_vault = house.people.of(RUN)
    order = [feature(p, n) for p in persons for n in range(2)]
    table = np.array([[1, 0], [0, -1]] * 3, np.int8)
    said = SiteLabels(
        names=("hat", "beard"), attributes=table, age=np.array([40, np.nan] * 3, np.float32)
    )
    folder = SitePeople(np.array(order, np.float32), np.repeat(np.arange(3), 2), said)
    left, right = update(from_vault), update(folder)
    for name, array in left.items():
        np.testing.assert_allclose(array, right[name], atol=1e-5)
        assert array.any()
    house.policy = SitePolicy(epsilon=8.0, delta=1e-4)
    unsaid = update(house.people.of(RUN))
    assert not any(unsaid[f"gradient.{name}"].any() for t in TERMS for name in t.arrays)


def test_one_person_less_moves_tail_and_heads_by_no_more_than_the_clip(house: House) -> None:
    persons = [house.enrol(*BOTH, said=SAID) for _ in range(3)]
    house.people.begin(RUN)
    before = _flat(update(house.people.of(RUN)))
    changes = [
        lambda: house.vault.labels.take_away(persons[0]),
        lambda: house.vault.renew(persons[1], house.consent("training"), now=house.now),
        lambda: house.vault.erase([persons[2]], house.now),
    ]
    for change in changes:
        change()
        after = _flat(update(house.people.of(RUN)))
        moved = float(np.linalg.norm(after - before)) * 0.5 * 5
        assert 0 < moved <= 2 * 0.7 * (1 + 1e-4)  # one person's contribution is another, or gone
        before = after


def _flat(left: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in left.values()])


def test_a_site_trains_heads_from_its_vault_and_says_nothing_of_labels(
    house: House, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(3):
        house.enrol(*BOTH, said=SAID)
    accept = AutoAccept(epsilon=50.0, rounds=10_000)
    site.policy = SitePolicy(epsilon=8.0, delta=1e-4, heads=KINDS, auto_accept=accept)
    house.policy, site.people = site.policy, house.people
    room = site.training()
    room.accept(offer(head_plan(), arrays={**initial(), **heads()}))
    assert site.kinds() == ["accept"]
    left = room.train(RUN, 1, {**tail(), **heads()})
    assert {n for n in left if "heads" in n} == {
        f"gradient.{name}" for terms in TERMS for name in terms.arrays
    }
    assert all(np.isfinite(array).all() for array in left.values())
    site.restart()
    again = site.training().train(RUN, 1, {**tail(), **heads()})
    assert all((again[name] == array).all() for name, array in left.items()), "the stored bytes"
    assert not any(word in caplog.text for word in ("beard", "hat", "40"))


def test_a_site_that_switches_no_heads_on_refuses_the_charter_and_opens_no_label(
    house: House, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.enrol(*BOTH, said=SAID)
    site.people = house.people

    def never(*args: Any, **more: Any) -> Any:
        raise AssertionError("opened")

    monkeypatch.setattr(Labelling, "of", never)
    with pytest.raises(PlanError, match="switches none on"):
        site.training().accept(offer(head_plan(), arrays={**initial(), **heads()}))
    assert site.kinds() == [] and not list((house.folder / "runs").glob("*"))


def test_what_others_contribute_does_not_change_by_a_bit_when_somebody_goes(house: House) -> None:
    """Also not when theirs were the only ages, or the only labels of a kind."""
    persons = [house.enrol(*BOTH, said=(one, one)) for one in (SAID[1], SAID[0], None)]
    persons.append(house.enrol("training"))
    house.people.begin(RUN)
    before = rows(house)
    house.vault.erase([persons[1]], house.now)
    after = rows(house)
    assert [row.tobytes() for row in after] == [before[n].tobytes() for n in (0, 2, 3)]


def rows(house: House) -> list[np.ndarray]:
    """One a person, in the order of their ids."""
    told = {"sigma": 0.0, "clip": 0.7, "rate": 1.0, "rounds": 1, "views": 8, "negatives": 8}
    mechanism = GradientMechanism(**told, learning_rate=0.3, scale=4.0, heads=TERMS)
    shared = {**tail(), **heads(TERMS)}
    terms: Any = SimpleNamespace(entropy=Still(), encoder=None)  # all that a row asks of them
    return list(gradient_rows(mechanism, shared, house.people.of(RUN), negatives(), terms))
