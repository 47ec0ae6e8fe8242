"""The gates that a release has to pass: one verdict a gate, all of them asked.

Guarantee: evidence that is missing, malformed, of another tail, or at odds with itself fails the
gate that needs it; nothing here can be told to let a release pass all the same.
Leaks: a centre that signs figures nobody measured passes all gates but those that compute anew
(statement, schema, log): each section names the command and the seed to measure it again.
"""

from collections.abc import Callable

from common.errors import MascaronError, ReleaseError
from common.evidence import checks, head_checks
from common.evidence.bundle import Release, Verdict
from common.evidence.limits import Gates, Known

Gate = Callable[[Release, Gates, Known], str]  # what was found; raises where it does not hold

GATES: dict[str, Gate] = {
    "required": checks.required,
    "about": checks.about,
    "wire-schema": checks.wire_schema,
    "checks": checks.unfailed,
    "masking": checks.masking,
    "tar": checks.tar,
    "robust-tar": checks.robust_tar,
    "trigger": checks.trigger,
    "groups": checks.groups,
    "statement": checks.statement,
    "audit": checks.audit,
    "membership": checks.membership,
    "training": checks.training,
    "heads": head_checks.heads_belong,
    "heads-judged": head_checks.heads_judged,
    "pictures": checks.pictures,
}


def judge(release: Release, gates: Gates, known: Known | None = None) -> tuple[Verdict, ...]:
    """What every gate says of ``release``, in a fixed order; all are asked."""
    return tuple(_ask(name, release, gates, known or Known()) for name in GATES)


def refused(verdicts: tuple[Verdict, ...]) -> tuple[str, ...]:
    """The names of the gates that do not hold."""
    return tuple(verdict.gate for verdict in verdicts if not verdict.held)


def check_gates(release: Release, gates: Gates, known: Known | None = None) -> tuple[Verdict, ...]:
    """What ``judge`` says, if all gates hold; ``ReleaseError`` names those that do not, and why."""
    verdicts = judge(release, gates, known)
    failed = [f"{verdict.gate} ({verdict.detail})" for verdict in verdicts if not verdict.held]
    if failed:
        raise ReleaseError(f"gates refuse release {release.digest[:12]}: {'; '.join(failed)}")
    return verdicts


def _ask(name: str, release: Release, gates: Gates, known: Known) -> Verdict:
    try:
        return Verdict(gate=name, held=True, detail=GATES[name](release, gates, known))
    except MascaronError as error:
        return Verdict(gate=name, held=False, detail=str(error))
