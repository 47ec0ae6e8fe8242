"""Whether gradients tell the truth: signs that a model hides them instead of being hard to fool.

Athalye et al. 2018 (arXiv:1802.00420) and Carlini et al. 2019 (arXiv:1902.06705): an attack that
is stronger by construction must not do worse. A difference counts where it is more than chance
gives on the same rows, and more than two rows in a hundred.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.attacks.apgd import Apgd
from common.attacks.boundary import HopSkipJump
from common.attacks.gradient import Fgsm, Pgd, Slope
from common.attacks.noise import Noise
from common.attacks.square import Square
from common.attacks.target import Attack, Budget, Trials

Outcomes = NDArray[np.bool_]  # (n,) who was fooled

LEAST = 0.02  # of the rows, that a difference has to be
SPREAD = 2.33  # standard deviations of chance: one in a hundred
ALL = 0.95  # of the rows, that an ample budget must fool
FLAT = 0.05  # of the rows, that may have no gradient
THIN = 0.1  # of the numbers of a picture: fewer slopes are none
AMPLE = Budget("linf", 64 / 255)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that holds where gradients are honest."""

    name: str
    held: bool
    detail: str


def not_beaten(strong: str, fooled: Outcomes, weak: str, fooled_by_weak: Outcomes) -> Check:
    """Whether ``strong`` does at least as well as ``weak`` on the same rows, up to chance.

    Chance: where the two differ on d rows, either way is as likely (McNemar 1947).
    """
    lost, won = int((fooled_by_weak & ~fooled).sum()), int((fooled & ~fooled_by_weak).sum())
    excess = lost - won
    beaten = excess > LEAST * len(fooled) and excess > SPREAD * math.sqrt(lost + won)
    detail = f"{_share(fooled_by_weak)} against {_share(fooled)} of {len(fooled)}"
    return Check(f"{weak} <= {strong}", not beaten, detail)


def fools_all(fooled: Outcomes, what: str) -> Check:
    """Whether success goes to 1 where the budget is ample."""
    held = bool(len(fooled)) and float(fooled.mean()) >= ALL
    return Check(f"{what} fools all", held, f"{_share(fooled)} of {len(fooled)}")


def has_gradients(face: nn.Module, trials: Trials, generator: torch.Generator) -> Check:
    """Whether the margin has a gradient at the pictures themselves, and not at single pixels."""
    flat = []
    for part in trials.batches(16):
        _, slope = Slope().gradient(face, part, part.pixels, generator)
        flat.append((slope != 0).flatten(1).float().mean(1) < THIN)
    none = torch.cat(flat).numpy()
    return Check("gradients are there", float(none.mean()) <= FLAT, f"{_share(none)} have none")


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What is run to find out, on few rows: ``steps`` of PGD and three times as many, queries."""

    steps: int = 20
    queries: int = 200
    budget: Budget = Budget("linf", 4 / 255)  # noqa: RUF009

    def attacks(self) -> dict[str, Attack]:
        """By name; gradients, more of them, queries, nothing."""
        return {
            "fgsm": Fgsm(),
            "pgd": Pgd(steps=self.steps, stop=True),
            "pgd, 3 x steps": Pgd(steps=3 * self.steps, stop=True),
            "apgd": Apgd(steps=self.steps, stop=True),
            "square": Square(queries=self.queries),
            "decisions": HopSkipJump(queries=self.queries),
            "noise": Noise(),
        }

    def run(
        self, face: nn.Module, trials: Trials, generator: torch.Generator
    ) -> dict[str, Outcomes]:
        """Who is fooled by each attack, and with an ample budget by PGD ("ample")."""
        made = {
            name: outcomes(face, trials, attack, self.budget, generator)
            for name, attack in self.attacks().items()
        }
        ample = Pgd(steps=self.steps, stop=True)
        made["ample"] = outcomes(face, trials, ample, AMPLE, generator)
        return made


ORDER = (  # stronger, weaker
    ("pgd", "fgsm"),
    ("apgd", "pgd"),
    ("pgd, 3 x steps", "pgd"),
    ("apgd", "square"),
    ("apgd", "decisions"),
    ("apgd", "noise"),
)


def probed(made: Mapping[str, Outcomes], order: Sequence[tuple[str, str]] = ORDER) -> list[Check]:
    """The checks on what ``Probe.run`` made."""
    checks = [not_beaten(strong, made[strong], weak, made[weak]) for strong, weak in order]
    return [*checks, fools_all(made["ample"], "64/255")]


def outcomes(
    face: nn.Module,
    trials: Trials,
    attack: Attack,
    budget: Budget,
    generator: torch.Generator,
) -> Outcomes:
    """(B,): who is fooled, 16 rows at a time."""
    parts = [
        part.fooled(face, attack(face, part, budget, generator)) for part in trials.batches(16)
    ]
    fooled: Outcomes = torch.cat(parts).numpy() if parts else np.zeros(0, np.bool_)
    return fooled


def _share(fooled: Outcomes) -> str:
    return f"{float(fooled.mean()) if len(fooled) else 0.0:.3f}"
