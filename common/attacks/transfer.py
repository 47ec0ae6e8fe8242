"""Pictures made on one model, shown to another: what an attacker without the model can do.

The server knows the weights of a federation, and so does whoever kept the previous release: another
tail of the same trunk is the nearest of all stand-ins.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.attacks.noise import Noise
from common.attacks.target import Attack, Budget, Goal, Trials

NOISE = "noise"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Contender:
    """A model with the threshold at which it decides, fixed beforehand by itself."""

    name: str
    face: nn.Module
    threshold: float


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Couples:
    """B attempts as pictures: ``probes`` and ``references`` (B, 3, S, S), any model's to judge."""

    probes: Tensor
    references: Tensor
    goal: Goal

    def trials(self, contender: Contender) -> Trials:
        """The attempts as ``contender`` sees them."""
        with torch.no_grad():
            templates = torch.cat(
                [contender.face(part) for part in torch.split(self.references, 16)]
            )
        return Trials(self.probes, templates, self.goal, contender.threshold)


@dataclass(frozen=True, eq=False, slots=True)
class Made:
    """How pictures are made on a source; an ``attack`` that stops at once goes no further than it
    has to there, and transfers less."""

    attack: Attack
    budget: Budget
    generator: torch.Generator

    def pixels(self, face: nn.Module, trials: Trials) -> Tensor:
        """(B, 3, S, S), 16 rows at a time."""
        parts = [
            self.attack(face, part, self.budget, self.generator) for part in trials.batches(16)
        ]
        return torch.cat(parts)


@dataclass(frozen=True, eq=False, slots=True)
class Transferred:
    """Rows (B,) that the target decides correctly by itself, and rows where it is fooled."""

    counted: Tensor
    fooled: Tensor

    @property
    def outcomes(self) -> Tensor:
        """(n,) bool: of the counted rows, who was fooled."""
        return self.fooled[self.counted]


def transfer(
    couples: Couples, sources: Sequence[Contender], targets: Sequence[Contender], made: Made
) -> dict[str, dict[str, Transferred]]:
    """For each source, and ``NOISE`` as the control, what its pictures do to each target.

    The attacker aims at the source's margin with the source's template and threshold; the target
    judges with its own.
    """
    shown = {source.name: made.pixels(source.face, couples.trials(source)) for source in sources}
    shown[NOISE] = Noise()(nn.Identity(), couples.trials(targets[0]), made.budget, made.generator)
    table: dict[str, dict[str, Transferred]] = {name: {} for name in shown}
    for target in targets:
        trials = couples.trials(target)
        counted = ~trials.fooled(target.face, trials.pixels)
        for name, pixels in shown.items():
            table[name][target.name] = Transferred(counted, trials.fooled(target.face, pixels))
    return table
