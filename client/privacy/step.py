"""One DP-SGD step over people: one backward a person, clipped whole, summed, noised once.

Opacus does the clipping, the summing and the step; what is ours is that a "sample" is a person
with all pictures, that the noise comes from ``Entropy``, and that a person whose gradient is not
finite counts as zero. Opacus must never see a model of shape (people, pictures, ...): it would
clip each picture and say nothing (Charles et al. 2024, arXiv:2407.07737, on user-level clipping).
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from opacus.grad_sample import GradSampleModuleNoOp
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn

from client.privacy.entropy import Entropy
from client.privacy.moments import GRID
from common.errors import ModelError
from common.models.fold import refuse_batch_dependence

Person = TypeVar("Person")


class PersonDPOptimizer(DPOptimizer):  # type: ignore[misc]
    """Opacus' optimizer with its one unsafe part replaced: where the noise comes from.

    ``sigma`` is this site's noise multiplier, as ``PrivacyPlan.site_sigma`` shares it out. Sums
    are not divided: the public divisor rate * people belongs into the learning rate.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, *, sigma: float, clip: float, entropy: Entropy
    ) -> None:
        super().__init__(
            optimizer,
            noise_multiplier=sigma,
            max_grad_norm=clip,
            expected_batch_size=None,
            loss_reduction="sum",
        )
        self._entropy = entropy

    def add_noise(self) -> None:
        """``p.grad`` = the clipped sum plus noise, drawn in float64, on a grid that hides bits."""
        deviation = self.noise_multiplier * self.max_grad_norm
        for p in self.params:
            total = p.summed_grad.double()
            if deviation > 0:
                noise = torch.from_numpy(self._entropy.normal(p.numel())).view_as(p)
                step = deviation * GRID
                total = torch.round((total + deviation * noise.to(p.device)) / step) * step
            p.grad = total.to(p.dtype)
            p.summed_grad._processed = True  # Opacus' mark against using a sum twice

    def forget(self) -> None:
        """Drops everything accumulated, also what a step broken off by an error left behind."""
        self._step_skip_queue.clear()
        self._is_last_step_skipped = False
        self.zero_grad(set_to_none=True)


def sgd(
    module: nn.Module, *, rate: float, sigma: float, clip: float, entropy: Entropy
) -> PersonDPOptimizer:
    """Plain SGD on every trainable parameter; ``rate`` = learning rate / (sampling * people)."""
    trainable = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=rate)
    return PersonDPOptimizer(optimizer, sigma=sigma, clip=clip, entropy=entropy)


def private_step(
    module: nn.Module,
    loss_of_person: Callable[[nn.Module, Person], Tensor],
    persons: Sequence[Person],
    optimizer: PersonDPOptimizer,
) -> None:
    """Steps once on the Poisson-sampled ``persons``; afterwards ``p.grad`` holds the noised sum.

    ``loss_of_person(module, person)`` is a scalar from that person's own pictures and public data.
    An empty sample is noised and stepped like any other.
    Guarantee: before the noise, one person moves the sum by at most ``clip`` in L2 norm (to the
    rounding of the parameters' type), however many pictures the person has.
    Leaks: the sum of one step. Losses, gradient norms and the size of the sample stay inside.
    Raises ModelError for BatchNorm, which mixes people, and for a trainable parameter outside the
    optimizer, which would learn from people without noise.
    """
    wrapped = _ready(module, optimizer)
    optimizer.forget()
    for person in persons:
        for p in optimizer.params:
            p.grad = None
        loss_of_person(wrapped, person).backward()  # type: ignore[no-untyped-call]
        _hand_over(optimizer, [p.grad for p in optimizer.params], last=False)
    _hand_over(optimizer, [None] * len(optimizer.params), last=True)


def _ready(module: nn.Module, optimizer: PersonDPOptimizer) -> nn.Module:
    refuse_batch_dependence(module)
    trainable = {id(p) for p in module.parameters() if p.requires_grad}
    if trainable != {id(p) for p in optimizer.params}:
        raise ModelError("the optimizer must hold exactly the trainable parameters")
    wrapped: nn.Module = GradSampleModuleNoOp(module, loss_reduction="sum")
    return wrapped


def _hand_over(optimizer: Any, gradients: list[Tensor | None], *, last: bool) -> None:
    """Gives Opacus one person's gradient as a batch of one; zeros for a person to leave out."""
    finite = all(g is None or bool(torch.isfinite(g).all()) for g in gradients)
    for p, gradient in zip(optimizer.params, gradients, strict=True):
        kept = gradient.detach() if finite and gradient is not None else torch.zeros_like(p)
        p.grad_sample = kept.unsqueeze(0)
    optimizer.signal_skip_step(do_skip=not last)
    optimizer.step()
    if not last:
        optimizer.zero_grad(set_to_none=True)
