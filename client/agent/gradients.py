"""A gradient round: DP-SGD over the site's people on the linear tail, through Opacus.

What leaves is how far the tail moved over the round's steps, divided by the learning rate: one
step gives the noised sum over rate * people. Pictures, losses and sample sizes stay.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from client.agent.people import SitePeople
from client.privacy.adversary import FeatureAdversary, Hardened
from client.privacy.entropy import Entropy
from client.privacy.objective import OBJECTIVES, Objective
from client.privacy.sampler import choose, poisson
from client.privacy.step import private_step, sgd
from common.errors import PlanError
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.names import GRADIENT, SHIFT
from common.privacy.plan import GradientMechanism

if TYPE_CHECKING:
    from client.agent.mechanisms import Terms

Arrays = dict[str, NDArray[Any]]


def gradient_update(
    mechanism: GradientMechanism,
    shared: Mapping[str, NDArray[Any]],
    people: SitePeople,
    negatives: NDArray[np.float32],
    terms: "Terms",
) -> Arrays:
    """Start minus end of the tail over ``steps_per_round`` private steps / learning rate.

    Public negatives are moved by the shift the centre sends, which comes from an earlier release:
    negatives that look like another camera teach the tail to tell cameras apart. Sums are divided
    by rate * the plan's people, a public constant, never by how many took part. The proximal pull
    comes outside clip and noise: it is a function of noised steps and public constants alone.
    """
    module = Tail(shared[WEIGHT], shared[BIAS]).module()
    rate = mechanism.learning_rate / (mechanism.rate * terms.people)
    optimizer = sgd(
        module, rate=rate, sigma=terms.sigma, clip=mechanism.clip, entropy=terms.entropy
    )
    for _ in range(mechanism.steps_per_round):
        public = _some(negatives + shared[SHIFT], mechanism.negatives, terms.entropy)
        objective = _objective(mechanism, module, public)
        sampled = poisson(len(people), mechanism.rate, terms.entropy)
        bags = [_views(people.bag(i), mechanism.views, terms.entropy) for i in sampled]
        pull = _pull(module, shared, mechanism)
        private_step(module, objective, bags, optimizer)
        with torch.no_grad():
            for p, back in pull:
                p.sub_(back)
    after = {WEIGHT: module.weight, BIAS: module.bias}
    return {
        GRADIENT + name: np.asarray(
            (shared[name] - value.detach().numpy()) / mechanism.learning_rate, np.float32
        )
        for name, value in after.items()
    }


def gradient_rows(
    mechanism: GradientMechanism,
    shared: Mapping[str, NDArray[Any]],
    people: SitePeople,
    negatives: NDArray[np.float32],
    entropy: Entropy,
) -> Iterator[NDArray[np.float32]]:
    """One row (1, K) a sampled person: the gradient over weight and bias, not yet clipped.

    What one private step looks at, for a plan of one step a round, which is all that distributed
    noise allows; there is nothing to pull back then. Guarantee: a row depends on that person's own
    pictures, public features and the shared tail only.
    """
    module = Tail(shared[WEIGHT], shared[BIAS]).module()
    public = _some(negatives + shared[SHIFT], mechanism.negatives, entropy)
    objective = _objective(mechanism, module, public)
    for number in poisson(len(people), mechanism.rate, entropy):
        bag = _views(people.bag(number), mechanism.views, entropy)
        loss, trained = objective(module, bag), [module.weight, module.bias]
        parts = torch.autograd.grad(loss, trained, materialize_grads=True)
        yield torch.cat([part.flatten() for part in parts]).numpy()[None]


def _objective(
    mechanism: GradientMechanism, module: torch.nn.Module, public: torch.Tensor
) -> Objective:
    """The plan's loss of one person; ``PlanError`` for what this agent cannot do."""
    if mechanism.objective not in OBJECTIVES:
        raise PlanError(f"no objective {mechanism.objective!r}")
    plain = OBJECTIVES[mechanism.objective](module, public, mechanism.scale)
    if not mechanism.adversarial_steps:
        return plain
    if mechanism.adversarial_on != "features":
        raise PlanError("an agent holds features only: it has no crops to attack")
    steps, eps = mechanism.adversarial_steps, mechanism.adversarial_eps
    return Hardened(plain, FeatureAdversary(steps=steps, eps=eps))


def _pull(
    module: torch.nn.Linear, shared: Mapping[str, NDArray[Any]], mechanism: GradientMechanism
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """How far each parameter goes back towards the start of the round: FedProx's step."""
    share = mechanism.learning_rate * mechanism.proximal
    if share == 0:
        return []
    start = {WEIGHT: module.weight, BIAS: module.bias}
    return [(p, share * (p.detach() - torch.from_numpy(shared[n]))) for n, p in start.items()]


def _some(negatives: NDArray[np.float32], most: int, entropy: Entropy) -> torch.Tensor:
    return torch.from_numpy(negatives[choose(len(negatives), most, entropy)])


def _views(bag: NDArray[np.float32], most: int, entropy: Entropy) -> torch.Tensor:
    return torch.from_numpy(bag[choose(len(bag), most, entropy)])
