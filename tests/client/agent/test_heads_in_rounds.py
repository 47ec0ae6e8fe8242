"""Rounds that train heads with the tail: one clip a person, sealed labels, nothing else leaves."""

import dataclasses
import logging
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from client.agent.gradients import gradient_rows, gradient_update
from client.agent.labels import SiteLabels, labels_of
from client.agent.mechanisms import Terms
from client.agent.people import SitePeople
from client.policy import AutoAccept, SitePolicy
from common.errors import CharterError, MascaronError, PlanError, WireError
from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.heads.head import PictureLabels
from common.heads.planned import planned_head
from common.models.tail import BIAS, WEIGHT
from common.moments.names import SHIFT
from common.privacy.heads import CENTRE, SCALE, HeadTerms
from common.privacy.plan import GradientMechanism
from tests.client.agent.test_gradients import PEOPLE, Counting, Still, negatives
from tests.small_site import (
    HEADS,
    RUN,
    D,
    K,
    Site,
    features,
    head_plan,
    heads,
    initial,
    labels,
    offer,
    tail,
)

ARRAYS = [name for terms in HEADS for name in terms.arrays]
KINDS = ("attributes", "age")


def mechanism(**changes: Any) -> GradientMechanism:
    told = {"sigma": 0.0, "clip": 0.7, "rate": 0.5, "rounds": 1, "views": 8, "negatives": 8}
    return GradientMechanism(
        **{**told, "learning_rate": 0.3, "scale": 4.0, "heads": HEADS} | changes
    )


def update(told: GradientMechanism, people: SitePeople, **shared: Any) -> dict[str, np.ndarray]:
    terms = Terms(told.sigma, Still(), PEOPLE)
    asked = {**tail(), **heads(), **shared}
    return gradient_update(told, asked, people, negatives(), terms)


def flat(left: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in left.values()])


def some(people: int, pictures: int = 3, seed: int = 1) -> SitePeople:
    held, person = features(people, pictures, seed), np.repeat(np.arange(people), pictures)
    return SitePeople(held, person, labels(people, pictures, seed))


@given(
    pictures=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    identity=st.sampled_from([0.0, 1.0, 3.0]),
    attacked=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=12)
def test_a_person_moves_tail_and_heads_by_at_most_the_clip(
    pictures: list[int], identity: float, attacked: bool, seed: int
) -> None:
    person = np.repeat(np.arange(len(pictures)), pictures)
    held, said = features(len(person), 1, seed), labels(len(person), 1, seed)
    hard = {"adversarial_steps": 2, "adversarial_eps": 0.8} if attacked and identity else {}
    told = mechanism(identity=identity, **hard)
    rest = person > 0
    whole = flat(update(told, SitePeople(held, person, said)))
    without = flat(
        update(told, SitePeople(held[rest], person[rest], said.at(np.flatnonzero(rest))))
    )
    moved = float(np.linalg.norm(whole - without)) * told.rate * PEOPLE
    assert moved <= told.clip * (1 + 1e-4)


def test_heads_without_labels_leave_the_tail_what_it_was_and_get_nothing() -> None:
    held, person = features(4, 3), np.repeat(np.arange(4), 3)
    plain = update(mechanism(heads=()), SitePeople(held, person))
    for said in (None, SiteLabels(), labels(4, 3)):
        blank = said if said is None or said.age is None else _blank(said)
        left = update(mechanism(), SitePeople(held, person, blank))
        assert all(not left[f"gradient.{name}"].any() for name in ARRAYS)
        for name in (WEIGHT, BIAS):
            np.testing.assert_array_equal(left[f"gradient.{name}"], plain[f"gradient.{name}"])


def _blank(said: SiteLabels) -> SiteLabels:
    assert said.attributes is not None
    assert said.age is not None
    return dataclasses.replace(
        said,
        attributes=np.full_like(said.attributes, -1),
        age=np.full_like(said.age, np.nan),
        gender=None,
    )


def test_labels_stay_with_their_pictures_whatever_the_order_and_the_views() -> None:
    held, said = features(6, 1), labels(6, 1)
    order = np.array([3, 0, 5, 1, 4, 2])
    person = np.array([0, 0, 0, 1, 1, 1])
    one = update(mechanism(), SitePeople(held, person, said))
    mixed = SitePeople(held[order], person[order], said.at(order))
    np.testing.assert_allclose(flat(update(mechanism(), mixed)), flat(one), atol=1e-6)
    first = np.array([0, 1, 3, 4])
    few = SitePeople(held[first], person[first], said.at(first))
    cut = update(mechanism(views=2), SitePeople(held, person, said))
    np.testing.assert_array_equal(flat(cut), flat(update(mechanism(), few)))


def test_rows_of_a_secure_sum_are_those_of_the_step() -> None:
    told, people = mechanism(clip=1e6), some(3)
    asked = {**tail(), **heads()}
    terms = Terms(0.0, Still(), PEOPLE)
    rows = np.concatenate(list(gradient_rows(told, asked, people, negatives(), terms)))
    assert rows.shape == (3, K * D + K + sum(heads()[name].size for name in ARRAYS))
    total = rows.sum(0) / (told.rate * PEOPLE)
    np.testing.assert_allclose(total, flat(update(told, people)), atol=1e-5)


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("rate", [1e-3, 1.0, 50.0])
def test_a_heads_own_rate_moves_nobodys_share_of_what_one_step_releases(
    rate: float, noise: float
) -> None:
    """Rows of a secure sum are the same to the bit, and a release by itself to rounding."""
    given = tuple(dataclasses.replace(head, learning_rate=rate) for head in HEADS)
    plain, quick = mechanism(sigma=noise), mechanism(sigma=noise, heads=given)
    asked, people = {**tail(), **heads()}, some(4)
    terms = Terms(0.0, Still(), PEOPLE)
    rows = [list(gradient_rows(m, asked, people, negatives(), terms)) for m in (plain, quick)]
    for one, other in zip(*rows, strict=True):
        np.testing.assert_array_equal(one, other)
    left = [
        gradient_update(m, asked, people, negatives(), Terms(noise, Counting(), PEOPLE))
        for m in (plain, quick)
    ]
    np.testing.assert_allclose(flat(left[0]), flat(left[1]), atol=2e-4, rtol=2e-4)


def test_several_steps_move_each_part_by_its_own_rate() -> None:
    rate = {name: 0.3 for name in (WEIGHT, BIAS)} | dict.fromkeys(HEADS[0].arrays, 2.0)
    rate |= dict.fromkeys(HEADS[1].arrays, 0.7)
    given = tuple(dataclasses.replace(h, learning_rate=rate[h.arrays[0]]) for h in HEADS)
    told, people = mechanism(heads=given, proximal=0.25), some(3)
    at, start, released = {**tail(), **heads()}, {**tail(), **heads()}, dict.fromkeys(rate, 0.0)
    for _ in range(2):
        step = gradient_update(told, at, people, negatives(), Terms(0.0, Still(), PEOPLE))
        pull = {n: 0.25 * (at[n] - start[n]) for n in rate}
        for n in rate:
            released[n] = released[n] + step[f"gradient.{n}"] + pull[n]
        at |= {n: (start[n] - rate[n] * released[n]).astype(np.float32) for n in rate}
    twice = dataclasses.replace(told, steps_per_round=2)
    left = gradient_update(twice, start, people, negatives(), Terms(0.0, Still(), PEOPLE))
    for n in rate:
        np.testing.assert_allclose(left[f"gradient.{n}"], released[n], atol=1e-4)


def test_heads_alone_release_no_tail_and_the_shift_of_negatives_is_not_theirs() -> None:
    told, people = mechanism(identity=0.0, clip=1e6), some(3)
    left = update(told, people)
    assert list(left) == [f"gradient.{name}" for name in ARRAYS]
    move = np.linspace(-1, 1, D).astype(np.float32)
    moved = update(told, people, **{SHIFT: move})
    np.testing.assert_array_equal(flat(moved), flat(left))
    by_hand = np.concatenate([_mean_gradient(people, i) for i in range(3)])
    np.testing.assert_allclose(
        flat(left) * told.rate * PEOPLE, by_hand.reshape(3, -1).sum(0), atol=1e-5
    )


def _mean_gradient(people: SitePeople, number: int) -> np.ndarray:
    """Each head alone, by autograd, in float64."""
    said = people.labels(number)
    assert said is not None
    parts = []
    seen = torch.tensor((people.bag(number) - heads()[CENTRE]) * heads()[SCALE])
    for terms in HEADS:
        arrays = {n: torch.tensor(heads()[n], requires_grad=True) for n in terms.arrays}
        named, age = said.named(("beard", "hat")), said.age
        assert named is not None
        assert age is not None
        told = PictureLabels(attributes=torch.from_numpy(named), age=torch.from_numpy(age))
        loss = terms.weight * planned_head(terms).loss(arrays, seen, told)
        parts += [g.ravel().numpy() for g in torch.autograd.grad(loss, list(arrays.values()))]
    return np.concatenate(parts)


# --- a whole agent ------------------------------------------------------------------------------


@pytest.fixture
def willing(site: Site) -> Site:
    """A site whose operator switches heads on."""
    site.policy = SitePolicy(
        epsilon=8.0, delta=1e-4, heads=KINDS, auto_accept=AutoAccept(epsilon=50.0, rounds=10_000)
    )
    site.labels = labels(5, 3)
    return site


def begin(site: Site, plan: Any, **changes: Any) -> Any:
    room = site.training()
    room.accept(offer(plan, arrays={**initial(), **heads(), **changes}))
    return room


def test_a_round_releases_exactly_what_the_plan_trains_and_says_nothing_of_labels(
    willing: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    room = begin(willing, head_plan())
    left = room.train(RUN, 1, {**tail(), **heads()})
    assert {n: (a.shape, a.dtype.name) for n, a in left.items()} == {
        f"gradient.{name}": (array.shape, "float32")
        for name, array in {**tail(), **heads()}.items()
        if name in (WEIGHT, BIAS, *ARRAYS)
    }
    assert not any(word in caplog.text for word in ("beard", "hat", "earrings", "years"))
    assert repr(willing.labels).startswith("<") or "beard" not in repr(willing.labels)
    with pytest.raises(TypeError):
        pickle.dumps(willing.labels)


def test_heads_that_no_operator_switched_on_are_refused_before_anything(site: Site) -> None:
    site.labels = labels(5, 3)
    with pytest.raises(PlanError, match="switches none on"):
        begin(site, head_plan())
    assert site.kinds() == []


GENDER = HeadTerms(kind="gender", weight=1.0, shown=(5,), absent=(5,))


@pytest.mark.parametrize(
    ("given", "denied", "said"),
    [
        ((GENDER,), (), "gender learns"),
        (HEADS, ("hat",), r"policy\.toml denies"),
        (HEADS, ("age",), r"policy\.toml denies"),
        ((dataclasses.replace(HEADS[0], names=("beard", "skin_tone")),), (), "about race"),
        ((dataclasses.replace(HEADS[0], names=("beard", "headscarf")),), (), "about religion"),
        ((dataclasses.replace(HEADS[0], names=("beard", "female")),), (), "gender is no attribute"),
    ],
)
def test_forbidden_and_denied_labels_refuse_a_charter_before_round_1(
    willing: Site, given: Any, denied: tuple[str, ...], said: str
) -> None:
    willing.policy = dataclasses.replace(willing.policy, denied_attributes=denied)
    with pytest.raises(PlanError, match=said):
        begin(willing, head_plan(heads=given))
    assert willing.kinds() == []


@pytest.mark.parametrize(
    "spoilt",
    [
        {"heads.age.bias": np.zeros(3, np.float32)},
        {"heads.attributes.weight": np.zeros((3, D), np.float32)},
        {"heads.attributes.bias": np.zeros(2)},
        {SCALE: np.ones(D + 1, np.float32)},
    ],
)
def test_a_charter_that_begins_with_other_heads_than_its_plan_is_refused(
    willing: Site, spoilt: dict[str, np.ndarray]
) -> None:
    with pytest.raises(CharterError):
        begin(willing, head_plan(), **spoilt)
    assert willing.kinds() == []


def test_a_charter_without_the_arrays_of_its_heads_is_refused(willing: Site) -> None:
    with pytest.raises(CharterError, match="begins without heads"):
        willing.training().accept(offer(head_plan()))


@pytest.mark.parametrize(
    ("spoilt", "error"),
    [
        ({"heads.age.bias": None}, WireError),
        ({"heads.gender.bias": np.zeros(1, np.float32)}, WireError),
        ({"heads.age.bias": np.zeros(3, np.float32)}, WireError),
        ({"heads.age.bias": np.zeros(12)}, WireError),
        ({"heads.attributes.weight": np.full((2, D), np.nan, np.float32)}, WireError),
        ({"heads.attributes.weight": np.zeros((2, D), np.float32)}, CharterError),
        ({SCALE: np.ones(D, np.float32)}, CharterError),
        ({CENTRE: np.ones(D, np.float32)}, CharterError),
    ],
)
def test_other_arrays_than_the_plans_heads_are_refused_unpaid(
    willing: Site, spoilt: dict[str, Any], error: type[MascaronError]
) -> None:
    room, before = begin(willing, head_plan()), len(willing.kinds())
    asked = {**tail(), **heads(), **spoilt}
    asked = {name: array for name, array in asked.items() if array is not None}
    with pytest.raises(error):
        room.train(RUN, 1, asked)
    assert len(willing.kinds()) == before


def test_later_rounds_take_other_heads_but_never_another_scaling_or_an_untrained_tail(
    willing: Site,
) -> None:
    room = begin(willing, head_plan(identity=0.0))
    room.train(RUN, 1, {**tail(), **heads()})
    moved = {**tail(), **heads(), "heads.age.bias": np.ones(12, np.float32)}
    with pytest.raises(CharterError, match="scaling"):
        room.train(RUN, 2, {**moved, SCALE: np.ones(D, np.float32)})
    with pytest.raises(CharterError, match="tail"):
        room.train(RUN, 2, {**moved, BIAS: np.zeros(K, np.float32)})
    assert set(room.train(RUN, 2, moved)) == {f"gradient.{name}" for name in ARRAYS}


# --- labels of a folder -------------------------------------------------------------------------


def faces(**said: Any) -> FaceSet:
    crops = StoredCrops(np.zeros((2, 112, 112, 3), np.uint8))
    return FaceSet(source=crops, person=np.array([0, 1]), names=("a", "b"), **said)


def test_labels_of_a_folder_keep_gender_apart_and_descriptions_out() -> None:
    assert labels_of(faces()) is None
    assert labels_of(faces(description=("x", "y"))) is None
    table = np.array([[1, 0, -1, 1], [0, -1, 1, 1]], np.int8)
    names = ("hat", "female", "beard", "headscarf")
    said = labels_of(faces(attributes=table, attribute_names=names, age=np.ones(2, "f4")))
    assert said is not None
    assert said.names == ("hat", "beard")
    named = said.named(("beard", "female", "hat"))
    assert named is not None
    assert named.tolist() == [[-1, -1, 1], [1, -1, 0]]
    assert said.gender is not None
    assert said.gender.tolist() == [0, -1]
