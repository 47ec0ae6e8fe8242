"""The limits that a release is held to, read from TOML, and what whoever judges knows by itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.config import load
from common.errors import ConfigError
from common.evidence.section import ALWAYS, KINDS

SHIPPED = Path(__file__).with_name("gates.toml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Gates:
    """The limits, see `gates.toml`; ``ConfigError`` for one that nobody can mean."""

    required: tuple[str, ...] = ALWAYS
    judged_by: Literal["interval", "value"] = "interval"
    far: str = "1e-2"
    least_people: int = 100
    least_tar: float = 0.9
    least_robust_tar: float = 0.1
    robust_eps: float = 2 / 255
    robust_fmr: float = 1e-2
    most_trigger: float = 0.05
    most_worst_to_best: float = 3.0
    least_groups: int = 2
    most_suppressed: float = 0.5
    most_epsilon: float = 8.0
    most_delta: float = 1e-3
    most_audited: float = 8.0
    least_audit: float = 0.5
    most_accuracy_lost: float = 0.01
    most_years_lost: float = 0.5
    most_norm: float = 1e4

    def __post_init__(self) -> None:
        strange = sorted(set(self.required) - set(KINDS))
        if strange:
            raise ConfigError(f"required: no section {strange[0]!r}; there are {', '.join(KINDS)}")
        shares = ("least_tar", "least_robust_tar", "most_trigger", "most_suppressed", "least_audit")
        for name in (*shares, "robust_eps", "robust_fmr", "most_delta", "most_accuracy_lost"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("most_epsilon", "most_audited", "most_norm"):
            if not 0 < getattr(self, name) <= 1e9:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.most_years_lost <= 100:
            raise ConfigError(f"most_years_lost must be in [0, 100], got {self.most_years_lost}")
        if self.least_people < 2:
            raise ConfigError(f"least_people must be at least 2, got {self.least_people}")
        if not 1 <= self.most_worst_to_best <= 1e9 or self.least_groups < 2:
            raise ConfigError("groups are compared: a ratio of 1 or more, of 2 groups or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What whoever judges knows without the release; empty where it knows nothing."""

    trunk: str = ""  # hash of the trunk at work here
    shape: tuple[int, int] | None = None  # (E, D) of a tail that fits here
    plan: str = ""  # digest of the plan that was accepted for the run
    heads: str = ""  # SHA-256 of the public heads that the run began with


def load_gates(path: Path | None = None) -> Gates:
    """The gates in the file ``path``, or those shipped; ``ConfigError`` names what is wrong.

    A file that leaves a limit out gets the strict one of ``Gates``, not the demo's.
    """
    return load(Gates, path or SHIPPED)
