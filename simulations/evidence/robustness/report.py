"""A report on robustness: how often forged pictures turn a decision around, with what, from where.

Guarantee: the threshold stands before any attack, on people who are not attacked; the same seed
gives the same figures; what gradients say is checked, and a report that fails a check says so.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.attacks.masking import Check
from common.attacks.target import GOALS, Face, Goal, Norm
from common.attacks.transfer import Contender
from common.bundle import VERSION
from common.errors import ModelError
from common.evidence.section import Section
from common.models.studio import Progress
from common.models.tail import Tail
from common.models.trunk import Trunk
from simulations.evidence.robustness import parts
from simulations.evidence.robustness.cells import Cells, cells
from simulations.evidence.robustness.pairs import (
    Attacked,
    Threshold,
    attacked,
    fix_threshold,
)
from simulations.evidence.robustness.plan import (
    REFERENCE,
    STRONGEST,
    RobustnessOptions,
    threat_model,
)
from simulations.evidence.robustness.rates import share
from simulations.evidence.robustness.trigger import trigger
from simulations.evidence.subject import Subject

PARTS = ("curves", "minimal", "masked", "transfer", "signals", "trigger", "masking")


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbours:
    """Models beside the one attacked: the tail the trunk came ``own`` with, and any others.

    ``own`` is ``None`` where it is the tail attacked. ``others`` by name: the previous release's
    tail, a foreign trunk.
    """

    own: Tail | None = None
    others: dict[str, tuple[Trunk, Tail]] = field(default_factory=dict)


def robustness(
    subject: Subject,
    options: RobustnessOptions,
    progress: Progress,
    *,
    neighbours: Neighbours | None = None,
    out: Path | None = None,
    command: str = "mascaron-lab attack",
) -> Section:
    """Attacks the subject; cells are kept in ``out``, and taken from there where they are known.

    ``ScenarioError`` if other people are too few to fix a threshold.
    """
    beside = neighbours or Neighbours()
    step = progress.start("attacking", len(PARTS))
    threshold = fix_threshold(subject.other_features, subject.tail, subject.others, options.fmr)
    drawn = attacked(subject, threshold.value, options.pairs, options.seed)
    with cells(_about(subject, options, beside), out) as kept:
        model = Contender(name="this", face=subject.face, threshold=threshold.value)
        report = _Report(subject, options, beside, threshold, drawn, kept)
        ground = parts.Field(model=model, attacked=drawn, plan=options.plan, cells=kept)
        figures, broken = report.figures(ground, step)
    return subject.section(
        "robustness",
        figures,
        seed=options.seed,
        command=command,
        failed=broken,
        minutes=round(kept.seconds / 60, 2),
    )


@dataclass(frozen=True, eq=False)
class _Report:
    subject: Subject
    options: RobustnessOptions
    beside: Neighbours
    threshold: Threshold
    drawn: dict[Goal, Attacked]
    kept: Cells

    def figures(self, ground: parts.Field, step: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
        """All figures, and what did not hold, in words."""
        found = parts.curves(ground)
        step(1)
        rest: dict[str, Any] = {}
        for name, measure in (
            ("minimal", parts.minimal),
            ("masked", parts.masked),
            ("signals", parts.signals),
        ):
            rest[name] = measure(ground)
            step(1)
        rest["transfer"], ordered = parts.transferred(ground, self._others())
        step(1)
        rest["trigger"] = trigger(
            self.subject, self.threshold, self.beside.own, self.options.plan, self.kept
        )
        step(1)
        checks = [*parts.checks(ground, found), *ordered]
        step(1)
        rest["masking"] = {"checks": [asdict(check) for check in checks]}
        figures = {
            **self._setting(),
            "curves": parts.curve_figures(found),
            "robust_tar": self._standing("dodge", found),
            "robust_impostor": self._standing("impersonate", found),
            **rest,
        }
        return figures, tuple(_told(check) for check in checks if not check.held)

    def _setting(self) -> dict[str, Any]:
        plan = self.options.plan
        norms: dict[Norm, tuple[float, ...]] = {"linf": plan.linf, "l2": plan.l2}
        return {
            "threat_model": threat_model(self.threshold.fmr, norms),
            "threshold": self.threshold.value,
            "fmr": self.threshold.fmr,
            "fmr_asked": self.options.fmr,
            "pairs": {goal: len(self.drawn[goal].right) for goal in GOALS},
            "attacked": {goal: int(self.drawn[goal].right.sum()) for goal in GOALS},
            "clean": {goal: share(~self.drawn[goal].right.numpy()) for goal in GOALS},
            "plan": {**asdict(plan), "digest": plan.digest},
        }

    def _standing(self, goal: Goal, found: parts.Curves) -> dict[str, Any]:
        """The share of all pairs drawn that are decided rightly, attacked at ``REFERENCE``.

        A row falls if any of the attacks that ran on it at this budget turned it around.
        """
        name = f"{REFERENCE.eps * 255:g}/255"
        ran = [by_goal[goal][name] for by_goal in found["linf"].values() if name in by_goal[goal]]
        rows = [one for one in ran if len(one) == int(self.drawn[goal].right.sum())]
        right = self.drawn[goal].right.numpy().copy()
        right[right] = ~np.any(rows, axis=0)
        return {
            **(share(right) or {}),
            "norm": REFERENCE.norm,
            "eps": REFERENCE.eps,
            "attack": f"the strongest for each pair, {STRONGEST} among them",
            "fmr": self.threshold.fmr,
        }

    def _others(self) -> dict[str, Contender]:
        """Every neighbour with the threshold that the same other people fix for it."""
        subject = self.subject
        known = {"trunk alone": (subject.trunk, _identity(subject.trunk.feature_dim))}
        if self.beside.own is not None:
            known["own tail"] = (subject.trunk, self.beside.own)
        made = {}
        for name, (trunk, tail) in {**known, **self.beside.others}.items():
            same = trunk.hash == subject.trunk.hash
            if trunk.manifest.input_size != subject.trunk.manifest.input_size:
                raise ModelError("--against: a trunk of other pictures; sizes have to be the same")
            features = (
                subject.other_features
                if same
                else trunk.features(subject.others.crops(range(len(subject.others))))
            )
            fixed = fix_threshold(features, tail, subject.others, self.options.fmr)
            made[name] = Contender(name=name, face=Face(trunk, tail), threshold=fixed.value)
        return made


def _identity(width: int) -> Tail:
    """What somebody has who knows the public trunk, and no tail."""
    return Tail(np.eye(width, dtype=np.float32), np.zeros(width, np.float32))


def _about(subject: Subject, options: RobustnessOptions, beside: Neighbours) -> dict[str, Any]:
    """Everything that figures depend on; the key of the journal."""
    return {
        "seed": options.seed,
        "pairs": options.pairs,
        "fmr": options.fmr,
        "plan": options.plan.digest,
        "version": VERSION,
        "torch": torch.__version__.split("+")[0],
        "trunk": subject.trunk.hash,
        "tail": subject.tail.hash,
        "tested": subject.tested.digest,
        "people": [int(one) for one in subject.tested.person],
        "others": subject.others.digest,
        "own": beside.own.hash if beside.own else None,
        "beside": {name: [a.hash, b.hash] for name, (a, b) in beside.others.items()},
    }


def _told(check: Check) -> str:
    return f"masking: {check.name}: {check.detail}"
