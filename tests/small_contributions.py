"""What each person adds to a private step, and whom another one's leaving changes."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from client.privacy.entropy import Entropy, OsEntropy
from client.privacy.step import PersonDPOptimizer, private_step

Somebody = TypeVar("Somebody")


class Recording(PersonDPOptimizer):
    """Keeps each person's clipped gradient, in the order of the sample."""

    def clip_and_accumulate(self) -> None:
        kept = [p.summed_grad for p in self.params]
        for p in self.params:
            p.summed_grad = None
        super().clip_and_accumulate()
        own = torch.cat([p.summed_grad.flatten() for p in self.params])
        self.seen = [*getattr(self, "seen", []), own]
        for p, before in zip(self.params, kept, strict=True):
            p.summed_grad = p.summed_grad if before is None else before + p.summed_grad


def contributions_of(
    module: nn.Module,
    loss: Callable[[nn.Module, Somebody], Tensor],
    people: Sequence[Somebody],
    clip: float,
    entropy: Entropy | None = None,
) -> list[bytes]:
    """The gradients of a step without noise on all ``people``, a person's each."""
    inner = torch.optim.SGD(module.parameters(), lr=0.1)
    optimizer = Recording(inner, sigma=0.0, clip=clip, entropy=entropy or OsEntropy())
    private_step(module, loss, people, optimizer)
    *own, rest = optimizer.seen  # the last hand-over is nobody's
    assert not rest.any()
    return [person.numpy().tobytes() for person in own]


def crossings(
    contribute: Callable[[Sequence[Somebody]], list[bytes]], people: Sequence[Somebody]
) -> int:
    """How many pairs of people there are where one's leaving changes the other's part."""
    everybody, found = contribute(people), 0
    for gone in range(len(people)):
        without = contribute([*people[:gone], *people[gone + 1 :]])
        others = everybody[:gone] + everybody[gone + 1 :]
        found += sum(a != b for a, b in zip(without, others, strict=True))
    return found
