"""One person's loss of several things at once: identity and heads, summed before any gradient.

The heads read the features, the tail reads the features, and no parameter is in both: what they
share is the clip. Clipping each by itself would be as many contributions a person, at a sensitivity
that the plan is not priced at; so there is one scalar, one gradient, one norm.

Why that norm is at most the clip, whatever a plan says of its heads: a person adds c(g), g the
gradient of sum_h w_h L_h over everything that is trained, c the clip to norm C, and L_h a function
of that person and of public constants. So without that person the sum changes by c(g), of norm at
most C, and no other term changes at all. Public weights w_h turn g within the ball of radius C:
they share C out between the parts. A learning rate of a part multiplies the noised sum when it is
over, which is post-processing; it is in no L_h and in no c.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from client.privacy.objective import Objective
from common.heads.head import Head, PictureLabels, joint_loss
from common.models.tail import BIAS, WEIGHT


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Person:
    """What a step looks at of one person: ``bag`` (k, D) features, and what is said of them."""

    bag: Tensor
    labels: PictureLabels


class Trained(nn.Module):
    """Tail and arrays of heads as one module; called, it is the tail.

    ``arrays`` are the trainable ones of ``heads`` by name. A tail that is ``frozen`` is no
    parameter of the step: it gets neither gradient nor noise.
    """

    def __init__(self, tail: nn.Linear, heads: Mapping[str, Tensor], *, frozen: bool) -> None:
        super().__init__()
        self.tail = tail.requires_grad_(not frozen)
        self._names = tuple(heads)
        self._values = nn.ParameterList(heads.values())

    def forward(self, features: Tensor) -> Tensor:
        """(B, D) -> (B, E)."""
        embedded: Tensor = self.tail(features)
        return embedded

    @property
    def arrays(self) -> dict[str, Tensor]:
        """Those of the heads, by name."""
        return dict(zip(self._names, self._values, strict=True))

    def named(self) -> dict[str, Tensor]:
        """All arrays, trainable or not, under their names on the wire."""
        return {WEIGHT: self.tail.weight, BIAS: self.tail.bias, **self.arrays}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class Reading:
    """The heads of a step, the public weights of their losses, and how they see a feature.

    ``arrays`` are those of the step's module, as they are at each moment; ``centre`` and ``scale``
    (D,) are public constants. The pool's released mean does not move them: its noise did more harm
    to heads than its people's place did good.
    """

    heads: Sequence[Head]
    weights: Mapping[str, float]  # by kind
    arrays: Mapping[str, Tensor]
    centre: Tensor
    scale: Tensor

    def loss(self, person: Person) -> Tensor:
        """The weighted sum over the heads, of that person's pictures as they are."""
        seen = (person.bag - self.centre) * self.scale
        return joint_loss(self.heads, self.weights, self.arrays, seen, person.labels)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Joint:
    """``identity`` times the objective plus each head's weight times its loss: one scalar.

    What an objective attacks is identity: heads see the pictures as they are.
    Guarantee: a function of one person's pictures and labels, of shared weights and of public
    constants. A head of whose labels there are none adds exactly 0, and a gradient of exactly 0.
    """

    objective: Objective
    identity: float = 1.0
    reading: Reading | None = None

    def __call__(self, module: nn.Module, person: Person) -> Tensor:
        """``module`` embeds: a ``Trained``, or Opacus' wrapper of one."""
        if self.reading is None:
            return self.identity * self.objective(module, person.bag)
        told = self.reading.loss(person)
        if self.identity == 0:
            return told
        return self.identity * self.objective(module, person.bag) + told
