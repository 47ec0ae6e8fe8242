"""From moments to a tail: centre on the camera, whiten what varies within people.

The last step happens at the site, with the own part on top of what is shared. Without any shared
part it is the baseline every private arm must beat.
"""

import numpy as np

from common.models.tail import Tail
from common.moments.own import LEAST, OwnPart
from common.moments.posterior import Belief, SharedPart, prior_scatter
from common.moments.reference import Doubles, Reference


def site_tail(reference: Reference, own: OwnPart, shared: SharedPart | None) -> Tail:
    """The tail a site matches with: feature (D,) -> (K,), compared by cosine.

    Without a shared part this is the local baseline: the same estimator on own people alone.
    ``own`` was computed on ``reference``, or on ``retuned`` of it by the site's own tail.
    """
    belief = prior_scatter(reference) if shared is None else shared.scatter
    if own.paired:
        level = reference.within.sum() / max(float(np.trace(own.scatter)), LEAST)
        variance = reference.spread * reference.scale / own.paired
        belief = belief.after(own.scatter * level, variance)
    matrix = whitening(belief.value, reference.ridge)
    return own.frame.then(matrix, -matrix @ _centre(reference, own, shared))


def whitening(scatter: Doubles, ridge: float) -> Doubles:
    """(S + ``ridge`` * mean eigenvalue)^(-1/2), (K, K) symmetric.

    Within-class covariance normalisation (Hatch et al. 2006), kept from overreaching by a ridge.
    """
    values, vectors = np.linalg.eigh((scatter + scatter.T) / 2)
    values = np.maximum(values, 0)
    return np.asarray((vectors * (values + ridge * values.mean() + LEAST) ** -0.5) @ vectors.T)


def _centre(reference: Reference, own: OwnPart, shared: SharedPart | None) -> Doubles:
    """Where the site's people lie: not centred, unless its camera type or own people say more."""
    size = len(own.mean)
    person = np.full(size, reference.variance / size)  # of one person's mean
    belief = Belief(reference.uncentred, person / reference.own_shrink)
    if shared is not None and shared.mean is not None:
        belief = belief.after(shared.mean.value, shared.mean.variance)
    if own.people:
        belief = belief.after(own.mean, person / own.people)
    return belief.value
