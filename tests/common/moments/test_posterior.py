"""What is believed of a camera's moments: every observation weighs what it can be trusted."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from client.privacy.moments import private_sum
from common.models.tail import Tail
from common.moments import posterior
from common.moments.packing import pack_symmetric, unpack_symmetric
from common.moments.posterior import Belief, Pool, prior_scatter, shared_parts
from common.moments.reference import PublicViews, Reference, make_reference
from simulations.entropy import SeededEntropy

World = Callable[..., PublicViews]


@pytest.fixture
def known(identity: Tail, world: World) -> Reference:
    return make_reference(identity, world(planted=0.5))


def pool(known: Reference, scatter: np.ndarray, people: float = 1e7, noise: float = 0.0) -> Pool:
    """What ``people`` would release together if every one of them had this scatter."""
    return Pool(
        mean=np.full(6, 0.1) * people,
        scatter=pack_symmetric(scatter) * people,
        people=people,
        mean_noise=noise,
        scatter_noise=noise,
    )


def turned(known: Reference) -> np.ndarray:
    """A scatter with the trace of the public one, unlike it otherwise."""
    matrix = np.diag(known.within[::-1]).copy()
    matrix[0, 1] = matrix[1, 0] = 0.3 * known.within.min()
    return matrix


def test_precisions_weigh_prior_and_observation() -> None:
    prior = Belief(np.array([0.0, 4.0]), np.array([1.0, 2.0]))
    after = prior.after(np.array([2.0, 1.0]), np.array([1.0, 4.0]))
    np.testing.assert_allclose(after.value, [1.0, 3.0])  # (0 + 2) / 2; (4 / 2 + 1 / 4) / (3 / 4)
    np.testing.assert_allclose(after.variance, [1 / 2, 4 / 3])
    np.testing.assert_allclose(prior.moved(np.array([1.0, 0.0])).variance, [2, 2])


def test_order_of_observations_does_not_matter() -> None:
    prior = Belief(np.array([1.0]), np.array([3.0]))
    first, second = (np.array([2.0]), np.array([0.5])), (np.array([-1.0]), np.array([2.0]))
    one, other = prior.after(*first).after(*second), prior.after(*second).after(*first)
    np.testing.assert_allclose(one.value, other.value)
    np.testing.assert_allclose(one.variance, other.variance)


def test_without_noise_and_with_many_people_the_release_is_believed(known: Reference) -> None:
    seen = turned(known)
    part = shared_parts(known, {"door": pool(known, seen)}, {"door": 2})["door"]
    np.testing.assert_allclose(part.scatter.value, seen, atol=1e-3 * known.within.max())
    assert part.mean is not None
    np.testing.assert_allclose(part.mean.value, 0.1)
    assert (part.mean.variance < 1e-6).all()


def test_under_endless_noise_the_prior_stays(known: Reference) -> None:
    pools = {n: pool(known, turned(known), noise=1e30) for n in ("door", "hall")}
    part = shared_parts(known, pools, {"door": 2, "hall": 2})["door"]
    np.testing.assert_allclose(part.scatter.value, np.diag(known.within), atol=1e-6)


def test_prior_is_the_public_scatter_with_the_doubt_of_an_unseen_camera(known: Reference) -> None:
    prior = prior_scatter(known)
    np.testing.assert_array_equal(prior.value, np.diag(known.within))
    np.testing.assert_allclose(
        prior.variance, 2 * posterior.WANDER * known.wander * known.scale, rtol=1e-9
    )
    assert (prior_scatter(replace(known, wander=0.0)).variance > 0).all()


def test_what_clipping_took_from_every_scatter_is_given_back(known: Reference) -> None:
    seen = turned(known)
    whole = shared_parts(known, {"door": pool(known, seen)}, {"door": 2})["door"]
    clipped = shared_parts(known, {"door": pool(known, 0.3 * seen)}, {"door": 2})["door"]
    np.testing.assert_allclose(clipped.scatter.value, whole.scatter.value, atol=1e-6)


def test_a_lone_site_does_not_listen_to_its_own_release(known: Reference) -> None:
    calm, odd = pool(known, np.diag(known.within)), pool(known, turned(known))
    alone = {"door": 1, "hall": 3}
    one = shared_parts(known, {"door": calm, "hall": calm}, alone)["door"]
    other = shared_parts(known, {"door": odd, "hall": calm}, alone)["door"]
    assert one.mean is None
    assert other.mean is None
    np.testing.assert_allclose(one.scatter.value, other.scatter.value, atol=1e-6)
    heard = shared_parts(known, {"door": odd, "hall": calm}, {"door": 2, "hall": 3})["door"]
    assert np.abs(heard.scatter.value - one.scatter.value).max() > 0.1 * known.within.max()


def test_other_camera_types_move_the_belief_but_never_as_much_as_the_own(known: Reference) -> None:
    calm, odd = np.diag(known.within), turned(known)
    pools = {"door": pool(known, calm), "hall": pool(known, odd), "yard": pool(known, odd)}
    sites = dict.fromkeys(pools, 2)
    door = shared_parts(known, pools, sites)["door"].scatter.value
    lone = shared_parts(known, pools, {**sites, "door": 1})["door"].scatter.value
    assert np.abs(door - calm).max() < np.abs(lone - calm).max()
    assert np.abs(lone - calm).max() > 0.05 * known.within.max()


def test_noise_variance_on_and_off_the_diagonal_is_what_the_release_carries(
    known: Reference,
) -> None:
    sigma, clip, people, sites, repeats = 0.8, known.radius, 10, 3, 1500
    rows = np.zeros((people, 21))
    rows[:] = pack_symmetric(np.diag(known.within) * clip / (2 * np.linalg.norm(known.within)))
    drawn = np.stack(
        [
            unpack_symmetric(
                sum(
                    private_sum(rows, clip, sigma, SeededEntropy(repeat, site))
                    for site in range(sites)
                )
            )
            for repeat in range(repeats)
        ]
    ) / (people * sites)
    empirical = drawn.var(axis=0)
    observed = posterior._observed(  # the variance that the estimator works with
        known,
        [
            Pool(
                mean=np.zeros(6),
                scatter=rows.sum(axis=0),
                people=people * sites,
                mean_noise=0.0,
                scatter_noise=sites * (sigma * clip) ** 2,
            )
        ],
        1.0,
    )
    noise = observed.variance - known.spread * known.scale / (people * sites)
    np.testing.assert_allclose(empirical, noise, rtol=0.2)
    assert np.diag(empirical).mean() == pytest.approx(
        2 * empirical[~np.eye(6, dtype=bool)].mean(), rel=0.1
    )
