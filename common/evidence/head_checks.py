"""What the two gates look at that are about the heads of a release, where it has some."""

from typing import TYPE_CHECKING, Any

import numpy as np

from common.errors import ConfigError
from common.evidence.bundle import Release
from common.evidence.gaps import end, hold, number, plan_of
from common.evidence.limits import Gates, Known
from common.evidence.section import figure
from common.privacy.heads import WORDS
from common.privacy.plan import PrivacyPlan

if TYPE_CHECKING:
    from common.heads.heads import Heads

NONE = "no heads"
_SAME = 1e-6  # difference of what was lost from its two figures
_OLDEST = 150.0  # years


def heads_belong(release: Release, gates: Gates, known: Known) -> str:
    """The heads are those that the statement names: what its plan trains, as the plan says, each
    array with a norm within bounds.

    Words come along as public people left them where the plan does not train them.
    """
    statement = release.sections.get("statement")
    named = "" if statement is None else statement.figures.get("heads", "")
    hold(named == release.heads_file, "not the heads that the statement names")
    if release.heads is None:
        return NONE
    planned = _planned(plan_of(release))
    hold(bool(planned), "heads, and the charter trains none")
    there = {head.kind: head.table() for head in release.heads.heads}
    strange = sorted(set(there) - set(planned) - {WORDS})
    hold(not strange, f"heads that the charter does not train: {', '.join(strange)}")
    other = sorted(kind for kind, tables in planned.items() if tables != [there.get(kind)])
    hold(not other, f"heads that are not as the charter has them: {', '.join(other)}")
    _bounded(release.heads, gates)
    return f"{', '.join(there)}; {release.heads_file[:12]}"


def heads_judged(release: Release, gates: Gates, known: Known) -> str:
    """Of public people these very heads read about as much as those that the run began with."""
    if release.heads is None:
        hold("heads" not in release.sections, "figures of heads that are not in the release")
        return NONE
    measured = figure(release.sections, "heads.file")
    hold(measured == release.heads_file, "figures of other heads than these")
    began = figure(release.sections, "heads.public")
    hold(known.heads in ("", began), "compared with other heads than the run began with")
    trained = dict.fromkeys(terms.kind for terms in plan_of(release).heads)
    return ", ".join(_lost(release, kind, gates) for kind in trained)


def _bounded(heads: "Heads", gates: Gates) -> None:
    """Finite is not enough: what is read by 3e38 is infinite, or nothing at all."""
    for name, array in heads.arrays.items():
        norm = float(np.linalg.norm(array.astype(np.float64)))
        told = f"{name}: norm {norm:.4g}, at most {gates.most_norm:g} may be"
        hold(norm <= gates.most_norm, told)


def _planned(plan: PrivacyPlan) -> dict[str, list[Any]]:
    """Every table that some mechanism of ``plan`` has for a head of each kind."""
    from common.heads.planned import planned_head  # torch, only where there are heads

    found: dict[str, list[Any]] = {}
    for terms in plan.heads:
        table = planned_head(terms).table()
        tables = found.setdefault(terms.kind, [])
        tables += [] if table in tables else [table]
    return found


def _lost(release: Release, kind: str, gates: Gates) -> str:
    told = figure(release.sections, f"heads.{kind}")
    hold(isinstance(told, dict), f"{kind}: not a figure")
    top, most = (
        (_OLDEST, gates.most_years_lost) if kind == "age" else (1.0, gates.most_accuracy_lost)
    )
    now, before = (_figure(told, key, kind) for key in ("released", "public"))
    hold(min(now, before) >= 0 and max(now, before) <= top, f"{kind}: figures that cannot be")
    true = now - before if kind == "age" else before - now
    said = _figure(told, "lost", kind)
    hold(abs(said - true) <= _SAME, f"{kind}: it says {said:.4g}, and its own figures {true:.4g}")
    found = end(told["lost"], gates, 1, f"what {kind} lost")
    hold(found <= most, f"{kind} lost {found:.4g}, at most {most:g} may be")
    return f"{kind} lost {found:.4g}"


def _figure(told: dict[str, Any], key: str, kind: str) -> float:
    one = told.get(key)
    if not isinstance(one, dict):
        raise ConfigError(f"the evidence does not say {key} of {kind}")
    return number(one.get("value"), f"{key} of {kind}")
