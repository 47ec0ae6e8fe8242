"""The charter: what one training run is, fixed before its first round.

A folder with ``charter.json`` (run id, privacy plan, deadlines) and ``initial.safetensors`` (the
shared part every pool starts from). The plan names the hashes of everything else.
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.config import build
from common.errors import ConfigError, PlanError, RunError
from common.privacy.plan import GradientMechanism, PrivacyPlan
from server.strategies.choice import FEDAVG, StrategyChoice

CHARTER, INITIAL = "charter.json", "initial.safetensors"


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
    takes its place. ``ConfigError`` for a strategy that the plan's noise or terms rule out.
    """

    run: str
    plan: PrivacyPlan
    timeout: float = 3600.0
    momentum: float = 0.9
    early_stop: EarlyStop | None = None
    strategy: StrategyChoice = FEDAVG

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

    def save(self, folder: Path, initial: dict[str, NDArray[np.generic]]) -> None:
        """Writes both files of the charter into ``folder``."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        stop = self.early_stop
        table = {
            "run": self.run,
            "plan": json.loads(self.plan.to_json()),
            "timeout": self.timeout,
            "momentum": self.momentum,
            "strategy": dataclasses.asdict(self.strategy),
            **({"early_stop": dataclasses.asdict(stop)} if stop else {}),
        }
        save_file(dict(initial), folder / INITIAL)
        (folder / CHARTER).write_text(json.dumps(table, indent=2) + "\n", "utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    run: str
    timeout: float = 3600.0
    momentum: float = 0.9
    early_stop: EarlyStop | None = None
    strategy: StrategyChoice = FEDAVG


def load_charter(folder: Path) -> tuple[Charter, dict[str, NDArray[np.generic]]]:
    """The charter in ``folder`` and its initial arrays; ``RunError`` if either cannot be read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / CHARTER
    try:
        table = json.loads(path.read_text("utf-8"))
        if not isinstance(table, dict) or not isinstance(table.get("plan"), dict):
            raise ConfigError("expected a table with a plan")
        plan = PrivacyPlan.from_json(json.dumps(table.pop("plan")))
        file = build(_File, table, "charter")
        charter = Charter(
            run=file.run,
            plan=plan,
            timeout=file.timeout,
            momentum=file.momentum,
            early_stop=file.early_stop,
            strategy=file.strategy,
        )
        return charter, dict(load_file(folder / INITIAL))
    except (ConfigError, PlanError) as error:
        raise RunError(f"cannot read the charter {path}: {error}") from error
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise RunError(f"cannot read the charter {path}: {type(error).__name__}") from error
