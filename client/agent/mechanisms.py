"""One round of a plan, performed on the site's people: what is asked, what may leave, what does."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from client.agent.people import SitePeople
from client.privacy.contributions import contributions
from client.privacy.entropy import Entropy
from client.privacy.evaluation import evaluations
from client.privacy.gate import Entry, release_bound
from client.privacy.integer_noise import private_steps, steps_of_blocks
from client.privacy.moments import private_sum
from common.errors import CharterError, PlanError, WireError
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.names import (
    FRAME_BIAS,
    FRAME_WEIGHT,
    GRADIENT,
    SHIFT,
    THRESHOLD,
    evaluation_sum,
    sum_name,
    sum_size,
)
from common.privacy.cells import cells_of
from common.privacy.heads import CENTRE, SCALE, WORDS
from common.privacy.plan import (
    EvaluationMechanism,
    GradientMechanism,
    Mechanism,
    MomentMechanism,
    PrivacyPlan,
    Round,
)
from common.secagg.fixed_point import FixedPoint
from common.trust.charter import shape_of

if TYPE_CHECKING:
    from common.text.encoding import TextEncoder

Arrays = dict[str, NDArray[Any]]

MOST_PEOPLE = 1_000_000  # no site has more: only there to bound what may leave
MOST_COORDINATES = 2048


@dataclass(frozen=True, slots=True)
class Terms:
    """How one round is noised: this site's multiplier, the source of its draws, and the public
    number of people that stands in wherever a count would tell something."""

    sigma: float
    entropy: Entropy
    people: int
    encoder: "TextEncoder | None" = None  # of sentences, where heads may learn from some


@dataclass(frozen=True, slots=True)
class SumTerms:
    """The same for a part of a secure sum: its noise is whole numbers on a grid."""

    grid: FixedPoint
    entropy: Entropy
    encoder: "TextEncoder | None" = None


def check_request(current: Round, arrays: Mapping[str, NDArray[Any]], features: int) -> Arrays:
    """The shared arrays of a request for ``current``; ``WireError`` for anything malformed.

    ``features`` is D of this site's trunk. For an evaluation they are a tail and thresholds: the
    guarantee holds for any values of theirs, so that these checks only keep nonsense from being
    paid for.
    """
    weight, bias, *more = _names(current.mechanism)
    wanted = _shapes_of_heads(current.mechanism, features)
    if set(arrays) != {weight, bias, *more, *wanted}:
        raise WireError(f"expected exactly {', '.join((weight, bias, *more, *wanted))}")
    matrix, offset = arrays[weight], arrays[bias]
    if matrix.ndim != 2 or matrix.shape[1] != features or offset.shape != matrix.shape[:1]:
        raise WireError(f"{weight} or {bias} has the wrong shape")
    if not 1 <= len(matrix) <= MOST_COORDINATES:
        raise WireError(f"{weight} has too many rows")
    for name, array in arrays.items():
        if array.dtype != np.float32:
            raise WireError(f"{name} must be float32")
        if not np.isfinite(array).all():
            raise WireError(f"{name} is not finite")
    mechanism = current.mechanism
    length = mechanism.thresholds if isinstance(mechanism, EvaluationMechanism) else features
    if THRESHOLD in more and not (np.abs(arrays[THRESHOLD]) <= 1).all():
        raise WireError(f"{THRESHOLD} must be cosines, in [-1, 1]")
    if any(arrays[name].shape != (length,) for name in more):
        raise WireError(f"{', '.join(more)} has the wrong shape")
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise WireError(f"{name} has the wrong shape")
    return {name: arrays[name] for name in (weight, bias, *more, *wanted)}


def check_initial(
    plan: PrivacyPlan,
    initial: Mapping[str, str],
    features: int,
    encoder: "TextEncoder | None" = None,
) -> None:
    """Raises unless the charter begins with the arrays of all heads that ``plan`` trains.

    ``initial`` are digests by name. ``CharterError`` for one that lacks or is of another shape or
    type; ``PlanError`` for a head that nobody makes, such as one of what is forbidden, or of words
    in the space of another ``encoder`` than this site has.
    """
    check_words(plan, encoder)
    for mechanism in plan.mechanisms:
        for name, shape in _shapes_of_heads(mechanism, features).items():
            if not initial.get(name, "").startswith("float32["):
                raise CharterError(f"the charter begins without {name}, which its plan trains")
            if shape_of(initial[name]) != shape:
                raise CharterError(f"{name} of the charter has another shape than its plan says")


def check_words(plan: PrivacyPlan, encoder: "TextEncoder | None") -> None:
    """Raises ``PlanError`` unless this site's ``encoder`` is that of all words heads of ``plan``,
    and the prompts it has are theirs."""
    words = [head for head in plan.heads if head.kind == WORDS]
    if not words:
        return
    from common.heads.planned import planned_head  # torch, only where used

    if encoder is None:
        raise PlanError("a words head learns from sentences, and this site has no text encoder")
    for head in words:
        planned_head(head, encoder)


def entries(current: Round, shared: Arrays, people: int) -> tuple[Entry, ...]:
    """What the gate lets out after ``current``: nothing else can leave.

    ``people`` is the plan's public number, which divides sums of gradients.
    """
    mechanism = current.mechanism
    if not isinstance(mechanism, GradientMechanism):
        name, size = _sum_of(mechanism, _shapes(shared))
        bound = release_bound(MOST_PEOPLE, mechanism.clip, mechanism.sigma, size)
        return (Entry(name, (size,), "float32", bound),)
    trained = {name: shared[name] for name in mechanism.trained}
    size = sum(array.size for array in trained.values())
    bound = release_bound(MOST_PEOPLE, mechanism.clip, mechanism.sigma, size)
    bound *= mechanism.steps_per_round / (mechanism.rate * people)
    return tuple(
        Entry(GRADIENT + name, array.shape, "float32", bound) for name, array in trained.items()
    )


def size_of(current: Round, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many coordinates ``current`` releases; ``shapes`` are those of the charter's arrays."""
    mechanism = current.mechanism
    try:
        if isinstance(mechanism, GradientMechanism):
            return sum(math.prod(shapes[name]) for name in mechanism.trained)
        return _sum_of(mechanism, shapes)[1]
    except (KeyError, IndexError):
        raise PlanError("the charter's initial arrays do not say how large a release is") from None


def steps(
    current: Round,
    shared: Arrays,
    people: SitePeople,
    negatives: NDArray[np.float32],
    terms: SumTerms,
) -> NDArray[np.int64]:
    """This site's part of one round's secure sum, (K,) in steps of the grid, with its share of the
    noise. The ledger must have been charged for it, and it may leave under masks only.

    Gradients are summed as they are: the centre divides the sum by public constants.
    """
    mechanism = current.mechanism
    if isinstance(mechanism, GradientMechanism):
        from client.agent.gradients import gradient_rows

        size = sum(shared[name].size for name in mechanism.trained)
        blocks = gradient_rows(mechanism, shared, people, negatives, terms)
        return steps_of_blocks(blocks, size, terms.grid, terms.entropy)
    rows = _rows(mechanism, shared, people, negatives)
    return private_steps(rows, terms.grid, terms.entropy)


def release(
    current: Round,
    shared: Arrays,
    people: SitePeople,
    negatives: NDArray[np.float32],
    terms: Terms,
) -> Arrays:
    """The noised arrays of one round. The ledger must have been charged for it.

    Guarantee: a Gaussian mechanism of L2 sensitivity ``clip`` and deviation ``terms.sigma * clip``
    on one contribution a person.
    """
    mechanism = current.mechanism
    if isinstance(mechanism, GradientMechanism):
        from client.agent.gradients import gradient_update  # torch and Opacus, only where used

        return gradient_update(mechanism, shared, people, negatives, terms)
    rows = _rows(mechanism, shared, people, negatives)
    total = private_sum(rows, mechanism.clip, terms.sigma, terms.entropy)
    return {_sum_of(mechanism, _shapes(shared))[0]: total.astype(np.float32)}


def _rows(
    mechanism: MomentMechanism | EvaluationMechanism,
    shared: Arrays,
    people: SitePeople,
    public: NDArray[np.float32],
) -> NDArray[np.float64]:
    """One row a person, made of that person's pictures and of what is public; not yet clipped."""
    if isinstance(mechanism, EvaluationMechanism):
        tail = Tail(shared[WEIGHT], shared[BIAS])
        return evaluations(people.bags(), public, tail, shared[THRESHOLD])
    weight, bias = shared[FRAME_WEIGHT], shared[FRAME_BIAS]
    return contributions(mechanism.kind, people.bags(), weight, bias)


def _sum_of(
    mechanism: MomentMechanism | EvaluationMechanism, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[str, int]:
    """Name and length of the sum that ``mechanism`` releases; a moment's is in the frame."""
    if isinstance(mechanism, EvaluationMechanism):
        return evaluation_sum(mechanism.name), cells_of(mechanism.thresholds)
    return sum_name(mechanism.name), sum_size(mechanism.kind, shapes[FRAME_BIAS][0])


def _shapes(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}


def _shapes_of_heads(mechanism: Mechanism, features: int) -> dict[str, tuple[int, ...]]:
    """Of all shared arrays that ``mechanism`` needs for its heads, in their order; often none."""
    if not isinstance(mechanism, GradientMechanism) or not mechanism.heads:
        return {}
    from common.heads.planned import planned_shapes  # torch, only where used

    return {**planned_shapes(mechanism.heads, features), CENTRE: (features,), SCALE: (features,)}


def _names(mechanism: Mechanism) -> tuple[str, ...]:
    if isinstance(mechanism, MomentMechanism):
        return FRAME_WEIGHT, FRAME_BIAS
    own = SHIFT if isinstance(mechanism, GradientMechanism) else THRESHOLD
    return WEIGHT, BIAS, own
