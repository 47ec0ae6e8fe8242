"""Words are learnt of who agreed to training, labels and text, and of nobody else in the vault."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from client.agent.labelled import put_in_words, site_labels
from client.agent.labels import SiteLabels, labels_of
from client.agent.participants import VaultPeople
from client.agent.people import SitePeople
from client.agent.sentences import Speech
from client.policy import SitePolicy
from client.vault.identity import PersonId
from client.vault.labels import Labels
from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.text.grammar import sentence
from tests.client.agent.test_participants import House, feature
from tests.small_heads import Letters
from tests.small_site import RUN

ALL = ("training", "labels", "text")
SAID = (Labels(shown={"hat": True, "beard": False}, age=40), Labels(shown={"glasses": True}))
KINDS = ("attributes", "age", "words")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "house")
    made.policy = SitePolicy(epsilon=8.0, delta=1e-4, heads=KINDS)
    yield made
    made.vault.close()


def speaking(house: House, *denied: str) -> VaultPeople:
    speech = Speech(encoder=Letters(), denied=denied)
    return VaultPeople(dataclasses.replace(house.people._place, speech=speech))


def spoken(people: SitePeople) -> dict[bytes, list[float]]:
    """The row of each picture of which something is said in words."""
    found = {}
    for index in range(len(people)):
        said = people.labels(index)
        if said is None or said.words is None:
            continue
        for row, one in zip(said.words, people.bag(index), strict=True):
            if np.isfinite(row).all():
                found[one.astype(np.float16).tobytes()] = row.tolist()
    return found


def of(person: PersonId, *texts: str) -> dict[bytes, list[float]]:
    rows = Letters().encode(texts)
    return {feature(person, n).tobytes(): row.tolist() for n, row in enumerate(rows)}


TEXTS = sentence({"hat": True}, 40), sentence({"glasses": True})


def test_words_are_of_those_who_agreed_to_text_as_well(house: House) -> None:
    told = house.enrol(*ALL, said=SAID)
    house.enrol("training", "labels", said=SAID)
    house.enrol("training", "text")
    house.enrol("labels", "text", said=SAID)
    people = speaking(house)
    people.begin(RUN)
    assert spoken(people.of(RUN)) == of(told, *TEXTS)
    silent = house.people.of(RUN)  # without speech labels are labels alone
    assert [silent.labels(n).words for n in range(2)] == [None, None]  # type: ignore[union-attr]


def test_a_withdrawal_of_text_ends_words_and_who_agrees_later_waits_for_the_next_run(
    house: House,
) -> None:
    leaves, comes = house.enrol(*ALL, said=SAID), house.enrol("training", "labels", said=SAID)
    people = speaking(house)
    people.begin(RUN)
    house.vault.renew(leaves, house.consent("training", "labels"), now=house.now)
    house.vault.renew(comes, house.consent(*ALL), now=house.now)
    assert spoken(people.of(RUN)) == {}
    people.begin("the next")
    assert spoken(people.of("the next")) == of(comes, *TEXTS)


def test_words_hold_nothing_that_the_operator_denies_or_switched_off(house: House) -> None:
    person = house.enrol(*ALL, said=SAID)
    people = speaking(house, "Wearing_Hat")
    people.begin(RUN)
    assert spoken(people.of(RUN)) == of(person, sentence({}, 40), TEXTS[1])
    house.policy = dataclasses.replace(house.policy, heads=("words", "age"))
    [row] = spoken(speaking(house).of(RUN)).values()
    assert [row] == list(of(person, sentence({}, 40)).values())


TOLD = ({"glasses": True, "hat": False, "female": True}, {"hat": True, "female": False})
YEARS = (40, 71)


def of_a_folder(policy: SitePolicy, speech: Speech, *descriptions: str) -> SiteLabels | None:
    """What TOLD and YEARS come to where they stand in a labels.csv."""
    columns = ("glasses", "hat", "female")
    cells = [[int(one[name]) if name in one else -1 for name in columns] for one in TOLD]
    faces = FaceSet(
        source=StoredCrops(np.zeros((2, 112, 112, 3), np.uint8)),
        person=np.arange(2),
        names=("a", "b"),
        attributes=np.array(cells, np.int8),
        attribute_names=columns,
        age=np.array(YEARS, np.float32),
        description=descriptions or None,
    )
    return labels_of(faces, speech, policy.allows_label)


@pytest.mark.parametrize("denied", [(), ("age",), ("Wearing_Hat",)])
@pytest.mark.parametrize(
    "kinds",
    [
        ("words",),
        ("age", "words"),
        ("attributes", "words"),
        ("attributes", "age", "words"),
        ("gender", "words"),
    ],
)
def test_of_a_folder_the_same_is_learnt_and_put_in_words_as_of_the_vault(
    kinds: tuple[str, ...], denied: tuple[str, ...]
) -> None:
    policy = SitePolicy(epsilon=8.0, delta=1e-4, heads=kinds, denied_attributes=denied)
    speech = Speech(encoder=Letters(), denied=denied)
    kept = [Labels(shown=dict(shown), age=age) for shown, age in zip(TOLD, YEARS, strict=True)]
    vault = site_labels(kept, policy.allows_label)
    if vault is not None:
        vault = put_in_words(vault, np.ones(2, bool), speech)
    folder = of_a_folder(policy, speech)
    if vault is None or folder is None:
        assert (vault, folder) == (None, None)
        return
    assert sorted(folder.names) == sorted(vault.names)
    for name in ("age", "gender", "words"):
        np.testing.assert_array_equal(getattr(folder, name), getattr(vault, name))
    np.testing.assert_array_equal(folder.named(vault.names), vault.named(vault.names))


def test_words_alone_learn_from_descriptions_and_from_no_label() -> None:
    policy = SitePolicy(epsilon=8.0, delta=1e-4, heads=("words",))
    speech = Speech(encoder=Letters())
    assert of_a_folder(policy, speech) is None
    said = of_a_folder(policy, speech, "", "with glasses")
    assert said is not None and said.words is not None
    assert (said.names, said.attributes, said.age, said.gender) == ((), None, None, None)
    assert np.isnan(said.words[0]).all()
    np.testing.assert_array_equal(said.words[1], Letters().encode([TEXTS[1]])[0])
