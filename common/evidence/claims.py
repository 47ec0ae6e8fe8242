"""What a release claims of privacy, and the log of its training, as sections of its evidence."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from common.bundle import VERSION
from common.evidence.section import About, Section
from common.privacy.accountant import epsilon
from common.privacy.plan import PrivacyPlan
from common.privacy.statement import statement

_ROUND = ("round", "mechanism", "public")  # of the log: nothing that a site may be known by


def statement_section(
    plan: PrivacyPlan, about: About, command: str, charter: str = "", heads: str = ""
) -> Section:
    """What a run of ``plan`` costs a person at one site; ``charter`` is the digest of its charter,
    ``heads`` the SHA-256 of the file of heads that was released with the tail.

    The plan stands in it whole, so that whoever reads the claim can compute it again.
    """
    lost = epsilon(plan.events(), plan.delta)
    told = statement(plan, {"one site": plan.events()})
    figures = {
        "epsilon": lost if math.isfinite(lost) else None,
        "delta": plan.delta,
        "noise_model": plan.noise,
        "honest_sites": plan.honest_sites,
        "declared_people": plan.people,
        "plan": plan.digest,
        "plan_json": plan.to_json(),
        "charter": charter,
        "heads": heads,
        **{key: told[key] for key in ("in_plain_words", "trust", "excluded", "mechanisms")},
    }
    return Section(
        kind="statement", about=about, seed=0, command=command, version=VERSION, figures=figures
    )


def training_section(
    history: Sequence[Mapping[str, Any]], plan: PrivacyPlan, about: About, command: str
) -> Section:
    """The rounds of a run as its checkpoint has them: number, mechanism and public figures.

    Leaks: how many rounds there were; no site, no node and no count of anybody is taken over.
    """
    rounds = [
        {key: entry[key] for key in _ROUND if isinstance(entry.get(key), str | int | float)}
        for entry in history
    ]
    figures = {"rounds": rounds, "planned": len(plan.rounds), "plan": plan.digest}
    return Section(
        kind="training", about=about, seed=0, command=command, version=VERSION, figures=figures
    )
