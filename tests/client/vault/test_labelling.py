"""Labels lie beside their own template, as long as their person agrees to them, and no longer."""

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.vault.handles import OVERHEAD, DataKey
from client.vault.identity import PersonId, TemplateId
from client.vault.labels import MOST, SIZE, Labels, about_labels, open_labels, seal_labels
from client.vault.store import Enrolment, Vault
from client.vault.tables import Tables
from common.errors import ConsentError, LabelError, UnknownPersonError, VaultError
from common.text.vocabulary import FEMALE, names
from tests.small_labels import (
    AGREED,
    BARE,
    HAT,
    drawn_labels,
    enrol_labelled,
    labelled,
    lies_in,
    sealed_labels,
    told,
)
from tests.small_vault import LATER, NOW, OTHER, TRUNK, consent, enrol, files, person, place

WHO, WHICH = person(1), TemplateId(bytes(range(16)))


def test_everything_that_the_vocabulary_can_say_fits_into_one_record() -> None:
    whole = Labels(shown={name: True for name in (*names(), FEMALE)}, age=120)
    key, about = DataKey(bytes(32), os.urandom), about_labels("north", WHO, WHICH)
    sizes = {len(seal_labels(key, one, about)) for one in (whole, BARE, Labels(age=0))}
    assert sizes == {SIZE + OVERHEAD}, "a record's length says nothing of what is in it"
    assert open_labels(key, seal_labels(key, whole, about), about) == whole


@given(drawn_labels)
def test_what_is_sealed_comes_out_as_it_was_and_nowhere_else(labels: Labels | None) -> None:
    if labels is None:
        return
    key, about = DataKey(bytes(32), os.urandom), about_labels("north", WHO, WHICH)
    sealed = seal_labels(key, labels, about)
    assert open_labels(key, sealed, about) == labels
    for other in (
        about_labels("south", WHO, WHICH),
        about_labels("north", person(2), WHICH),
        about_labels("north", WHO, TemplateId(bytes(16))),
    ):
        with pytest.raises(VaultError):
            open_labels(key, sealed, other)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"shown": {"age": True}},
        {"shown": {"Hat": True}},
        {"shown": {"h\u200bat": True}},
        {"shown": {"": True}},
        {"shown": {"x" * 49: True}},
        {"shown": {"glasses": 1}},
        {"shown": {f"a{n}": True for n in range(MOST + 1)}},
        {"shown": {f"{'x' * 44}{n}": True for n in range(MOST)}},
        {"age": -1},
        {"age": 121},
        {"age": 40.5},
        {"age": True},
    ],
)
def test_what_is_no_label_is_refused_and_not_repeated(wrong: dict[str, object]) -> None:
    with pytest.raises(LabelError) as refused:
        Labels(**wrong)  # type: ignore[arg-type]
    named = wrong.get("shown") or {}
    assert isinstance(named, dict)
    assert not any(len(name) > 1 and name in str(refused.value) for name in named)


def test_labels_show_nobody(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        enrol_labelled(vault, 1, HAT)
        one = Enrolment(person=person(2), templates=[labelled(2, HAT)], consent=consent(*AGREED))
        shown = f"{HAT!r} {HAT} {labelled(2, HAT)!r} {one!r}"
        assert not any(word in shown for word in ("hat", "beard", "=41"))
        assert not lies_in(quick_path, [b'{"age":41,"shown":{"beard"', b'"hat":true,"bear'])


# Consent.


def test_labels_lie_beside_the_template_whose_picture_they_are_of(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        enrol_labelled(vault, 1, HAT, None, BARE)
        by_feature = {one.feature.tobytes(): one.template for one in vault.held(person(1), TRUNK)}
        order = [by_feature[labelled(n, None).feature.tobytes()] for n in (1, 1001, 2001)]
        found = vault.labels.of([person(1)], now=NOW)
        assert [found.get(one) for one in order] == [HAT, None, BARE]
        assert told(vault, person(1)) == [HAT.table(), BARE.table()]
    with Vault(place(quick_path / "v")) as vault:
        assert vault.labels.of([person(1)], now=NOW) == found


def test_nobodys_labels_are_taken_without_their_consent(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        for purposes in (("verify",), ("training", "text")):
            with pytest.raises(ConsentError, match="agreed to `labels`"):
                vault.enrol(person(1), [labelled(1, HAT)], consent(*purposes), now=NOW)
        enrol(vault, [1])
        before = vault.generation
        with pytest.raises(ConsentError):
            vault.labels.put(person(1), HAT, now=NOW)
        with pytest.raises(ConsentError):
            vault.refresh(person(1), [labelled(5, HAT)], most=3, now=NOW)
        with pytest.raises(ConsentError):
            vault.add(person(1), labelled(5, HAT))
        for gone in (person(9), PersonId(b"")):
            for ask in (
                lambda gone=gone: vault.labels.put(gone, HAT, now=NOW),
                lambda gone=gone: vault.labels.take_away(gone),
            ):
                with pytest.raises(UnknownPersonError):
                    ask()
        assert vault.generation == before
        assert not vault._core.tables.select("labels")


def test_a_consent_that_ran_out_shows_no_labels_and_takes_none(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        who = enrol_labelled(vault, 1, HAT)
        assert vault.labels.of([who], now=LATER - 1)
        assert not vault.labels.of([who], now=LATER)
        with pytest.raises(ConsentError):
            vault.labels.put(who, BARE, now=LATER)


@pytest.mark.parametrize("end", ["withdrawn", "erased", "taken away", "forgotten"])
def test_what_ended_is_in_no_file_any_more(quick_path: Path, end: str) -> None:
    ends = {
        "withdrawn": lambda vault: vault.renew(person(1), consent("training"), now=NOW),
        "erased": lambda vault: vault.erase([person(1)], NOW),
        "taken away": lambda vault: vault.labels.take_away(person(1)),
        "forgotten": lambda vault: vault.forget_trunk(TRUNK),
    }
    with Vault.create(place(quick_path / "v")) as vault:
        for number in range(1, 30):
            enrol_labelled(vault, number, HAT, BARE)
            vault.refresh(person(number), [labelled(number, BARE, OTHER)], most=8, now=NOW)
        rows = vault._core.tables.select("labels", person(1))
        trunks = {row[1]: row[2].hex() for row in vault._core.tables.select("template", person(1))}
        kept = {row[1]: row[2] for row in rows if end == "forgotten" and trunks[row[1]] == OTHER}
        gone = [row[2] for row in rows if row[1] not in kept]
        assert len(gone) >= 2 and lies_in(quick_path, gone), "the scan would find what is there"
        others = told(vault, person(2))
        ends[end](vault)
        assert not lies_in(quick_path, gone)
        if end != "erased":
            assert len(told(vault, person(1))) == len(kept)
        assert (told(vault, person(2)) == others) == (end != "forgotten")
        vault.verify()
    assert not lies_in(quick_path, gone)


def test_a_withdrawal_writes_every_page_anew_and_nothing_else_does(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were moved leave copies in free space, which deleting alone does not reach."""
    rebuilt: list[int] = []
    rebuild = Tables.rebuild
    monkeypatch.setattr(Tables, "rebuild", lambda own: rebuilt.append(1) or rebuild(own))
    with Vault.create(place(quick_path / "v")) as vault:
        one, other = (enrol_labelled(vault, number, HAT, BARE) for number in (1, 2))
        enrol(vault, [3])
        vault.labels.put(one, BARE, now=NOW)
        vault.renew(one, consent("labels", "training"), now=NOW)
        vault.renew(person(3), consent("verify"), now=NOW)
        vault.labels.take_away(person(3))
        assert not rebuilt
        vault.labels.take_away(one)
        assert len(rebuilt) == 1
        vault.renew(other, consent("verify"), now=NOW)
        assert len(rebuilt) == 2


def test_labels_that_others_take_the_place_of_are_gone(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        who = enrol_labelled(vault, 1, HAT, None, BARE)
        old, generation = sealed_labels(vault, who), vault.generation
        vault.labels.put(who, BARE, now=NOW)
        assert told(vault, who) == [BARE.table()] * 3
        assert vault.generation == generation + 1
        assert not lies_in(quick_path, old)
        vault.labels.take_away(who)
        vault.labels.take_away(who)  # of whom nothing is said already
        assert vault.generation == generation + 2 and told(vault, who) == []


def test_labels_go_with_their_template_and_stay_with_the_person(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        who = enrol_labelled(vault, 1, HAT, BARE)
        vault.refresh(who, [labelled(5, None), labelled(6, HAT)], most=3, now=NOW)
        assert told(vault, who) == [BARE.table(), HAT.table()], "the oldest picture went"
        vault.rotate(NOW)
        vault.relabel(who, "another")
        vault.renew(who, consent("labels"), now=NOW)
        assert told(vault, who) == [BARE.table(), HAT.table()]
        [last] = [one for one in vault.held(who, TRUNK) if one.feature.tobytes() == _feature(6)]
        vault.remove(who, last.template)
        assert told(vault, who) == [BARE.table()]


def _feature(number: int) -> bytes:
    return labelled(number, None).feature.tobytes()


Step = tuple[str, int, Labels | None, bool]


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["enrol", "put", "renew", "refresh", "take", "erase", "reopen"]),
            st.integers(0, 2),
            drawn_labels,
            st.booleans(),
        ),
        max_size=12,
    )
)
@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_what_is_put_in_comes_out_for_as_long_as_it_is_agreed_to(
    quick_path: Path, steps: list[Step]
) -> None:
    """Against a model: by person, whether they agree, and what is said of each picture."""
    model: dict[int, tuple[bool, list[Labels | None]]] = {}
    named: dict[int, PersonId] = {}
    free, folder = iter(range(100, 200)), quick_path / os.urandom(8).hex()
    vault = Vault.create(place(folder))
    for kind, number, labels, agreed in steps:
        purposes = ("labels",) if agreed else ("training",)
        if kind == "enrol" and number not in model:
            named[number] = person(next(free))
            said = [labels, None] if agreed else [None, None]
            shown = [labelled(view, one) for view, one in enumerate(said)]
            vault.enrol(named[number], shown, consent(*purposes), now=NOW)
            model[number] = (agreed, said)
        elif kind == "reopen":
            vault.close()
            vault = Vault(place(folder))
        elif number in model:
            _change(vault, named[number], (kind, number, labels, agreed), model)
        for other, (willing, said) in model.items():
            found = list(vault.labels.of([named[other]], now=NOW).values())
            kept = [one for one in said if one is not None and willing]
            assert sorted(map(repr_of, found)) == sorted(map(repr_of, kept))
            assert told(vault, named[other]) == [one.table() for one in kept]
    vault.verify()
    vault.close()


def _change(
    vault: Vault, who: PersonId, step: Step, model: dict[int, tuple[bool, list[Labels | None]]]
) -> None:
    kind, number, labels, agreed = step
    willing, said = model[number]
    if kind == "renew":
        vault.renew(who, consent("labels" if agreed else "verify"), now=NOW)
        model[number] = (agreed, said if agreed else [None] * len(said))
    elif kind == "erase":
        vault.erase([who], NOW)
        del model[number]
    elif kind == "take":
        vault.labels.take_away(who)
        model[number] = (willing, [None] * len(said))
    elif kind == "put" and labels is not None:
        if willing:
            vault.labels.put(who, labels, now=NOW)
            model[number] = (willing, [labels] * len(said))
        else:
            with pytest.raises(ConsentError):
                vault.labels.put(who, labels, now=NOW)
    elif kind == "refresh":
        new = labels if willing else None
        vault.refresh(who, [labelled(len(said), new)], most=3, now=NOW)
        model[number] = (willing, [*said, new][-3:])


def repr_of(labels: Labels) -> str:
    return str(sorted(labels.table().items()))


def test_the_files_of_a_vault_with_labels_are_its_owners_alone(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        enrol_labelled(vault, 1, HAT)
    assert all(path.stat().st_mode & 0o077 == 0 for path in files(quick_path / "v"))
    with pytest.raises(TypeError):
        pickle.dumps(HAT)
