"""Trained on is who agreed to it before the run began, and has not left since."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.agent import mechanisms
from client.agent.participants import RunsPlace, VaultPeople
from client.agent.people import SitePeople
from client.policy import SitePolicy
from client.vault.consent import Consent
from client.vault.core import VaultPlace
from client.vault.identity import PersonId
from client.vault.labels import Labels
from client.vault.providers import FileKeyProvider
from client.vault.records import NewTemplate
from client.vault.store import Vault
from common.errors import NotReadyError, VaultError
from tests.fakes import TRUNK
from tests.small_labels import ALL_KINDS
from tests.small_site import RUN, D, Site, frame, mean_plan, noiseless, offer, request

OTHER = "0" * 64
DAY = 86400.0


@dataclass
class House:
    """A vault of people, and the runs they are in."""

    folder: Path
    now: float = 1000.0
    policy: SitePolicy = ALL_KINDS
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        provider = FileKeyProvider.create(self.folder / "key")
        place = VaultPlace(folder=self.folder / "vault", provider=provider, site="north")
        self.vault = Vault.create(place)

    @property
    def people(self) -> VaultPeople:
        return VaultPeople(
            RunsPlace(
                folder=self.folder / "runs",
                vault=self.vault,
                trunk=TRUNK,
                dim=D,
                clock=lambda: self.now,
                allows=self.policy.allows_label,
            )
        )

    def enrol(
        self,
        *purposes: str,
        days: float = 30.0,
        trunk: str = TRUNK,
        said: Sequence[Labels | None] = (None, None),
    ) -> PersonId:
        person = PersonId(next(self.ids).to_bytes(16, "big"))
        templates = [
            NewTemplate(trunk=trunk, feature=feature(person, picture), labels=labels)
            for picture, labels in enumerate(said)
        ]
        self.vault.enrol(person, templates, self.consent(*purposes, days=days), now=self.now)
        return person

    def consent(self, *purposes: str, days: float = 30.0) -> Consent:
        return Consent(
            purposes=frozenset(purposes),
            text_hash="a" * 64,
            given=self.now,
            expires=self.now + days * DAY,
        )


def feature(person: PersonId, picture: int) -> np.ndarray:
    rng = np.random.default_rng([*person, picture])
    return rng.normal(size=D).astype(np.float16)


def bags(people: SitePeople) -> list[list[list[float]]]:
    """Which pictures are in which bag; those of a bag in no order."""
    return [sorted(bag.tolist()) for bag in people.bags()]


def of(*persons: PersonId) -> list[list[list[float]]]:
    return [
        sorted(feature(p, i).astype(np.float32).tolist() for i in range(2)) for p in sorted(persons)
    ]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "house")
    yield made
    made.vault.close()


def test_only_those_whose_consent_covers_training_are_in_a_run_in_order_of_ids(
    house: House,
) -> None:
    first = house.enrol("training", "verify")
    house.enrol("verify", "identify")
    last = house.enrol("training")
    house.enrol("training", trunk=OTHER)  # agreed, and has no feature of this trunk
    house.people.begin(RUN)
    assert bags(house.people.of(RUN)) == of(first, last)


def test_nobody_comes_into_a_run_that_is_under_way(house: House) -> None:
    first, reader = house.enrol("training"), house.enrol("verify")
    house.people.begin(RUN)
    late = house.enrol("training")
    house.vault.renew(reader, house.consent("training"), now=house.now)
    house.people.begin(RUN)  # the charter is offered again
    assert bags(house.people.of(RUN)) == of(first)
    house.people.begin("the next")
    assert bags(house.people.of("the next")) == of(first, reader, late)


def test_an_erasure_and_a_withdrawal_take_effect_at_the_next_round(house: House) -> None:
    erased, withdrawn, stays = (house.enrol("training") for _ in range(3))
    house.people.begin(RUN)
    house.vault.erase([erased], house.now)
    assert bags(house.people.of(RUN)) == of(withdrawn, stays)
    house.vault.renew(withdrawn, house.consent("verify"), now=house.now)
    assert bags(house.people.of(RUN)) == of(stays)
    house.vault.erase([withdrawn, stays], house.now)
    assert bags(house.people.of(RUN)) == []


def test_who_is_erased_while_a_round_looks_is_left_out_and_nothing_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    erased, stays = house.enrol("training"), house.enrol("training")
    house.people.begin(RUN)
    agreed = house.vault.people(purpose="training", now=house.now)
    house.vault.erase([erased], house.now)
    monkeypatch.setattr(house.vault, "people", lambda **_: agreed)  # as it was a moment before
    assert bags(house.people.of(RUN)) == of(stays)
    house.people.begin("another")
    assert bags(house.people.of("another")) == of(stays)


def test_a_consent_that_runs_out_ends_its_part_to_the_second(house: House) -> None:
    person = house.enrol("training", days=1.0)
    house.people.begin(RUN)
    house.now += DAY - 1
    assert bags(house.people.of(RUN)) == of(person)
    house.now += 1
    assert bags(house.people.of(RUN)) == []


def test_a_run_that_never_began_has_nobody_and_says_so(house: House) -> None:
    house.enrol("training")
    with pytest.raises(NotReadyError, match="accepted again"):
        house.people.of(RUN)


def test_the_file_of_a_run_names_nobody_and_opens_for_no_other_run(house: House) -> None:
    persons = [house.enrol("training") for _ in range(3)]
    house.people.begin(RUN)
    [path] = (house.folder / "runs").iterdir()
    content = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(person in content or RUN.encode() in path.name.encode() for person in persons)
    house.people.begin("other")
    other = next(p for p in (house.folder / "runs").iterdir() if p != path)
    other.write_bytes(content)
    with pytest.raises(VaultError):
        house.people.of("other")
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(VaultError):
        house.people.of(RUN)


def test_nobody_can_be_printed_or_told_from_outside(house: House) -> None:
    house.enrol("training")
    house.people.begin(RUN)
    assert repr(house.people) == "VaultPeople(...)"
    assert repr(house.people.of(RUN)) == "SitePeople(...)"


# What a round releases.


def released(people: SitePeople) -> Any:
    """The sum of a round without its noise, so that every person shows."""
    current = noiseless(mean_plan()).rounds[0]
    terms = mechanisms.Terms(0.0, None, 5)  # type: ignore[arg-type]
    negatives = np.zeros((1, D), np.float32)
    return mechanisms.release(current, frame(), people, negatives, terms)["moments.mean.sum"]


CHANGES: dict[str, Callable[[House, PersonId], object]] = {
    "enrolled": lambda house, person: house.enrol("training"),
    "enrolled without training": lambda house, person: house.enrol("verify"),
    "agreed": lambda house, person: house.vault.renew(
        person, house.consent("training"), now=house.now
    ),
    "labelled": lambda house, person: (
        house.vault.renew(person, house.consent("training", "labels"), now=house.now),
        house.vault.labels.put(person, Labels(age=40), now=house.now),
    ),
    "erased": lambda house, person: house.vault.erase([person], house.now),
    "rotated": lambda house, person: house.vault.rotate(house.now),
}


@given(happens=st.lists(st.sampled_from(sorted(CHANGES)), max_size=5))
def test_what_a_round_releases_depends_on_nobody_outside_its_run(
    tmp_path_factory: pytest.TempPathFactory, happens: list[str]
) -> None:
    house = House(tmp_path_factory.mktemp("house"))
    with house.vault:
        for _ in range(3):
            house.enrol("training")
        house.people.begin(RUN)
        before = released(house.people.of(RUN))
        for what in happens:
            outsider = house.enrol("verify")
            CHANGES[what](house, outsider)
        np.testing.assert_array_equal(released(house.people.of(RUN)), before)


def test_one_person_less_moves_a_round_by_no_more_than_the_clip(house: House) -> None:
    persons = [house.enrol("training") for _ in range(4)]
    house.people.begin(RUN)
    before = released(house.people.of(RUN))
    for person in persons:
        house.vault.erase([person], house.now)
        after = released(house.people.of(RUN))
        assert np.linalg.norm(before - after) <= mean_plan().mechanisms[0].clip + 1e-6
        before = after
    np.testing.assert_array_equal(before, np.zeros_like(before))


def test_a_site_answers_from_its_vault_and_charges_alike_when_nobody_is_left(
    house: House, site: Site
) -> None:
    persons = [house.enrol("training") for _ in range(3)]
    site.people = house.people
    room = site.training()
    room.accept(offer(mean_plan()))
    assert len(list((house.folder / "runs").iterdir())) == 1
    house.vault.erase(persons, house.now)
    site.restart()
    left = site.training().train(RUN, 1, request(1))
    assert np.isfinite(left["moments.mean.sum"]).all()
    assert site.kinds() == ["accept", "reserve", "release"]


def test_a_run_without_its_people_is_refused_before_anything_is_charged(
    house: House, site: Site
) -> None:
    site.people = house.people
    site.training().accept(offer(mean_plan()))
    for path in (house.folder / "runs").iterdir():
        path.unlink()
    site.restart()
    with pytest.raises(NotReadyError):
        site.training().train(RUN, 1, request(1))
    assert site.kinds() == ["accept"]
