"""What a site learns alone: limited, unseen, and a tail that tells its own kind of people apart."""

from collections.abc import Callable, Sequence

import numpy as np

from common.metrics.verification import tar_at_far
from common.models.tail import Tail
from common.moments.own import own_part, own_tail
from common.moments.packing import pack_symmetric
from common.moments.reference import MEAN_RADIUS, Reference

Bags = Callable[..., list[np.ndarray]]


def test_own_part_is_limited_as_a_release_would_be(known: Reference, bags: Bags) -> None:
    own = own_part(known, bags(5, size=1e4))
    assert np.linalg.norm(own.mean) <= MEAN_RADIUS + 1e-9
    assert np.linalg.norm(pack_symmetric(own.scatter)) <= known.radius * (1 + 1e-9)
    small = own_part(known, bags(5, size=1e-3))
    assert np.linalg.norm(pack_symmetric(small.scatter)) < 1e-3 * known.radius


def test_own_part_counts_people_and_those_with_two_pictures(known: Reference, bags: Bags) -> None:
    mixed: Sequence[np.ndarray] = [*bags(4), *bags(3, pictures=1)]
    own = own_part(known, mixed)
    assert (own.people, own.paired) == (7, 4)
    np.testing.assert_allclose(own.scatter, own_part(known, bags(4)).scatter)


def test_own_part_shows_nothing_of_itself(known: Reference, bags: Bags) -> None:
    text = repr(own_part(known, bags(3)))
    assert "people=" not in text
    assert "array" not in text


def misled(people: int, seed: int) -> list[np.ndarray]:
    """People far from the origin, told apart by three axes of six; the others vary within them."""
    rng = np.random.default_rng(seed)
    centre = np.zeros((people, 1, 6))
    centre[..., :3] = 0.5 * rng.standard_normal((people, 1, 3))
    noise = rng.standard_normal((people, 4, 6)) * [0.2, 0.2, 0.2, 0.6, 0.6, 0.6]
    return list((5 + centre + noise).astype(np.float32))


def tar(tail: Tail, people: Sequence[np.ndarray]) -> float:
    """TAR at FAR 0.1, centred on ``people``."""
    points = tail.embed(np.concatenate(people))
    person = np.repeat(np.arange(len(people)), [len(bag) for bag in people])
    return tar_at_far(points - points.mean(axis=0), person, (0.1,))[0.1] or 0.0


def test_own_tail_knows_strangers_at_the_same_camera_better(identity: Tail) -> None:
    tuned = own_tail(identity, misled(40, 1), np.random.default_rng(0))
    strangers = misled(60, 2)
    assert tar(tuned, strangers) > tar(identity, strangers) + 0.05


def test_own_tail_leaves_the_mean_of_own_people_where_it_was(identity: Tail) -> None:
    start = Tail(identity.weight, np.arange(6, dtype=np.float32))
    own = misled(10, 1)
    tuned = own_tail(start, own, np.random.default_rng(0))
    centre = np.mean([bag.mean(axis=0) for bag in own], axis=0, dtype=np.float64)[None]
    before, after = (t.embed(centre.astype(np.float32)) for t in (start, tuned))
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_own_tail_of_people_who_can_teach_nothing_is_the_tail(identity: Tail, bags: Bags) -> None:
    for few in ([], misled(1, 1), bags(5, pictures=1), [*bags(5, pictures=1), *misled(1, 1)]):
        assert own_tail(identity, few, np.random.default_rng(0)) is identity


def test_own_tail_is_the_same_for_the_same_seed(identity: Tail, bags: Bags) -> None:
    one, again, other = (
        own_tail(identity, bags(6), np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert one.hash == again.hash != other.hash
