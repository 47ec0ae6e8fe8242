"""The charter: what one training run is, fixed and signed before its first round.

A folder with ``charter.json`` (the signed terms: run id, privacy plan, deadlines) and
``initial.safetensors`` (the shared part every pool starts from, whose digest is signed too). The
plan names the hashes of everything else.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.config import build
from common.errors import CharterError, ConfigError, PlanError, RunError, SignatureError
from common.privacy.plan import GradientMechanism, PrivacyPlan
from common.trust.charter import PURPOSE, CharterTerms, Members, arrays_digest, read_charter
from common.trust.keys import PublicKey
from common.trust.signed import Signed, unseal
from server.strategies.choice import FEDAVG, StrategyChoice

CHARTER, INITIAL = "charter.json", "initial.safetensors"

Initial = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlyStop:
    """Stop a gradient phase after ``patience`` rounds without a gain on public people."""

    patience: int = 10
    least_gain: float = 1e-3  # of TAR at FAR 1e-2 on public people

    def __post_init__(self) -> None:
        if self.patience < 1 or not 0 <= self.least_gain <= 1:
            raise ConfigError("early_stop needs patience >= 1 and least_gain in [0, 1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Charter:
    """One training run. ``timeout`` is in seconds, for every round.

    ``momentum`` is the centre's, over noised updates only; the optimiser of an adaptive strategy
    takes its place. With ``members`` (see ``CharterTerms``) its rounds are secure sums; distributed
    noise without them is the laboratory's, where all sites are in one process. ``ConfigError``
    for a strategy that the plan's noise or terms rule out.
    """

    run: str
    plan: PrivacyPlan
    timeout: float = 3600.0
    momentum: float = 0.9
    early_stop: EarlyStop | None = None
    strategy: StrategyChoice = FEDAVG
    members: Members = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.run:
            raise ConfigError("run must not be empty")
        if not 0 < self.timeout < math.inf:
            raise ConfigError(f"timeout must be positive and finite, got {self.timeout}")
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum must be in [0, 1), got {self.momentum}")
        self._check_strategy()

    def _check_strategy(self) -> None:
        choice, plan = self.strategy, self.plan
        if choice.robust and plan.noise == "distributed":
            raise ConfigError(
                f"{choice.name} compares what single sites release, and under distributed noise "
                'the centre may see their sum only: use noise = "local", or a strategy that '
                "averages (fedavg, fedadam, fedyogi)"
            )
        gradients = [m for m in plan.mechanisms if isinstance(m, GradientMechanism)]
        if choice.adaptive and not gradients:
            raise ConfigError(
                f"{choice.name} follows gradients and the plan has none, so it would be fedavg: "
                "add a gradient mechanism, or choose fedavg"
            )
        pulled = any(m.proximal > 0 and m.steps_per_round > 1 for m in gradients)
        if choice.name == "fedprox" and not pulled:
            raise ConfigError(
                "fedprox without a proximal term that acts is fedavg: give a gradient mechanism "
                "of the plan proximal > 0 and steps_per_round > 1 (at one step a round, all that "
                "distributed noise allows, there is nothing to pull back)"
            )
        told = choice.too_few({"all": plan.cohort} if plan.pooling == "all" else {})
        if told:
            raise ConfigError(f"the plan's cohort is too small: {told}")

    def terms(
        self, federation: str, initial: Mapping[str, NDArray[np.generic]], expires: int
    ) -> CharterTerms:
        """What the centre signs: this, and which arrays it begins with."""
        stop = self.early_stop
        return CharterTerms(
            federation=federation,
            run=self.run,
            plan=self.plan,
            initial=arrays_digest(initial),
            expires=expires,
            timeout=self.timeout,
            centre={
                "momentum": self.momentum,
                "strategy": dataclasses.asdict(self.strategy),
                **({"early_stop": dataclasses.asdict(stop)} if stop else {}),
            },
            members=self.members,
        )

    @classmethod
    def of(cls, terms: CharterTerms) -> "Charter":
        """The charter that ``terms`` are of; ``ConfigError`` for what the centre cannot do."""
        own = build(_Centre, terms.centre, "charter")
        return cls(
            run=terms.run,
            plan=terms.plan,
            timeout=terms.timeout,
            momentum=own.momentum,
            early_stop=own.early_stop,
            strategy=own.strategy,
            members=terms.members,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Centre:
    momentum: float = 0.9
    early_stop: EarlyStop | None = None
    strategy: StrategyChoice = FEDAVG


def write_charter(folder: Path, signed: Signed, initial: Mapping[str, NDArray[np.generic]]) -> None:
    """Writes both files of a charter into ``folder``."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(initial), folder / INITIAL)
    (folder / CHARTER).write_text(signed.to_json() + "\n", "utf-8")


def load_charter(folder: Path, centre: PublicKey) -> tuple[Charter, Initial, Signed]:
    """The charter in ``folder``, its initial arrays, and its words as ``centre`` signed them.

    Raises ``RunError`` if one of them cannot be read, is not signed, or is not what was signed.
    An expired charter is read: its run may go on at the sites that accepted it in time.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / CHARTER
    try:
        signed = Signed.from_json(path.read_text("utf-8"))
        federation = str(unseal(centre, PURPOSE, signed).get("federation", ""))
        terms = read_charter(signed, centre, federation, now=-math.inf)
        charter, initial = Charter.of(terms), dict(load_file(folder / INITIAL))
        if arrays_digest(initial) != terms.initial:
            raise CharterError("the initial arrays are not those it was signed with")
        return charter, initial, signed
    except (ConfigError, PlanError, CharterError, SignatureError) as error:
        raise RunError(f"cannot read the charter {path}: {error}") from error
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise RunError(f"cannot read the charter {path}: {type(error).__name__}") from error
