"""What public people say before any private person is asked: coordinates, prior and radii.

Moments are released in the *frame*: the public tail's embedding, centred on public people, scaled
to mean norm 1 and turned so that the public within-person scatter is diagonal. Public pictures are
seen through many simulated cameras, each fixed and narrow; how a scatter differs from camera to
camera and from person to person is the prior for cameras nobody has seen. All of it is public.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.errors import DataSetError
from common.models.tail import Tail

Doubles = NDArray[np.float64]

RIDGE = 3.0  # of the whitening, in mean eigenvalues
OWN_SHRINK = 10.0  # people whose mean counts as much as not centring at all
MEAN_SHARE = 0.5  # of the moments' budget, spent on the mean; the rest goes to the scatter
MEAN_RADIUS = 1.2  # clip norm of a person's mean; embeddings have mean norm 1
SCATTER_QUANTILE = 0.25  # clip norm of the scatter: this quantile of the public people's norms
LEAST = 1e-9  # floor of an eigenvalue


@dataclass(frozen=True, eq=False)
class Reference:
    """Public statistics in the frame's K coordinates.

    ``uncentred`` is the point the public tail itself is centred on. A person's scatter varies
    around its camera's with variance ``spread`` * l_i l_j in entry (i, j), l = ``within``; a
    camera's varies around the average camera's with ``wander`` * l_i l_j. ``variance`` is the
    total variance of a person's mean around the camera's mean. The larger ``ridge``, the less a
    scatter is trusted; the smaller ``own_shrink``, the more a site's own mean is: both are chosen
    for each trunk, on public or development people.
    """

    frame: Tail  # feature (D,) -> coordinates (K,)
    uncentred: Doubles  # (K,)
    within: Doubles  # (K,) falling eigenvalues of the within-person scatter
    spread: float
    wander: float
    radius: float  # clip norm of the scatter
    variance: float
    ridge: float = RIDGE
    own_shrink: float = OWN_SHRINK

    @property
    def scale(self) -> Doubles:
        """l_i l_j, (K, K): what the variances of scatter entries are multiples of."""
        return np.outer(self.within, self.within)


@dataclass(frozen=True, kw_only=True, eq=False)
class PublicViews:
    """Features of public people: ``randomised`` (N, V, D) views, each through its own camera, and
    ``simulated`` (N, U, D) views, view u of picture i through fixed camera ``camera[i, u]``."""

    randomised: NDArray[np.float32]
    simulated: NDArray[np.float32]
    camera: NDArray[np.int64]  # (N, U)
    person: NDArray[np.int64]  # (N,)


def make_reference(tail: Tail, views: PublicViews) -> Reference:
    """The reference of ``tail`` on public people.

    ``DataSetError`` if no public person has two pictures behind the same simulated camera.
    """
    centre = tail.embed(views.randomised.reshape(-1, tail.feature_dim)).astype(np.float64)
    middle = centre.mean(axis=0)
    scale = float(np.linalg.norm(centre - middle, axis=1).mean())
    bags = _bags(tail, views, scale)
    within = np.mean([_scatter(bag) for bag in bags if len(bag) > 1], axis=0)
    values, basis = np.linalg.eigh(within)
    values, basis = np.maximum(values[::-1], LEAST), basis[:, ::-1]
    frame = tail.then(basis.T / scale, -basis.T @ middle / scale)
    means = np.stack([bag.mean(axis=0) for bag in bags])
    pairs = _camera_numbers(views)
    spread, wander, norms = _variation(bags, pairs, basis, values)
    return Reference(
        frame=frame,
        uncentred=-basis.T @ middle / scale,
        within=values,
        spread=spread,
        wander=wander,
        radius=float(np.quantile(norms, SCATTER_QUANTILE)),
        variance=float(np.square(means).sum(axis=1).mean()),
    )


def retuned(reference: Reference, tail: Tail, trained: Tail) -> Reference:
    """``reference`` of ``tail`` with ``trained`` in its place, in the same coordinates.

    Good while ``trained`` is close: the priors are those of ``tail``.
    """
    matrix = reference.frame.weight @ np.linalg.pinv(tail.weight.astype(np.float64))
    offset = reference.frame.bias - matrix @ tail.bias
    return replace(reference, frame=trained.then(matrix, offset))


def _bags(tail: Tail, views: PublicViews, scale: float) -> list[Doubles]:
    """Scaled embeddings of each person behind each simulated camera, centred per camera."""
    features = views.simulated.reshape(-1, tail.feature_dim)
    points = tail.embed(features).astype(np.float64) / scale
    camera = views.camera.reshape(-1)
    for number in np.unique(camera):
        points[camera == number] -= points[camera == number].mean(axis=0)
    order, bounds = _groups(views)
    bags = np.split(points[order], bounds)
    if not any(len(bag) > 1 for bag in bags):
        raise DataSetError("no public person has two pictures behind one simulated camera")
    return bags


def _groups(views: PublicViews) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    person = np.repeat(np.unique(views.person, return_inverse=True)[1], views.camera.shape[1])
    camera = views.camera.reshape(-1)
    order = np.lexsort((person, camera))
    key = camera[order] * (person.max() + 1) + person[order]
    return order, np.flatnonzero(np.diff(key)) + 1


def _camera_numbers(views: PublicViews) -> NDArray[np.int64]:
    order, bounds = _groups(views)
    camera = views.camera.reshape(-1)[order]
    return camera[np.r_[0, bounds]]


def _variation(
    bags: list[Doubles], camera: NDArray[np.int64], basis: Doubles, values: Doubles
) -> tuple[float, float, list[float]]:
    """``spread``, ``wander`` and the Frobenius norms of the public people's scatters."""
    size = len(values)
    total, square = np.zeros((size, size)), np.zeros((size, size))
    sums = {number: np.zeros((size, size)) for number in np.unique(camera).tolist()}
    counts = dict.fromkeys(sums, 0)
    norms = []
    for bag, number in zip(bags, camera.tolist(), strict=True):
        if len(bag) > 1:
            scatter = _scatter(bag @ basis)
            norms.append(float(np.linalg.norm(scatter)))
            total += scatter
            square += scatter * scatter
            sums[number] += scatter
            counts[number] += 1
    average, mass = total / len(norms), float(values.sum()) ** 2
    spread = float((square / len(norms) - average**2).sum() / mass)
    moves = [
        float(np.square(sums[n] * np.trace(average) / np.trace(sums[n]) - average).sum()) / mass
        - spread / counts[n]
        for n in sums
        if counts[n]
    ]
    return spread, max(float(np.mean(moves)), 0.0), norms


def _scatter(points: Doubles) -> Doubles:
    centred = points - points.mean(axis=0)
    return np.asarray(centred.T @ centred / len(points))
