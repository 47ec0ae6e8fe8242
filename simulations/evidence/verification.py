"""How well a model tells people apart who took no part in it: TAR, DET, thresholds of others."""

from typing import Any

from simulations.evidence.subject import Subject
from simulations.figures import Asked, Embedded, figures_of

FMR = 1e-2


def verification_figures(subject: Subject, seed: int, fmr: float = FMR) -> dict[str, Any]:
    """``tar_at_far``, the error rates of a DET curve, and decisions at the others' threshold.

    ``ScenarioError`` where nobody is seen twice.
    """
    found = figures_of(
        Embedded(subject.embeddings, subject.tested.person),
        Embedded(subject.other_embeddings, subject.others.person),
        Asked(fmr=fmr, seed=seed),
    )
    told = dict(found["verification"])
    roc = told.pop("roc")
    det = {"fmr": roc["fmr"], "fnmr": [1 - tar for tar in roc["tar"]]}
    return {**told, "det": det, "decisions": found["classification"]}
