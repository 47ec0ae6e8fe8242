"""What each gate looks at: one function a gate, which says what it found or raises ``GapError``."""

import base64
import hashlib
import math
import re
from typing import Any

import numpy as np

from common.evidence.bundle import REPORT, Release
from common.evidence.gaps import end, hold, number, plan_of, rate
from common.evidence.limits import Gates, Known
from common.evidence.section import figure
from common.privacy.accountant import epsilon

MOST_DIMENSIONS = 4096  # of features and embeddings
_DATA = re.compile(rb"data:[a-z]+/[^,<>]{0,100},([^\"'<>\s)]*)", re.IGNORECASE)
_SAME = 1e-3  # relative difference of two computations of one epsilon, on two machines


def required(release: Release, gates: Gates, known: Known) -> str:
    """Every kind of section that is asked for is there."""
    missing = [kind for kind in gates.required if kind not in release.sections]
    hold(not missing, f"no section {', '.join(missing)}")
    return f"{len(release.sections)} sections"


def about(release: Release, gates: Gates, known: Known) -> str:
    """All sections are about this trunk and this tail, and the trunk is the one in use."""
    trunk, tail = release.manifest.trunk, release.tail.hash
    hold(known.trunk in ("", trunk), "it is for another trunk than the one in use")
    strange = [
        kind
        for kind, section in sorted(release.sections.items())
        if (section.about.trunk, section.about.tail) != (trunk, tail)
    ]
    hold(not strange, f"about another trunk or tail: {', '.join(strange)}")
    return f"trunk {trunk[:12]}, tail {tail[:12]}"


def wire_schema(release: Release, gates: Gates, known: Known) -> str:
    """The tail has the shape that fits, a norm within bounds, and is not nothing."""
    tail = release.tail  # names, types, two dimensions and finite values were checked when parsed
    shape = (tail.embedding_dim, tail.feature_dim)
    hold(known.shape in (None, shape), f"a tail {shape}, and {known.shape} fits here")
    hold(max(shape) <= MOST_DIMENSIONS, f"a tail of {shape[0]} x {shape[1]}")
    norm = math.hypot(
        *(float(np.linalg.norm(a.astype(np.float64))) for a in tail.arrays().values())
    )
    hold(0 < norm <= gates.most_norm, f"norm {norm:.4g}, at most {gates.most_norm:g} may be")
    hold(bool(np.any(tail.weight)), "the matrix is zero: everybody would be the same person")
    return f"{shape[0]} x {shape[1]}, norm {norm:.4g}"


def unfailed(release: Release, gates: Gates, known: Known) -> str:
    """No section says by itself that something did not hold."""
    told = [
        f"{kind}: {section.failed[0]}"
        for kind, section in sorted(release.sections.items())
        if section.failed
    ]
    hold(not told, "; ".join(told))
    return "no section says that something did not hold"


def masking(release: Release, gates: Gates, known: Known) -> str:
    """Every check for masked gradients was made, and held."""
    checks = figure(release.sections, "robustness.masking.checks")
    hold(isinstance(checks, list | tuple) and len(checks) > 0, "nothing was checked")
    broken = [
        str(check.get("name", "?")) if isinstance(check, dict) else "?"
        for check in checks
        if not (isinstance(check, dict) and check.get("held") is True)
    ]
    hold(not broken, f"gradients may be masked: {', '.join(broken)}")
    return f"{len(checks)} checks held"


def tar(release: Release, gates: Gates, known: Known) -> str:
    """Genuine pairs of enough people are accepted often enough at the FAR that is asked for."""
    rates = figure(release.sections, "verification.tar_at_far")
    people = release.sections["verification"].about.people
    hold(people >= gates.least_people, f"of {people} people, {gates.least_people} must be")
    hold(isinstance(rates, dict) and gates.far in rates, f"no TAR at FAR {gates.far}")
    found = end(rates[gates.far], gates, 0, f"TAR at FAR {gates.far}")
    hold(gates.least_tar <= found <= 1, f"{found:.4g}, at least {gates.least_tar:g} must be")
    return f"{found:.4g} at FAR {gates.far}"


def robust_tar(release: Release, gates: Gates, known: Known) -> str:
    """So they are under the strongest dodging attack, of a budget that proves something."""
    told = figure(release.sections, "robustness.robust_tar")
    found = end(told, gates, 0, "robust TAR")
    hold(told.get("norm") == "linf", "robust TAR is asked for in L-inf")
    eps, fmr = number(told.get("eps"), "eps"), number(told.get("fmr"), "fmr")
    hold(eps >= gates.robust_eps * (1 - 1e-3), f"eps {eps:.4g} is less than was asked for")
    hold(0 <= fmr <= gates.robust_fmr * (1 + 1e-3), f"at FMR {fmr:.4g}, which is too easy")
    hold(
        gates.least_robust_tar <= found <= 1,
        f"{found:.4g}, at least {gates.least_robust_tar:g} must be",
    )
    return f"{found:.4g} at eps {eps:.4g}"


def trigger(release: Release, gates: Gates, known: Known) -> str:
    """No sticker makes strangers pass more often than it does with the public tail."""
    told = figure(release.sections, "robustness.trigger")
    hold(isinstance(told, dict), "not a figure")
    value, baseline = (rate(told.get(key), f"trigger {key}") for key in ("value", "baseline"))
    excess = value - baseline
    hold(
        excess <= gates.most_trigger,
        f"a sticker lets {value:.4g} of impostors pass, {baseline:.4g} with the public tail",
    )
    return f"{excess:+.4g} above the public tail"


def groups(release: Release, gates: Gates, known: Known) -> str:
    """No group is mistaken much more often than another, and enough groups were measured."""
    told = figure(release.sections, "fairness.groups")
    hold(isinstance(told, dict), "groups are a table")
    rates = [_floored(group) for group in told.values()]
    small = _suppressed(release.sections["fairness"].figures.get("suppressed", 0))
    hold(len(rates) >= gates.least_groups, f"{len(rates)} groups were measured")
    hold(
        small <= gates.most_suppressed * (small + len(rates)),
        f"{small} of {small + len(rates)} groups were too small to be told",
    )
    ratio = figure(release.sections, "fairness.fmr_worst_to_best")
    found = end(ratio, gates, 1, "worst to best FMR")
    least = max(rates) / min(rates)
    value = number(ratio.get("value"), "worst to best FMR")
    hold(value >= 0.9 * least, f"it says {value:.4g}, and its own groups {least:.4g}")
    hold(
        1 <= found <= gates.most_worst_to_best,
        f"worst to best FMR {found:.4g}, at most {gates.most_worst_to_best:g} may be",
    )
    return f"worst to best FMR {found:.4g} in {len(rates)} groups"


def statement(release: Release, gates: Gates, known: Known) -> str:
    """The claim is the plan's, computed again here; the plan is the one accepted."""
    claimed = number(figure(release.sections, "statement.epsilon"), "epsilon")
    delta = number(figure(release.sections, "statement.delta"), "delta")
    plan = plan_of(release)
    hold(plan.digest == figure(release.sections, "statement.plan"), "it names another plan")
    hold(known.plan in ("", plan.digest), "its plan is not the one that was accepted")
    hold(plan.trunk in ("", release.manifest.trunk), "its plan is for another trunk")
    hold(plan.noise == figure(release.sections, "statement.noise_model"), "another noise model")
    hold(plan.noise in ("local", "distributed"), "no noise was added")
    hold(delta == plan.delta, "its delta is not the plan's")
    true = epsilon(plan.events(), plan.delta)
    hold(
        math.isfinite(true) and abs(claimed - true) <= _SAME * true,
        f"epsilon {claimed:.6g} is claimed, and the plan costs {true:.6g}",
    )
    hold(claimed <= gates.most_epsilon, f"epsilon {claimed:.4g} is above {gates.most_epsilon:g}")
    hold(delta <= gates.most_delta, f"delta {delta:.4g} is above {gates.most_delta:g}")
    return f"epsilon {claimed:.4g} at delta {delta:g}"


def audit(release: Release, gates: Gates, known: Known) -> str:
    """What an auditor found is below what is claimed, and the auditor was not blind."""
    claimed = number(figure(release.sections, "mechanism.claimed_epsilon"), "claimed epsilon")
    found = number(figure(release.sections, "mechanism.lower_bound"), "lower bound")
    bounds = [found]
    for kind in ("gaussian", "one_run", "f_dp"):
        told = release.sections["mechanism"].figures.get(kind)
        if isinstance(told, dict) and told.get("lower_bound") is not None:
            bounds.append(number(told["lower_bound"], f"bound {kind}"))
    most = gates.most_audited * (1 + _SAME)
    hold(0 < claimed <= most, f"audited at epsilon {claimed:.4g}, which hides more")
    hold(max(bounds) <= claimed, f"at least {max(bounds):.4g} is lost, {claimed:.4g} is claimed")
    hold(
        found >= gates.least_audit * claimed,
        f"an audit that finds {found:.4g} of {claimed:.4g} looked at nothing",
    )
    return f"between {found:.4g} and {claimed:.4g}"


def membership(release: Release, gates: Gates, known: Known) -> str:
    """Nobody tells who trained better than the claim allows."""
    told = figure(release.sections, "membership.with")
    hold(isinstance(told, dict), "not a figure")
    claimed = number(told.get("epsilon"), "epsilon of the attacked training")
    found = number(told.get("empirical_epsilon"), "empirical epsilon")
    hold(0 < claimed <= gates.most_audited, f"attacked at epsilon {claimed:.4g}, which hides more")
    hold(found <= claimed, f"members are told apart at epsilon {found:.4g}, above {claimed:.4g}")
    return f"{found:.4g} of {claimed:.4g}"


def training(release: Release, gates: Gates, known: Known) -> str:
    """No round was run that the plan does not pay for."""
    rounds = figure(release.sections, "training.rounds")
    hold(isinstance(rounds, list | tuple) and len(rounds) > 0, "nothing was trained")
    numbers = [entry.get("round") if isinstance(entry, dict) else None for entry in rounds]
    planned = len(plan_of(release).rounds)
    hold(
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
    hold(
        sorted(shown) == sorted(there),
        "pictures that no section about invented people names, or named ones that are not there",
    )
    embedded = [_embedded(found[1]) for found in _DATA.finditer(release.files[REPORT])]
    strange = sum(digest not in hashes.values() for digest in embedded)
    hold(not strange, f"the report shows {strange} pictures that no section names")
    return f"{len(there)} pictures of invented people"


def _embedded(data: bytes) -> str:
    """SHA-256 of what a data URI holds; of itself, where that is not base64."""
    try:
        return hashlib.sha256(base64.b64decode(data, validate=True)).hexdigest()
    except ValueError:
        return hashlib.sha256(data).hexdigest()


def _floored(group: Any) -> float:
    """The FMR of a group, at least half an error in all its pairs: nobody is proven perfect."""
    hold(isinstance(group, dict), "a group is a table")
    pairs = number(group.get("pairs"), "pairs of a group")
    hold(pairs >= 1, "a group without pairs")
    return max(rate(group.get("fmr"), "FMR of a group"), 0.5 / pairs)


def _suppressed(told: Any) -> int:
    """How many groups were left out, whether they are counted or listed."""
    count = len(told) if isinstance(told, list | tuple | dict) else told
    hold(type(count) is int and count >= 0, "how many groups were left out is not told")
    return int(count)
