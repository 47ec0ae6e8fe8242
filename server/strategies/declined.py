"""Why sites do not take part, told to the administrator with what to type and where."""

import shlex
from collections.abc import Iterable, Mapping, Sequence

from common.trust.roster import SiteEntry

NO_ANSWER = "no answer in time"
NOT_ADMITTED = "not an admitted site"
ABSENT = "not connected"
_START = "start `mascaron-site serve` and `mascaron-site join` there"
_DOCTOR = "`mascaron-site doctor` there finds the cause"
_RELEASE = "install the same release of mascaron there and at the centre"

REMEDIES = {
    ABSENT: f"{_START}; {_DOCTOR}",
    NOT_ADMITTED: "it proved no identity of the roster: `mascaron-admin sites`",
    NO_ANSWER: f"{_DOCTOR}; a longer --timeout gives more time",
    "BUNDLE_REFUSED": _RELEASE,
    "BUSY": "its agent is at work on another run: wait for that, then resume",
    "CHARTER_PENDING": "the operator has to decide; there: `mascaron-site charter accept {digest}`",
    "CHARTER_REFUSED": "the charter has expired or is another's: propose and sign a new one",
    "COHORT_TOO_SMALL": "its policy.toml asks for a larger cohort: propose with a larger --cohort",
    "DRAINING": f"its agent is being stopped: {_START} again",
    "LEDGER_FULL": "its operator frees room on the ledger's disk and starts the agent again",
    "LEDGER_CORRUPT": "`mascaron-site ledger verify` there; nothing is released until it is whole",
    "NOT_READY": "its agent has accepted no plan of this run: resume, so that it is asked again",
    "PLAN_REFUSED": "its policy.toml forbids the plan, or its public faces are others than ours: "
    "compare `mascaron-admin charter show` with both",
    "PRIVACY_BUDGET_EXHAUSTED": "what it has left does not pay for this: `mascaron-site status` "
    "there, and a charter with a smaller --epsilon",
    "PROTOCOL_VERSION": _RELEASE,
    "REPLAY_MISMATCH": "it knows this run by another charter: propose under another --run",
    "ROLLBACK_DETECTED": "an older ledger was restored there: its operator puts the newest back",
    "SIGNATURE_INVALID": "it knows another centre than this: `mascaron-site admission` there",
    "TRUNK_MISMATCH": "its trunk is not the charter's: copy ours there, then start its agent again",
    "UNAVAILABLE": f"its agent does not answer: {_START}; {_DOCTOR}",
}
OF_SUMS = {
    "AGGREGATION_REFUSED": "its agent was started again in the middle of the attempt, or was shown "
    "what does not fit together: resume, so that a new attempt is made; if it refuses that too, "
    "the log of its agent says why",
    "REPLAY_MISMATCH": "it took part in an attempt of this number before: a centre that was "
    "restored from a backup counts anew, so resume until it is past those that were made",
}
OTHERWISE = "the log of its agent says more"


def told(declined: Mapping[str, str], digest: str, remedies: Mapping[str, str] = REMEDIES) -> str:
    """Begins with ``;``, or is empty: for each reason who gave it and what to do about it.

    ``declined`` is site (or node): reason, ``digest`` that of the charter. In a secure sum a
    reason may have another remedy: ``remedies`` is then ``REMEDIES | OF_SUMS``.
    """
    groups: dict[str, list[str]] = {}
    for who, reason in sorted(declined.items()):
        groups.setdefault(reason.removeprefix("error "), []).append(who)
    return "".join(
        f"; {', '.join(who)}: {reason} ({remedies.get(reason, OTHERWISE).format(digest=digest)})"
        for reason, who in sorted(groups.items())
    )


def lost(pools: Sequence[str], sites: Iterable[SiteEntry]) -> str:
    """That no site of ``pools`` takes part any more: which there were, and how to go on without."""
    known, told = sorted(sites, key=lambda site: site.name), []
    for pool in pools:
        names = [f"{site.name} ({site.state})" for site in known if site.camera_type == pool]
        told.append(f"no site of {pool} takes part any more: {', '.join(names) or 'none is known'}")
    options = " ".join(f"--without {shlex.quote(pool)}" for pool in pools)
    return f"{'; '.join(told)}; if they are gone for good, {options} goes on with the others"
