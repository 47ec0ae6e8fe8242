"""What could be learned without any privacy: better than nothing learned, and centred by camera."""

import numpy as np
import pytest

from common.models.tail import Tail
from simulations.upper import OWN_SHRINK, together

People = list[list[np.ndarray]]  # by site, by person: (k, DIM)

DIM = 6
TYPES = ["a", "a", "b"]


def start() -> Tail:
    return Tail(np.eye(4, DIM, dtype=np.float32), np.zeros(4, np.float32))


def world(people: int = 4, pictures: int = 3) -> People:
    rng = np.random.default_rng(1)
    shift = {"a": 0.0, "b": 7.0}
    return [
        [
            (
                rng.standard_normal(DIM) + 0.2 * rng.standard_normal((pictures, DIM)) + shift[t]
            ).astype(np.float32)
            for _ in range(people)
        ]
        for t in TYPES
    ]


def centre(tail: Tail) -> np.ndarray:
    """The feature-space point that ``tail`` sends to 0, as far as its rows can tell."""
    weight = tail.weight.astype(np.float64)
    return -np.linalg.pinv(weight) @ tail.bias


def mean(bags: list[np.ndarray]) -> np.ndarray:
    return np.mean([bag.mean(axis=0) for bag in bags], axis=0)


def tails_of(people: People, own: People, seed: int = 0) -> list[Tail]:
    pooled = together(start(), TYPES, people, np.random.default_rng(seed))
    return [pooled.at(name, bags, None) for name, bags in zip(TYPES, own, strict=True)]


def test_sites_share_the_matrix_and_centre_on_their_camera_and_own_people() -> None:
    bags = world()
    tails = tails_of(bags, bags)
    for tail in tails:
        np.testing.assert_array_equal(tail.weight, tails[0].weight)
    pooled = mean([*bags[0], *bags[1]])
    share = 4 / (4 + OWN_SHRINK + 8)
    expected = share * mean(bags[0]) + (1 - share) * pooled
    weight = tails[0].weight.astype(np.float64)
    np.testing.assert_allclose(weight @ expected, -tails[0].bias, rtol=1e-3, atol=1e-3)
    assert np.linalg.norm(centre(tails[2])) > 3 * np.linalg.norm(centre(tails[0]))


def test_it_depends_on_the_seed_only() -> None:
    bags = world()
    one, again, other = (tails_of(bags, bags, seed)[0].hash for seed in (0, 0, 1))
    assert one == again != other


@pytest.mark.parametrize("people", ["nobody with two pictures", "one with two pictures"])
def test_too_few_to_contrast_leaves_the_matrix_as_it_was(people: str) -> None:
    single = world(pictures=1)
    if people == "one with two pictures":
        single[0][0] = np.repeat(single[0][0], 2, axis=0)
    tails = tails_of(single, single)
    for tail in tails:
        np.testing.assert_array_equal(tail.weight, start().weight)


def test_panel_of_few_still_centres_every_site_on_all_its_own_people() -> None:
    bags = world(people=6)
    panel = [site[:1] for site in bags]
    tails = tails_of(panel, bags)
    weight = tails[2].weight.astype(np.float64)
    share = 6 / (6 + OWN_SHRINK + 1)
    expected = share * mean(bags[2]) + (1 - share) * mean(panel[2])
    np.testing.assert_allclose(weight @ expected, -tails[2].bias, rtol=1e-3, atol=1e-3)


def test_a_site_may_go_on_from_the_pooled_tail_on_its_own_people() -> None:
    bags = world()
    pooled = together(start(), TYPES, bags, np.random.default_rng(0))
    for name, own in zip(TYPES, bags, strict=True):
        before = pooled.at(name, own, None)
        after = pooled.at(name, own, np.random.default_rng(1))
        assert not np.array_equal(before.weight, after.weight)
        share = 4 / (4 + OWN_SHRINK + pooled.people[name])
        expected = share * mean(own) + (1 - share) * pooled.means[name]
        np.testing.assert_allclose(after.weight @ expected, -after.bias, rtol=1e-3, atol=1e-3)
