"""How much is attacked, and with what: the plans of a report on robustness, and their threat model.

Cheap attacks run on every pair, dear ones on the first pairs of the same list; the section says
how many.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from common.attacks.apgd import Apgd
from common.attacks.boundary import HopSkipJump
from common.attacks.gradient import Fgsm, MiFgsm, Pgd, di_fgsm, ti_fgsm
from common.attacks.noise import Noise
from common.attacks.square import Square
from common.attacks.target import Attack, Budget, Norm
from common.errors import ConfigError

REFERENCE = Budget("linf", 2 / 255)  # where the robust TAR is taken
TRANSFER = Budget("linf", 8 / 255)
SIGNAL = Budget("linf", 8 / 255)
QUERIED = {"linf": Budget("linf", 8 / 255), "l2": Budget("l2", 2.0)}
STRONGEST = "apgd"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Budgets (L-inf in 255ths), steps, queries, and on how many pairs of each goal."""

    linf: tuple[float, ...] = (1, 2, 4, 8, 16)
    l2: tuple[float, ...] = (0.25, 0.5, 1, 2, 4)
    steps: int = 20
    queries: int = 300
    queried: int = 16
    minimal: int = 24
    bisections: int = 8
    masked: int = 24
    transferred: int = 32
    signals: int = 24
    probed: int = 20
    sticker_steps: int = 60
    sticker_people: int = 50

    def __post_init__(self) -> None:
        if round(REFERENCE.eps * 255) not in self.linf:
            raise ConfigError("a plan attacks at L-inf 2/255, where the robust TAR is taken")

    def budgets(self) -> list[tuple[str, Budget]]:
        """Every budget of the curves, with its name in the figures."""
        told = [(f"{eps:g}/255", Budget("linf", eps / 255)) for eps in self.linf]
        return told + [(f"{eps:g}", Budget("l2", eps)) for eps in self.l2]

    def curves(self) -> dict[str, Attack]:
        """What runs on every pair at every budget."""
        return {
            "noise": Noise(),
            "fgsm": Fgsm(),
            "pgd": Pgd(steps=self.steps, stop=True),
            "mi": MiFgsm(steps=10),
            STRONGEST: Apgd(steps=self.steps, stop=True),
        }

    def queries_of(self, starts: Any) -> dict[str, Attack]:
        """What only asks; ``starts`` are pictures of the victims, for impersonation."""
        return {
            "square": Square(queries=self.queries),
            "hopskipjump": HopSkipJump(queries=self.queries, starts=starts),
        }

    def travelling(self) -> dict[str, Attack]:
        """What is made on one model for another."""
        return {
            "pgd": Pgd(steps=self.steps),
            "mi": MiFgsm(steps=10),
            "di": di_fgsm(10),
            "ti": ti_fgsm(10),
        }

    @property
    def digest(self) -> str:
        return digest(asdict(self))


FULL = Plan()
QUICK = Plan(
    linf=(1, 2, 4, 8),
    l2=(0.5, 2),
    steps=10,
    queries=150,
    queried=8,
    minimal=6,
    bisections=5,
    masked=8,
    transferred=12,
    signals=12,
    probed=12,
    sticker_steps=40,
    sticker_people=30,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RobustnessOptions:
    """``pairs``, half of them genuine; the threshold's ``fmr`` on other people; how much of it."""

    pairs: int = 300
    fmr: float = 1e-3
    seed: int = 0
    plan: Plan = FULL

    def __post_init__(self) -> None:
        if self.pairs < 2 or not 0 < self.fmr < 1:
            raise ConfigError("at least 2 pairs, and an FMR between 0 and 1, are needed")

    @classmethod
    def quick(cls, *, pairs: int = 60, fmr: float = 1e-3, seed: int = 0) -> "RobustnessOptions":
        """The plan of evidence: a minute and a half with the starter trunk on a quiet core."""
        return cls(pairs=pairs, fmr=fmr, seed=seed, plan=replace(QUICK))


def digest(table: Any) -> str:
    """SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def threat_model(fmr: float, norms: dict[Norm, tuple[float, ...]]) -> dict[str, str]:
    """Who attacks what, knowing what, with how much: in words that stand in the section."""
    linf = ", ".join(f"{eps:g}" for eps in norms["linf"])
    l2 = ", ".join(f"{eps:g}" for eps in norms["l2"])
    return {
        "goal": "dodge: a picture of the enrolled person is refused; impersonate: a picture of "
        "somebody else is accepted",
        "decision": f"one probe against one template; a cosine of at least the threshold, fixed "
        f"at FMR {fmr:g} on other people before any attack, is a match",
        "knowledge": "white box (trunk, tail, threshold and template) for fgsm, pgd, mi, apgd, "
        "masked attacks and minimal distortions; scores only for square; yes or no only for "
        "hopskipjump; another model only for transfer; nothing for noise",
        "budget": f"L-inf {linf} (of 255) or L2 {l2} (of pixels in [0, 1], over a whole picture); "
        "what is worn is free under its mask",
        "access": "the attacker gives the aligned crop as numbers: printing, a camera and a "
        "detector are not in the way, but for the shifts and light of masked attacks",
        "not covered": "attacks on detection and liveness, more than one probe, several templates",
    }
