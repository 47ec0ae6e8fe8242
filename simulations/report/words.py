"""The answer in one sentence: does joining pay? Never more than the intervals say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulations.report.drawing import minus
from simulations.report.palette import PRIVATE, SPACE, Arm

A_LITTLE = 1.0  # points below which a sure gain is called little


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """Points over `local` at FAR 1e-2 of one private arm, with its 95 % interval."""

    arm: Arm
    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """``pays``, ``little``, ``unsure`` or ``costs``."""
        if self.low > 0:
            return "pays" if self.value >= A_LITTLE else "little"
        return "costs" if self.high < 0 else "unsure"

    @property
    def words(self) -> str:
        """``+3.1 points (95 % interval +2.2 to +4.0)``."""
        return (
            f"{signed(self.value)} points (95 % interval {signed(self.low)} to {signed(self.high)})"
        )


def gains_of(gain: Mapping[str, Mapping[str, Any]]) -> list[Gain]:
    """Every private arm that has a gain: by noise model, then from large to small epsilon."""
    found = []
    for row in sorted(gain, key=lambda name: (name not in PRIVATE, name)):
        for epsilon in sorted(gain[row], key=float, reverse=True):
            told = gain[row][epsilon]
            if told is not None:
                low, high = told["ci95"]
                arm = Arm(row, epsilon)
                found.append(Gain(arm=arm, value=told["value"], low=low, high=high))
    return found


def best(gains: Sequence[Gain]) -> Gain | None:
    """The largest gain that is surely one; else the arm that trusts least and spends most."""
    sure = [gain for gain in gains if gain.low > 0]
    if sure:
        return max(sure, key=lambda gain: gain.value)
    return gains[0] if gains else None


TOO_FEW = (
    "Too few pairs to say whether joining pays.",
    "FAR 1 % needs more pairs of report people: report on more folds, or on more people.",
)


def answer(gains: Sequence[Gain], measured: bool = False) -> tuple[str, str]:
    """The headline, and what has to be said beside it; ``measured`` if only pairs were missing."""
    chosen = best(gains)
    if chosen is None and measured:
        return TOO_FEW
    if chosen is None:
        return "No private arm was measured.", "There is nothing to say about joining yet."
    how = f"at ε{SPACE}={SPACE}{chosen.arm.epsilon}, {_how(chosen.arm)}"
    head = {
        "pays": f"Joining pays: {signed(chosen.value)} points {how}.",
        "little": f"Joining pays a little: {signed(chosen.value)} points {how}.",
        "unsure": f"Joining is not shown to pay: {signed(chosen.value)} points {how}.",
        "costs": f"Joining costs: {signed(chosen.value)} points {how}.",
    }[chosen.verdict]
    return head, _beside(chosen, gains)


def signed(value: float) -> str:
    """With its sign; two digits where one would say nothing."""
    text = f"{value:+.{2 if abs(value) < A_LITTLE else 1}f}"
    return "0.00" if float(text) == 0 else minus(text)


def percent(rate: float | None) -> str:
    """``0.7288`` is 72.9 %; a dash where nothing is known."""
    return "\N{EN DASH}" if rate is None else f"{100 * rate:.1f} %"


def size(value: float | None) -> str:
    """Three digits, and never an exponent; without a value there is no bound."""
    if value is None:
        return "no bound"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def many(number: int, thing: str) -> str:
    """``1 site``, ``4 sites``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def byte_count(count: float) -> str:
    """``37.4 kB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _how(arm: Arm) -> str:
    return {
        "private": "with noise at each site",
        "private_secagg": "with one noise shared by all sites",
    }.get(arm.name, f"by {arm.words}")


def _beside(chosen: Gain, gains: Sequence[Gain]) -> str:
    sure = sum(gain.low > 0 for gain in gains)
    bad = sum(gain.high < 0 for gain in gains)
    interval = f"The 95 % interval is {signed(chosen.low)} to {signed(chosen.high)}. "
    if len(gains) == 1:
        return interval
    if sure:
        told = f"It is the best of {len(gains)} private arms, {sure} of which surely gain"
        return interval + told + (f" and {bad} surely lose." if bad else ".")
    told = f"None of the {len(gains)} private arms surely gains"
    return interval + told + (f"; {bad} surely lose." if bad else ".")
