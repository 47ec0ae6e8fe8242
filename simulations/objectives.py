"""Plug-in objectives: a researcher's own loss, run only after it has passed a check.

A loss that lets one person into another's gradient has a sensitivity that no noise here covers, so
a plug-in is tried on invented people first. The check is a test, not a proof, and whoever names a
plug-in runs its code: it exists in the laboratory, where nobody's privacy depends on it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from client.privacy.objective import OBJECTIVES, Factory, Objective, register_objective
from client.privacy.step import PersonDPOptimizer, private_step
from common.errors import ConfigError, MascaronError, ScenarioError
from common.plugged import imported
from simulations.entropy import SeededEntropy

FEATURE, EMBEDDING, PUBLIC = 12, 6, 16
BAGS = (1, 2, 3, 4, 7)  # pictures of the people it is tried on
CLIP, SCALE = 0.5, 16.0


def use_objective(name: str) -> None:
    """Makes objective ``name`` ready to run: nothing to do for a shipped one.

    ``package.module:name`` is imported, checked and registered; ``ScenarioError`` says what is
    wrong with it.
    """
    if name in OBJECTIVES:
        return
    factory = _imported(name)
    try:
        check_objective(factory)
    except ScenarioError as error:
        raise ScenarioError(f"objective {name!r} is refused: {error}") from error
    register_objective(name, factory)


def check_objective(factory: Factory) -> None:
    """Raises ``ScenarioError`` naming the first property that ``factory`` does not have.

    The loss is a finite scalar with finite gradients for bags of any size; the same people give
    the same contributions, bit for bit; removing a person changes nobody else's by a single bit,
    so that the sensitivity is the clip norm; and the model is changed by the step alone.
    """
    bags = _bags()
    for bag in bags:
        _check_loss(factory, bag)
    everybody = _contributions(factory, bags)
    if _contributions(factory, bags) != everybody:
        raise ScenarioError("it is not deterministic: the same people gave other gradients")
    for gone in range(len(bags)):
        others = _contributions(factory, bags[:gone] + bags[gone + 1 :])
        if others != everybody[:gone] + everybody[gone + 1 :]:
            raise ScenarioError("one person's leaving changes another person's gradient")
    if _contributions(factory, bags) != everybody:
        raise ScenarioError("it is not deterministic: it remembers people it has seen")


def _imported(name: str) -> Factory:
    try:
        return imported(name, "objective")
    except ConfigError as error:
        raise ScenarioError(str(error)) from error


def _check_loss(factory: Factory, bag: Tensor) -> None:
    module = _module()
    loss = _guarded(lambda: _made(factory, module)(module, bag))
    if not isinstance(loss, Tensor) or loss.shape != ():
        raise ScenarioError("its loss is not a scalar tensor")
    if not torch.isfinite(loss):
        raise ScenarioError(f"its loss is not finite for {len(bag)} pictures")
    if not loss.requires_grad:
        raise ScenarioError("its loss does not depend on the model")
    _guarded(loss.backward)
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    if not all(bool(torch.isfinite(g).all()) for g in gradients):
        raise ScenarioError(f"its gradient is not finite for {len(bag)} pictures")


def _contributions(factory: Factory, bags: Sequence[Tensor]) -> list[bytes]:
    """What each person of ``bags`` adds to one step, clipped."""
    module = _module()
    before = [p.detach().clone() for p in module.parameters()]
    optimizer = _Recording(
        torch.optim.SGD(module.parameters(), lr=0.0),
        sigma=0.0,
        clip=CLIP,
        entropy=SeededEntropy(0),
    )
    objective = _guarded(lambda: _made(factory, module))
    _guarded(lambda: private_step(module, objective, list(bags), optimizer))
    if any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True)):
        raise ScenarioError("it changes the model by itself, beside the private step")
    return optimizer.seen[:-1]  # the last hand-over is nobody's


class _Recording(PersonDPOptimizer):
    """Remembers every person's clipped contribution by itself."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.seen: list[bytes] = []

    def clip_and_accumulate(self) -> None:
        kept = [p.summed_grad for p in self.params]
        for p in self.params:
            p.summed_grad = None
        super().clip_and_accumulate()
        self.seen.append(b"".join(p.summed_grad.numpy().tobytes() for p in self.params))
        for p, before in zip(self.params, kept, strict=True):
            p.summed_grad = p.summed_grad if before is None else before + p.summed_grad


def _guarded(call: Any) -> Any:
    """The result of ``call``; whatever a plug-in raises becomes a ``ScenarioError``."""
    try:
        return call()
    except MascaronError as error:
        raise ScenarioError(str(error)) from error
    except Exception as error:
        raise ScenarioError(f"it fails with {type(error).__name__}: {error}") from error


def _made(factory: Factory, module: nn.Module) -> Objective:
    generator = torch.Generator().manual_seed(99)
    return factory(module, torch.randn(PUBLIC, FEATURE, generator=generator), SCALE)


def _module() -> nn.Module:
    """The same small tail every time, whatever the global generator holds."""
    generator = torch.Generator().manual_seed(0)
    module = nn.Linear(FEATURE, EMBEDDING)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) / FEATURE**0.5)
    return module


def _bags() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(pictures, FEATURE, generator=generator) for pictures in BAGS]
