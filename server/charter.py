"""The charter: what one training run is, fixed before its first round.

A folder with ``charter.json`` (run id, privacy plan, deadlines) and ``initial.safetensors`` (the
shared part every pool starts from). The plan names the hashes of everything else.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.config import build
from common.errors import PlanError, RunError
from common.privacy.plan import PrivacyPlan

CHARTER, INITIAL = "charter.json", "initial.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlyStop:
    """Stop a gradient phase after ``patience`` rounds without a gain on public people."""

    patience: int = 10
    least_gain: float = 1e-3  # of TAR at FAR 1e-2 on public people


@dataclass(frozen=True, kw_only=True, slots=True)
class Charter:
    """One training run. ``timeout`` and ``ttl`` are in seconds, for every round."""

    run: str
    plan: PrivacyPlan
    timeout: float = 3600.0
    momentum: float = 0.9  # of the centre, over noised updates only
    early_stop: EarlyStop | None = None

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
            **({"early_stop": vars_of(stop)} if stop else {}),
        }
        save_file(dict(initial), folder / INITIAL)
        (folder / CHARTER).write_text(json.dumps(table, indent=2) + "\n", "utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    run: str
    timeout: float = 3600.0
    momentum: float = 0.9
    early_stop: EarlyStop | None = None


def vars_of(stop: EarlyStop) -> dict[str, float]:
    """The fields of a slotted dataclass as a table."""
    return {"patience": stop.patience, "least_gain": stop.least_gain}


def load_charter(folder: Path) -> tuple[Charter, dict[str, NDArray[np.generic]]]:
    """The charter in ``folder`` and its initial arrays; ``RunError`` if either cannot be read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / CHARTER
    try:
        table = json.loads(path.read_text("utf-8"))
        plan = PrivacyPlan.from_json(json.dumps(table.pop("plan")))
        initial = load_file(folder / INITIAL)
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError, PlanError) as error:
        raise RunError(f"cannot read the charter {path}: {type(error).__name__}") from error
    file = build(_File, table, str(path))
    charter = Charter(
        run=file.run,
        plan=plan,
        timeout=file.timeout,
        momentum=file.momentum,
        early_stop=file.early_stop,
    )
    return charter, dict(initial)
