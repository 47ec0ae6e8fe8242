"""What a search may turn: knobs of a scenario, each with where it may stand.

Only settings of how to learn are knobs. Who is dealt where, how faces are seen and what epsilon
there is are the question; whoever searched over them would find an easier question.
"""

import dataclasses
import itertools
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.config import check_keys
from common.errors import ConfigError, ScenarioError
from simulations.scenario import Scenario

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Setting = Mapping[str, Any]

KNOBS = (
    *("ridge", "mean_share", "own_shrink", "scatter_clip", "own_tuning"),
    *("gradient_share", "gradient_rounds", "gradient_rate", "gradient_clip", "learning_rate"),
    *("local_steps", "objective", "proximal", "public_steps"),
    *("strategy", "malicious", "trim", "server_rate", "tau", "pooling"),
)
# Not to be turned on private people: the first four change the kind of what a trial releases, and
# a price that follows from what earlier trials showed is not what a ledger adds up; own_tuning
# acts on what never leaves a site, which no trial on private people is judged with.
PUBLIC_ONLY = ("gradient_share", "gradient_rounds", "gradient_rate", "local_steps", "own_tuning")
MOST_CORNERS = 4096

_HINTS = typing.get_type_hints(Scenario)


@dataclass(frozen=True, kw_only=True, slots=True)
class Between:
    """Any number from ``low`` to ``high``; drawn evenly in its logarithm where ``log``."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ScenarioError(f"low must be below high, got {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ScenarioError(f"a logarithmic range must be above 0, got {self.low:g}")

    @property
    def ends(self) -> tuple[Any, ...]:
        """The extreme values."""
        return (int(self.low), int(self.high)) if self.whole else (self.low, self.high)

    def holds(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high)

    def distribution(self) -> "BaseDistribution":
        """For Optuna."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a list of values."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """All of them: none is between two others."""
        return self.values

    def holds(self, value: Any) -> bool:
        return value in self.values

    def distribution(self) -> "BaseDistribution":
        """For Optuna."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


Knob = Between | OneOf


@dataclass(frozen=True, slots=True)
class Space:
    """The knobs by the scenario's fields. The ``base`` scenario stands somewhere inside."""

    base: Scenario
    knobs: Mapping[str, Knob]

    @property
    def default(self) -> Setting:
        """Where the knobs stand in the scenario as it is."""
        return {name: getattr(self.base, name) for name in self.knobs}

    def at(self, setting: Setting) -> Scenario:
        """The scenario under ``setting``; ``ScenarioError`` if it contradicts itself."""
        try:
            return dataclasses.replace(self.base, **setting)
        except ConfigError as error:
            told = ", ".join(f"{name}={value}" for name, value in setting.items())
            raise ScenarioError(f"[space] at {told}: {error}") from error

    def distributions(self) -> dict[str, "BaseDistribution"]:
        """For Optuna, in the order of the file."""
        return {name: knob.distribution() for name, knob in self.knobs.items()}

    def check(self) -> None:
        """Raises ``ScenarioError`` unless every extreme is a scenario, and the base lies inside."""
        for name, value in self.default.items():
            if not self.knobs[name].holds(value):
                raise ScenarioError(
                    f"[space] {name}: the scenario has {value!r}, which is outside; let the range "
                    "hold it, so that what is found stands beside what there is"
                )
        for corner in itertools.islice(self._corners(), MOST_CORNERS):
            self.at(corner)

    def _corners(self) -> Iterator[Setting]:
        for values in itertools.product(*(knob.ends for knob in self.knobs.values())):
            yield dict(zip(self.knobs, values, strict=True))


def read_space(table: Any, base: Scenario, where: str) -> Space:
    """The ``[space]`` of a search file: ``name = { low, high, log? }`` or ``name = [values]``.

    Raises ``ConfigError`` or ``ScenarioError`` naming the knob that is wrong.
    """
    if not isinstance(table, dict) or not table:
        raise ConfigError(f"{where} space: expected a table [space] with at least one knob")
    check_keys(table, KNOBS, f"{where} [space]")
    space = Space(base, {name: _knob(name, v, f"{where} [space]") for name, v in table.items()})
    space.check()
    return space


def _knob(name: str, told: Any, where: str) -> Knob:
    kind = _HINTS[name]
    if isinstance(told, list) and told:
        if len(set(map(repr, told))) < len(told) or any(isinstance(v, list | dict) for v in told):
            raise ConfigError(f"{where} {name}: expected different values, got {told!r}")
        return OneOf(tuple(float(v) if kind is float else v for v in told))
    if not isinstance(told, dict) or kind not in (int, float):
        raise ConfigError(f"{where} {name}: expected a list of values, got {told!r}")
    check_keys(told, ("low", "high", "log"), f"{where} {name}")
    low, high, log = told.get("low"), told.get("high"), told.get("log", False)
    numbers = (int,) if kind is int else (int, float)
    if type(low) not in numbers or type(high) not in numbers or not isinstance(log, bool):
        raise ConfigError(f"{where} {name}: expected low and high of the setting's own type")
    try:
        return Between(low=float(low), high=float(high), log=log, whole=kind is int)  # type: ignore[arg-type]
    except ScenarioError as error:
        raise ScenarioError(f"{where} {name}: {error}") from None
