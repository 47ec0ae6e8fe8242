"""How a gate reads evidence: as a stranger's, of the right type, finite, within what it can be."""

import math
from typing import Any

from common.errors import ConfigError, PlanError, ReleaseError
from common.evidence.bundle import Release
from common.evidence.limits import Gates
from common.evidence.section import figure
from common.privacy.plan import PrivacyPlan


class GapError(ReleaseError):
    """A gate does not hold."""


def hold(holds: bool, told: str) -> None:
    """Raises ``GapError`` saying ``told`` unless it ``holds``."""
    if not holds:
        raise GapError(told)


def number(told: Any, what: str) -> float:
    """A finite number; ``ConfigError`` or ``GapError`` naming ``what`` it is not."""
    if isinstance(told, bool) or not isinstance(told, int | float):
        raise ConfigError(f"the evidence does not say {what}")
    try:
        found = float(told)
    except OverflowError:
        found = math.inf
    hold(math.isfinite(found), f"{what} is not finite")
    return found


def rate(told: Any, what: str) -> float:
    """A share in [0, 1], by itself or with its interval; raises as ``number``."""
    found = number(told.get("value") if isinstance(told, dict) else told, what)
    hold(0 <= found <= 1, f"{what} is not a rate")
    return found


def end(told: Any, gates: Gates, side: int, what: str) -> float:
    """The figure that is judged: itself, or the ``side`` (0 lower, 1 upper) of its interval."""
    hold(isinstance(told, dict), f"{what} is not told with its interval")
    value = number(told.get("value"), what)
    ends = told.get("ci95")
    hold(isinstance(ends, list | tuple) and len(ends) == 2, f"{what} has no interval")
    if gates.judged_by == "value":
        return value
    low, high = (number(bound, f"interval of {what}") for bound in ends)
    hold(low <= high, f"the interval of {what} is none")
    return (min(low, value), max(high, value))[side]


def plan_of(release: Release) -> PrivacyPlan:
    """The plan that stands in the statement of ``release``; ``GapError`` for none."""
    text = figure(release.sections, "statement.plan_json")
    hold(isinstance(text, str), "the plan is a text")
    try:
        return PrivacyPlan.from_json(text)
    except PlanError as error:
        raise GapError(str(error)) from None
