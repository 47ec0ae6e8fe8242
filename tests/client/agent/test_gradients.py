"""A gradient round is the textbook step, and nobody moves it by more than the clip."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from client.agent.gradients import gradient_rows, gradient_update
from client.agent.mechanisms import Terms
from client.agent.people import SitePeople
from common.errors import PlanError
from common.models.tail import BIAS, WEIGHT
from common.moments.names import SHIFT
from common.privacy.plan import GradientMechanism
from tests.small_site import D, K, features, tail

PEOPLE = 7  # declared, whatever there are


class Still:
    """Everybody is sampled, every picture in order, no noise."""

    kind = "still"

    def uniform(self, n: int) -> np.ndarray:
        return np.zeros(n)

    def normal(self, n: int) -> np.ndarray:
        return np.zeros(n)


class Counting(Still):
    """Unit noise whose draws are counted."""

    def __init__(self) -> None:
        self.drawn: list[int] = []

    def normal(self, n: int) -> np.ndarray:
        self.drawn.append(n)
        return np.ones(n)


def mechanism(**changes: Any) -> GradientMechanism:
    told = {"sigma": 0.0, "clip": 0.7, "rate": 0.5, "rounds": 1, "views": 8, "negatives": 8}
    return GradientMechanism(**{**told, "learning_rate": 0.3, "scale": 4.0, **changes})


def update(
    told: GradientMechanism, held: np.ndarray, person: np.ndarray, entropy: Any = None
) -> dict[str, np.ndarray]:
    terms = Terms(told.sigma, entropy or Still(), PEOPLE)
    return gradient_update(told, tail(), SitePeople(held, person), negatives(), terms)


def negatives() -> np.ndarray:
    return features(8, 1, seed=5)


def flat(left: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([left[f"gradient.{name}"].ravel() for name in (WEIGHT, BIAS)])


def by_hand(told: GradientMechanism, held: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Written out from the paper: contrast, one gradient a person, norm, factor, sum, step."""
    weight, bias = (torch.tensor(tail()[n], dtype=torch.float64) for n in (WEIGHT, BIAS))
    start = torch.cat([weight.ravel(), bias])
    point = start.clone()
    for _ in range(told.steps_per_round):
        total = torch.zeros_like(point)
        for number in np.unique(person):
            bag = torch.tensor(held[person == number], dtype=torch.float64)
            at = point.clone().requires_grad_(True)
            loss = contrast(at, bag, told.scale)
            if len(bag) < 2:
                continue
            (gradient,) = torch.autograd.grad(loss, at)
            total += gradient * min(1.0, told.clip / float(gradient.norm()))
        step = total / (told.rate * PEOPLE) + told.proximal * (point - start)
        point = point - told.learning_rate * step
    return np.asarray((start - point) / told.learning_rate)


def contrast(point: torch.Tensor, bag: torch.Tensor, scale: float) -> torch.Tensor:
    weight, bias = point[: K * D].view(K, D), point[K * D :]
    own = F.normalize(bag @ weight.T + bias)
    other = F.normalize(torch.tensor(negatives(), dtype=torch.float64) @ weight.T + bias)
    losses = [
        F.softplus(torch.logsumexp(scale * other @ own[a], 0) - scale * own[a] @ own[p])
        for a in range(len(bag))
        for p in range(len(bag))
        if a != p
    ]
    return torch.stack(losses).mean() if losses else torch.zeros(())


@pytest.mark.parametrize("proximal", [0.0, 2.5])
@pytest.mark.parametrize("steps", [1, 3])
def test_a_round_without_noise_is_the_step_worked_out_by_hand(steps: int, proximal: float) -> None:
    held, person = features(9, 1), np.array([0, 0, 0, 1, 1, 2, 3, 3, 3])
    told = mechanism(steps_per_round=steps, proximal=proximal)
    np.testing.assert_allclose(
        flat(update(told, held, person)), by_hand(told, held, person), atol=1e-5
    )


def test_the_learning_rate_and_the_number_who_took_part_do_not_scale_what_leaves() -> None:
    held, person = features(4, 2), np.repeat(np.arange(4), 2)
    slow, fast = (flat(update(mechanism(learning_rate=r), held, person)) for r in (0.1, 1.0))
    np.testing.assert_allclose(slow, fast, atol=1e-5)
    rare, common = (flat(update(mechanism(rate=r), held, person)) for r in (0.25, 0.5))
    np.testing.assert_allclose(rare, 2 * common, atol=1e-5)  # Still samples all at any rate


@given(
    pictures=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    broken=st.booleans(),
    objective=st.sampled_from(["contrast", "compact"]),
    seed=st.integers(0, 99),
)
def test_a_person_moves_a_step_by_at_most_the_clip(
    pictures: list[int], broken: bool, objective: str, seed: int
) -> None:
    person = np.repeat(np.arange(len(pictures)), pictures)
    held = features(len(person), 1, seed)
    if broken:
        held[0, 0] = np.nan  # of the person who will leave
    told = mechanism(objective=objective)
    whole = flat(update(told, held, person))
    without = flat(update(told, held[person > 0], person[person > 0]))
    moved = float(np.linalg.norm(whole - without)) * told.rate * PEOPLE
    assert moved <= told.clip * (1 + 1e-4)
    assert not broken or moved <= 1e-5


HARD = {"adversarial_steps": 3, "adversarial_eps": 0.8}


@given(
    pictures=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    broken=st.booleans(),
    objective=st.sampled_from(["contrast", "compact"]),
    seed=st.integers(0, 99),
)
def test_a_person_moves_a_step_against_attacks_by_at_most_the_clip(
    pictures: list[int], broken: bool, objective: str, seed: int
) -> None:
    person = np.repeat(np.arange(len(pictures)), pictures)
    held = features(len(person), 1, seed)
    if broken:
        held[0, 0] = np.nan  # of the person who will leave
    told = mechanism(objective=objective, **HARD)
    whole = flat(update(told, held, person))
    without = flat(update(told, held[person > 0], person[person > 0]))
    moved = float(np.linalg.norm(whole - without)) * told.rate * PEOPLE
    assert moved <= told.clip * (1 + 1e-4)
    assert not broken or moved <= 1e-5


def test_an_attack_changes_what_is_learned_and_draws_nothing_of_its_own() -> None:
    held, person = features(6, 1), np.repeat(np.arange(3), 2)
    entropy = Counting()
    attacked = flat(update(mechanism(**HARD), held, person, entropy))
    plain = flat(update(mechanism(), held, person, Counting()))
    assert not np.allclose(attacked, plain, atol=1e-3)
    assert entropy.drawn == []  # no noise is asked for, and the attack wants no chance


def test_an_agent_without_crops_does_not_fall_back_to_features() -> None:
    held, person = features(4, 1), np.repeat(np.arange(2), 2)
    crops = mechanism(adversarial_steps=1, adversarial_eps=0.01, adversarial_on="crops")
    with pytest.raises(PlanError, match="no crops"):
        update(crops, held, person)


def test_rows_of_a_secure_sum_are_those_of_the_step() -> None:
    held, person = features(6, 1), np.repeat(np.arange(3), 2)
    told = mechanism(clip=1e6, **HARD)
    terms = Terms(0.0, Still(), PEOPLE)
    rows = gradient_rows(told, tail(), SitePeople(held, person), negatives(), terms)
    total = np.concatenate(list(rows)).sum(0) / (told.rate * PEOPLE)
    np.testing.assert_allclose(total, flat(update(told, held, person)), atol=1e-5)


@given(people=st.integers(0, 6), pictures=st.integers(1, 3))
def test_how_many_people_there_are_shows_in_no_shape(people: int, pictures: int) -> None:
    held, person = features(people, pictures), np.repeat(np.arange(people), pictures)
    left = update(mechanism(sigma=1.0), held, person)
    assert {n: (a.shape, a.dtype.name) for n, a in left.items()} == {
        "gradient.tail.weight": ((K, D), "float32"),
        "gradient.tail.bias": ((K,), "float32"),
    }


@pytest.mark.parametrize("people", [0, 1, 5])
def test_every_step_is_noised_alike_however_many_took_part(people: int) -> None:
    told, entropy = mechanism(sigma=1.5, steps_per_round=2), Counting()
    held, person = features(people, 1), np.arange(people)  # single pictures have no gradient
    left = flat(update(told, held, person, entropy))
    assert entropy.drawn == [K * D, K] * 2
    deviation = told.sigma * told.clip / (told.rate * PEOPLE)
    np.testing.assert_allclose(left, 2 * deviation, rtol=1e-4)


def test_a_proximal_term_pulls_at_nothing_in_a_single_step() -> None:
    held, person = features(6, 1), np.repeat(np.arange(3), 2)
    without = flat(update(mechanism(sigma=1.0), held, person, Counting()))
    pulled = flat(update(mechanism(sigma=1.0, proximal=3.0), held, person, Counting()))
    np.testing.assert_array_equal(pulled, without)


def test_a_proximal_term_pulls_back_the_noised_tail_and_is_not_noised_itself() -> None:
    """With nobody there, a round of two steps is noise, noise pulled back, and noise again."""
    held, person = features(0, 1), np.arange(0)
    told, entropy = mechanism(sigma=1.5, steps_per_round=2, proximal=2.0), Counting()
    left = flat(update(told, held, person, entropy))
    deviation = told.sigma * told.clip / (told.rate * PEOPLE)
    np.testing.assert_allclose(
        left, (2 - told.learning_rate * told.proximal) * deviation, rtol=1e-4
    )
    assert entropy.drawn == [K * D, K] * 2


def test_at_most_the_plans_views_of_a_person_are_looked_at() -> None:
    held, person = features(6, 1), np.zeros(6, np.int64)
    few = flat(update(mechanism(views=2), held, person))
    np.testing.assert_array_equal(few, flat(update(mechanism(), held[:2], person[:2])))


def test_negatives_are_moved_by_the_shift_before_they_are_looked_at() -> None:
    held, person = features(4, 3), np.repeat(np.arange(4), 3)
    terms = Terms(0.0, Still(), PEOPLE)
    told = mechanism(rate=1.0)
    move = np.linspace(-1, 1, D).astype(np.float32)
    people = SitePeople(held, person)
    moved = gradient_update(told, {**tail(), SHIFT: move}, people, negatives(), terms)
    by_data = gradient_update(told, tail(), people, negatives() + move, terms)
    np.testing.assert_array_equal(flat(moved), flat(by_data))
    assert not np.array_equal(
        flat(moved), flat(gradient_update(told, tail(), people, negatives(), terms))
    )
