"""A gradient round: DP-SGD over the site's people on tail and heads at once, through Opacus.

What leaves is how far each array moved over the round's steps, divided by its learning rate: one
step gives the noised sum over rate * people, whatever that rate is. Pictures, labels, losses and
sample sizes stay.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from client.agent.labels import SiteLabels
from client.agent.people import SitePeople
from client.privacy.adversary import FeatureAdversary, Hardened
from client.privacy.entropy import Entropy
from client.privacy.joint import Joint, Person, Reading, Trained
from client.privacy.objective import OBJECTIVES, Objective
from client.privacy.sampler import choose, poisson
from client.privacy.step import PersonDPOptimizer, private_step
from common.errors import PlanError
from common.heads.head import PictureLabels
from common.heads.planned import planned_head
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.names import GRADIENT, SHIFT
from common.privacy.heads import CENTRE, GENDER, SCALE, WORDS
from common.privacy.plan import GradientMechanism
from common.text.encoding import TextEncoder

if TYPE_CHECKING:
    from client.agent.mechanisms import SumTerms, Terms

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False, slots=True)
class Given:
    """What a step compares with besides shared arrays: ``public`` (M, D) features of strangers,
    and the site's text encoder, in whose space the prompts lie."""

    public: torch.Tensor
    encoder: TextEncoder | None


def gradient_update(
    mechanism: GradientMechanism,
    shared: Mapping[str, NDArray[Any]],
    people: SitePeople,
    negatives: NDArray[np.float32],
    terms: "Terms",
) -> Arrays:
    """Start minus end of what is trained over ``steps_per_round`` private steps / learning rate.

    Public negatives are moved by the shift the centre sends, which comes from an earlier release:
    negatives that look like another camera teach the tail to tell cameras apart. Sums are divided
    by rate * the plan's people, a public constant, never by how many took part. The proximal pull
    comes outside clip and noise: it is a function of noised steps and public constants alone.
    """
    module = _module(mechanism, shared)
    optimizer = _optimizer(mechanism, module, terms)
    for _ in range(mechanism.steps_per_round):
        public = _some(negatives + shared[SHIFT], mechanism.negatives, terms.entropy)
        loss = _loss(mechanism, shared, module, Given(public, terms.encoder))
        sampled = poisson(len(people), mechanism.rate, terms.entropy)
        persons = [_person(people, i, mechanism, terms.entropy) for i in sampled]
        pull = _pull(module, shared, mechanism)
        private_step(module, loss, persons, optimizer)
        with torch.no_grad():
            for p, back in pull:
                p.sub_(back)
    after = module.named()
    return {
        GRADIENT + name: np.asarray(
            (shared[name] - after[name].detach().numpy()) / rate, np.float32
        )
        for name, rate in mechanism.learning_rates.items()
    }


def gradient_rows(
    mechanism: GradientMechanism,
    shared: Mapping[str, NDArray[Any]],
    people: SitePeople,
    negatives: NDArray[np.float32],
    terms: "Terms | SumTerms",
) -> Iterator[NDArray[np.float32]]:
    """One row (1, K) a sampled person: the gradient over all that is trained, not yet clipped.

    What one private step looks at, for a plan of one step a round, which is all that distributed
    noise allows; there is nothing to pull back then. Guarantee: a row depends on that person's own
    pictures and labels, public features and the shared arrays only.
    """
    module, entropy = _module(mechanism, shared), terms.entropy
    public = _some(negatives + shared[SHIFT], mechanism.negatives, entropy)
    loss = _loss(mechanism, shared, module, Given(public, terms.encoder))
    values = module.named()
    trained = [values[name] for name in mechanism.trained]
    for number in poisson(len(people), mechanism.rate, entropy):
        person = _person(people, number, mechanism, entropy)
        parts = torch.autograd.grad(loss(module, person), trained, materialize_grads=True)
        yield torch.cat([part.flatten() for part in parts]).numpy()[None]


def _module(mechanism: GradientMechanism, shared: Mapping[str, NDArray[Any]]) -> Trained:
    """Tail and heads as they begin the round; of both, what the plan trains is trainable."""
    names = [name for head in mechanism.heads for name in head.arrays]
    heads = {name: torch.tensor(shared[name], dtype=torch.float32) for name in names}
    tail = Tail(shared[WEIGHT], shared[BIAS]).module()
    return Trained(tail, heads, frozen=mechanism.identity == 0)


def _optimizer(mechanism: GradientMechanism, module: Trained, terms: "Terms") -> PersonDPOptimizer:
    """One clip and one noise over everything; rates of their own only step on what comes of them.

    The public divisor of the sums, rate * people, is in the rates.
    """
    values, divisor = module.named(), mechanism.rate * terms.people
    groups = [
        {"params": [values[name]], "lr": rate / divisor}
        for name, rate in mechanism.learning_rates.items()
    ]
    inner = torch.optim.SGD(groups)
    return PersonDPOptimizer(inner, sigma=terms.sigma, clip=mechanism.clip, entropy=terms.entropy)


def _loss(
    mechanism: GradientMechanism,
    shared: Mapping[str, NDArray[Any]],
    module: Trained,
    given: Given,
) -> Joint:
    """The plan's loss of one person: identity and heads, weighed by the plan."""
    objective = _objective(mechanism, module, given.public)
    if not mechanism.heads:
        return Joint(objective)
    reading = Reading(
        heads=[planned_head(terms, given.encoder) for terms in mechanism.heads],
        weights={terms.kind: terms.weight for terms in mechanism.heads},
        arrays=module.arrays,
        centre=torch.tensor(shared[CENTRE]),
        scale=torch.tensor(shared[SCALE]),
    )
    return Joint(objective, mechanism.identity, reading)


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
    module: Trained, shared: Mapping[str, NDArray[Any]], mechanism: GradientMechanism
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """How far each parameter goes back towards the start of the round: FedProx's step."""
    if mechanism.proximal == 0:
        return []
    now = module.named()
    return [
        (now[n], rate * mechanism.proximal * (now[n].detach() - torch.from_numpy(shared[n])))
        for n, rate in mechanism.learning_rates.items()
    ]


def _some(negatives: NDArray[np.float32], most: int, entropy: Entropy) -> torch.Tensor:
    return torch.from_numpy(negatives[choose(len(negatives), most, entropy)])


def _person(
    people: SitePeople, number: int, mechanism: GradientMechanism, entropy: Entropy
) -> Person:
    """At most ``views`` pictures of one person, and what is said of those very pictures."""
    bag = people.bag(number)
    rows = choose(len(bag), mechanism.views, entropy)
    said = people.labels(number) if mechanism.heads else None
    labels = PictureLabels() if said is None else _said(said.at(rows), mechanism)
    return Person(torch.from_numpy(bag[rows]), labels)


def _said(said: SiteLabels, mechanism: GradientMechanism) -> PictureLabels:
    """What the plan's heads ask for, and nothing else."""
    wanted = {head.kind: head for head in mechanism.heads}
    named = said.named(wanted["attributes"].names) if "attributes" in wanted else None
    return PictureLabels(
        attributes=None if named is None else torch.from_numpy(named),
        age=torch.from_numpy(said.age) if "age" in wanted and said.age is not None else None,
        gender=(
            torch.from_numpy(said.gender) if GENDER in wanted and said.gender is not None else None
        ),
        words=torch.from_numpy(said.words) if WORDS in wanted and said.words is not None else None,
    )
