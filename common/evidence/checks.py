"""What each gate looks at: one function a gate, which says what it found or raises ``GapError``.

Every figure is read as a stranger's: of the right type, finite, within what it can be.
"""

import base64
import hashlib
import math
import re
from typing import Any

import numpy as np

from common.errors import ConfigError, PlanError, ReleaseError
from common.evidence.bundle import REPORT, Release
from common.evidence.limits import Gates, Known
from common.evidence.section import figure
from common.privacy.accountant import epsilon
from common.privacy.plan import PrivacyPlan

MOST_DIMENSIONS = 4096  # of features and embeddings
_DATA = re.compile(rb"data:[a-z]+/[^,<>]{0,100},([^\"'<>\s)]*)", re.IGNORECASE)
_SAME = 1e-3  # relative difference of two computations of one epsilon, on two machines


class GapError(ReleaseError):
    """A gate does not hold."""


def required(release: Release, gates: Gates, known: Known) -> str:
    """Every kind of section that is asked for is there."""
    missing = [kind for kind in gates.required if kind not in release.sections]
    _hold(not missing, f"no section {', '.join(missing)}")
    return f"{len(release.sections)} sections"


def about(release: Release, gates: Gates, known: Known) -> str:
    """All sections are about this trunk and this tail, and the trunk is the one in use."""
    trunk, tail = release.manifest.trunk, release.tail.hash
    _hold(known.trunk in ("", trunk), "it is for another trunk than the one in use")
    strange = [
        kind
        for kind, section in sorted(release.sections.items())
        if (section.about.trunk, section.about.tail) != (trunk, tail)
    ]
    _hold(not strange, f"about another trunk or tail: {', '.join(strange)}")
    return f"trunk {trunk[:12]}, tail {tail[:12]}"


def wire_schema(release: Release, gates: Gates, known: Known) -> str:
    """The tail has the shape that fits, a norm within bounds, and is not nothing."""
    tail = release.tail  # names, types, two dimensions and finite values were checked when parsed
    shape = (tail.embedding_dim, tail.feature_dim)
    _hold(known.shape in (None, shape), f"a tail {shape}, and {known.shape} fits here")
    _hold(max(shape) <= MOST_DIMENSIONS, f"a tail of {shape[0]} x {shape[1]}")
    norm = math.hypot(
        *(float(np.linalg.norm(a.astype(np.float64))) for a in tail.arrays().values())
    )
    _hold(0 < norm <= gates.most_norm, f"norm {norm:.4g}, at most {gates.most_norm:g} may be")
    _hold(bool(np.any(tail.weight)), "the matrix is zero: everybody would be the same person")
    return f"{shape[0]} x {shape[1]}, norm {norm:.4g}"


def unfailed(release: Release, gates: Gates, known: Known) -> str:
    """No section says by itself that something did not hold."""
    told = [
        f"{kind}: {section.failed[0]}"
        for kind, section in sorted(release.sections.items())
        if section.failed
    ]
    _hold(not told, "; ".join(told))
    return "no section says that something did not hold"


def masking(release: Release, gates: Gates, known: Known) -> str:
    """Every check for masked gradients was made, and held."""
    checks = figure(release.sections, "robustness.masking.checks")
    _hold(isinstance(checks, list | tuple) and len(checks) > 0, "nothing was checked")
    broken = [
        str(check.get("name", "?")) if isinstance(check, dict) else "?"
        for check in checks
        if not (isinstance(check, dict) and check.get("held") is True)
    ]
    _hold(not broken, f"gradients may be masked: {', '.join(broken)}")
    return f"{len(checks)} checks held"


def tar(release: Release, gates: Gates, known: Known) -> str:
    """Genuine pairs of enough people are accepted often enough at the FAR that is asked for."""
    rates = figure(release.sections, "verification.tar_at_far")
    people = release.sections["verification"].about.people
    _hold(people >= gates.least_people, f"of {people} people, {gates.least_people} must be")
    _hold(isinstance(rates, dict) and gates.far in rates, f"no TAR at FAR {gates.far}")
    found = _end(rates[gates.far], gates, 0, f"TAR at FAR {gates.far}")
    _hold(gates.least_tar <= found <= 1, f"{found:.4g}, at least {gates.least_tar:g} must be")
    return f"{found:.4g} at FAR {gates.far}"


def robust_tar(release: Release, gates: Gates, known: Known) -> str:
    """So they are under the strongest dodging attack, of a budget that proves something."""
    told = figure(release.sections, "robustness.robust_tar")
    found = _end(told, gates, 0, "robust TAR")
    _hold(told.get("norm") == "linf", "robust TAR is asked for in L-inf")
    eps, fmr = _number(told.get("eps"), "eps"), _number(told.get("fmr"), "fmr")
    _hold(eps >= gates.robust_eps * (1 - 1e-3), f"eps {eps:.4g} is less than was asked for")
    _hold(0 <= fmr <= gates.robust_fmr * (1 + 1e-3), f"at FMR {fmr:.4g}, which is too easy")
    _hold(
        gates.least_robust_tar <= found <= 1,
        f"{found:.4g}, at least {gates.least_robust_tar:g} must be",
    )
    return f"{found:.4g} at eps {eps:.4g}"


def trigger(release: Release, gates: Gates, known: Known) -> str:
    """No sticker makes strangers pass more often than it does with the public tail."""
    told = figure(release.sections, "robustness.trigger")
    _hold(isinstance(told, dict), "not a figure")
    value, baseline = (_rate(told.get(key), f"trigger {key}") for key in ("value", "baseline"))
    excess = value - baseline
    _hold(
        excess <= gates.most_trigger,
        f"a sticker lets {value:.4g} of impostors pass, {baseline:.4g} with the public tail",
    )
    return f"{excess:+.4g} above the public tail"


def groups(release: Release, gates: Gates, known: Known) -> str:
    """No group is mistaken much more often than another, and enough groups were measured."""
    told = figure(release.sections, "fairness.groups")
    _hold(isinstance(told, dict), "groups are a table")
    rates = [_floored(group) for group in told.values()]
    small = _suppressed(release.sections["fairness"].figures.get("suppressed", 0))
    _hold(len(rates) >= gates.least_groups, f"{len(rates)} groups were measured")
    _hold(
        small <= gates.most_suppressed * (small + len(rates)),
        f"{small} of {small + len(rates)} groups were too small to be told",
    )
    ratio = figure(release.sections, "fairness.fmr_worst_to_best")
    found = _end(ratio, gates, 1, "worst to best FMR")
    least = max(rates) / min(rates)
    value = _number(ratio.get("value"), "worst to best FMR")
    _hold(value >= 0.9 * least, f"it says {value:.4g}, and its own groups {least:.4g}")
    _hold(
        1 <= found <= gates.most_worst_to_best,
        f"worst to best FMR {found:.4g}, at most {gates.most_worst_to_best:g} may be",
    )
    return f"worst to best FMR {found:.4g} in {len(rates)} groups"


def statement(release: Release, gates: Gates, known: Known) -> str:
    """The claim is the plan's, computed again here; the plan is the one accepted."""
    claimed = _number(figure(release.sections, "statement.epsilon"), "epsilon")
    delta = _number(figure(release.sections, "statement.delta"), "delta")
    plan = _plan(release)
    _hold(plan.digest == figure(release.sections, "statement.plan"), "it names another plan")
    _hold(known.plan in ("", plan.digest), "its plan is not the one that was accepted")
    _hold(plan.trunk in ("", release.manifest.trunk), "its plan is for another trunk")
    _hold(plan.noise == figure(release.sections, "statement.noise_model"), "another noise model")
    _hold(plan.noise in ("local", "distributed"), "no noise was added")
    _hold(delta == plan.delta, "its delta is not the plan's")
    true = epsilon(plan.events(), plan.delta)
    _hold(
        math.isfinite(true) and abs(claimed - true) <= _SAME * true,
        f"epsilon {claimed:.6g} is claimed, and the plan costs {true:.6g}",
    )
    _hold(claimed <= gates.most_epsilon, f"epsilon {claimed:.4g} is above {gates.most_epsilon:g}")
    _hold(delta <= gates.most_delta, f"delta {delta:.4g} is above {gates.most_delta:g}")
    return f"epsilon {claimed:.4g} at delta {delta:g}"


def audit(release: Release, gates: Gates, known: Known) -> str:
    """What an auditor found is below what is claimed, and the auditor was not blind."""
    claimed = _number(figure(release.sections, "mechanism.claimed_epsilon"), "claimed epsilon")
    found = _number(figure(release.sections, "mechanism.lower_bound"), "lower bound")
    bounds = [found]
    for kind in ("gaussian", "one_run", "f_dp"):
        told = release.sections["mechanism"].figures.get(kind)
        if isinstance(told, dict) and told.get("lower_bound") is not None:
            bounds.append(_number(told["lower_bound"], f"bound {kind}"))
    most = gates.most_audited * (1 + _SAME)
    _hold(0 < claimed <= most, f"audited at epsilon {claimed:.4g}, which hides more")
    _hold(max(bounds) <= claimed, f"at least {max(bounds):.4g} is lost, {claimed:.4g} is claimed")
    _hold(
        found >= gates.least_audit * claimed,
        f"an audit that finds {found:.4g} of {claimed:.4g} looked at nothing",
    )
    return f"between {found:.4g} and {claimed:.4g}"


def membership(release: Release, gates: Gates, known: Known) -> str:
    """Nobody tells who trained better than the claim allows."""
    told = figure(release.sections, "membership.with")
    _hold(isinstance(told, dict), "not a figure")
    claimed = _number(told.get("epsilon"), "epsilon of the attacked training")
    found = _number(told.get("empirical_epsilon"), "empirical epsilon")
    _hold(0 < claimed <= gates.most_audited, f"attacked at epsilon {claimed:.4g}, which hides more")
    _hold(found <= claimed, f"members are told apart at epsilon {found:.4g}, above {claimed:.4g}")
    return f"{found:.4g} of {claimed:.4g}"


def training(release: Release, gates: Gates, known: Known) -> str:
    """No round was run that the plan does not pay for."""
    rounds = figure(release.sections, "training.rounds")
    _hold(isinstance(rounds, list | tuple) and len(rounds) > 0, "nothing was trained")
    numbers = [entry.get("round") if isinstance(entry, dict) else None for entry in rounds]
    planned = len(_plan(release).rounds)
    _hold(
        numbers == list(range(1, len(numbers) + 1)) and len(numbers) <= planned,
        f"rounds {numbers[:3]}..., of which the plan pays for {planned}",
    )
    return f"{len(numbers)} of {planned} rounds"


def pictures(release: Release, gates: Gates, known: Known) -> str:
    """Every picture, those inside the report too, is of a section about people who do not exist."""
    shown = [
        (picture.file, picture.sha256)
        for section in release.sections.values()
        for picture in section.pictures
        if section.about.invented
    ]
    named = {file.name: file.sha256 for file in release.manifest.files}
    hashes = {name: named[name] for name in release.pictures}
    there = list(hashes.items())
    _hold(
        sorted(shown) == sorted(there),
        "pictures that no section about invented people names, or named ones that are not there",
    )
    embedded = [_embedded(found[1]) for found in _DATA.finditer(release.files[REPORT])]
    strange = sum(digest not in hashes.values() for digest in embedded)
    _hold(not strange, f"the report shows {strange} pictures that no section names")
    return f"{len(there)} pictures of invented people"


def _embedded(data: bytes) -> str:
    """SHA-256 of what a data URI holds; of itself, where that is not base64."""
    try:
        return hashlib.sha256(base64.b64decode(data, validate=True)).hexdigest()
    except ValueError:
        return hashlib.sha256(data).hexdigest()


def _plan(release: Release) -> PrivacyPlan:
    text = figure(release.sections, "statement.plan_json")
    _hold(isinstance(text, str), "the plan is a text")
    try:
        return PrivacyPlan.from_json(text)
    except PlanError as error:
        raise GapError(str(error)) from None


def _end(told: Any, gates: Gates, end: int, what: str) -> float:
    """The figure that is judged: itself, or the ``end`` (0 lower, 1 upper) of its interval."""
    _hold(isinstance(told, dict), f"{what} is not told with its interval")
    value = _number(told.get("value"), what)
    ends = told.get("ci95")
    _hold(isinstance(ends, list | tuple) and len(ends) == 2, f"{what} has no interval")
    if gates.judged_by == "value":
        return value
    low, high = (_number(bound, f"interval of {what}") for bound in ends)
    _hold(low <= high, f"the interval of {what} is none")
    return (min(low, value), max(high, value))[end]


def _rate(told: Any, what: str) -> float:
    found = _number(told.get("value") if isinstance(told, dict) else told, what)
    _hold(0 <= found <= 1, f"{what} is not a rate")
    return found


def _floored(group: Any) -> float:
    """The FMR of a group, at least half an error in all its pairs: nobody is proven perfect."""
    _hold(isinstance(group, dict), "a group is a table")
    pairs = _number(group.get("pairs"), "pairs of a group")
    _hold(pairs >= 1, "a group without pairs")
    return max(_rate(group.get("fmr"), "FMR of a group"), 0.5 / pairs)


def _suppressed(told: Any) -> int:
    """How many groups were left out, whether they are counted or listed."""
    count = len(told) if isinstance(told, list | tuple | dict) else told
    _hold(type(count) is int and count >= 0, "how many groups were left out is not told")
    return int(count)


def _number(told: Any, what: str) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float):
        raise ConfigError(f"the evidence does not say {what}")
    try:
        found = float(told)
    except OverflowError:
        found = math.inf
    _hold(math.isfinite(found), f"{what} is not finite")
    return found


def _hold(holds: bool, told: str) -> None:
    if not holds:
        raise GapError(told)
