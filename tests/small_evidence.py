"""A small release that passes all shipped gates, for tests to spoil one thing at a time."""

import copy
import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.bundle import VERSION
from common.evidence.bundle import Origin, Release, make_release
from common.evidence.claims import statement_section, training_section
from common.evidence.section import About, Picture, Section
from common.models.tail import Tail
from common.privacy.plan import MomentMechanism, PrivacyPlan

FEDERATION, TRUNK = "fe" * 32, "7a" * 32
MADE = 1_800_000_000
REPORT = b"<!doctype html><title>evidence</title>"
PNG = b"\x89PNG\r\n\x1a\n" + zlib.compress(b"nobody")
GRID = "inversion-update.png"
COMMAND = "mascaron-lab evidence"


def tail(seed: int = 0, shape: tuple[int, int] = (4, 6)) -> Tail:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal(shape).astype(np.float32)
    return Tail(weight, np.zeros(shape[0], np.float32))


def plan(trunk: str = TRUNK, **changes: Any) -> PrivacyPlan:
    mechanisms = tuple(
        MomentMechanism(kind=kind, sigma=1.2, clip=1.0, name=kind)  # type: ignore[arg-type]
        for kind in ("mean", "scatter")
    )
    told = {"people": 100, "delta": 1e-4, "trunk": trunk, "mechanisms": mechanisms}
    return PrivacyPlan(**{**told, **changes})


def rate(value: float, width: float = 0.05) -> dict[str, Any]:
    return {"value": value, "ci95": [value - width, value + width]}


def group(fmr: float, pairs: int = 1000) -> dict[str, Any]:
    return {"people": 20, "pairs": pairs, "fmr": rate(fmr, fmr / 10), "fnmr": None}


FIGURES: dict[str, dict[str, Any]] = {
    "verification": {"tar_at_far": {"1e-2": rate(0.9), "1e-3": rate(0.8)}},
    "robustness": {
        "robust_tar": {**rate(0.4), "norm": "linf", "eps": 2 / 255, "attack": "apgd", "fmr": 0.01},
        "trigger": {"value": 0.04, "baseline": 0.03},
        "masking": {"checks": [{"name": "fgsm <= pgd", "held": True, "detail": ""}]},
    },
    "mechanism": {
        "claimed_epsilon": 8.0,
        "delta": 1e-5,
        "lower_bound": 7.1,
        "gaussian": {"lower_bound": 7.1},
        "one_run": {"lower_bound": 2.0, "ceiling": 3.0},
        "f_dp": {"lower_bound": 5.0, "ceiling": 6.0},
    },
    "membership": {
        "without": {"epsilon": None, "empirical_epsilon": 3.0},
        "with": {"epsilon": 5.0, "empirical_epsilon": 0.3},
    },
    "inversion": {"update": {"with": 0.0}},
    "attributes": {"balanced_accuracy": 0.7},
    "fairness": {
        "fmr": 0.01,
        "groups": {"a": group(0.02), "b": group(0.01)},
        "fmr_worst_to_best": {"value": 2.0, "ci95": [1.5, 2.6]},
        "suppressed": [],
    },
}


def section(kind: str, about: About, figures: Mapping[str, Any], **told: Any) -> Section:
    return Section(
        kind=kind,
        about=about,
        seed=1,
        command=COMMAND,
        version=VERSION,
        figures=dict(figures),
        **told,
    )


def sections(of: Tail, trunk: str = TRUNK, terms: PrivacyPlan | None = None) -> dict[str, Section]:
    """All kinds, about ``of``; each as good as can be."""
    about, terms = About(trunk=trunk, tail=of.hash, people=160), terms or plan(trunk)
    shown = {"inversion": (Picture.of(GRID, PNG, "nobody"),)}
    found = {
        kind: section(kind, about, copy.deepcopy(figures), pictures=shown.get(kind, ()))
        for kind, figures in FIGURES.items()
    }
    history = [
        {"round": r.number, "mechanism": r.mechanism.name, "sites": 3, "public": 0.5}
        for r in terms.rounds
    ]
    found["statement"] = statement_section(terms, about, COMMAND)
    found["training"] = training_section(history, terms, about, COMMAND)
    return found


def release(
    given: Mapping[str, Section] | None = None,
    of: Tail | None = None,
    shown: Mapping[str, bytes] | None = None,
    **origin: Any,
) -> Release:
    """A release of ``of`` with the sections ``given``; the good ones unless said otherwise."""
    of = of or tail()
    told = {"federation": FEDERATION, "run": "spring", "pool": "door", "made": MADE, **origin}
    files = {"report.html": REPORT, GRID: PNG} if shown is None else shown
    chosen = sections(of) if given is None else given
    return make_release(Origin(**told), of, TRUNK, list(chosen.values()), files)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
