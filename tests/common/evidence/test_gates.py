"""Planted bad releases: the right gate stops each; the good one passes, and only the good one."""

import base64
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError, ReleaseError
from common.evidence.bundle import Release
from common.evidence.claims import statement_section
from common.evidence.gates import GATES, check_gates, judge, refused
from common.evidence.limits import Gates, Known, load_gates
from common.evidence.section import ALWAYS, About, Picture
from common.models.tail import Tail
from common.privacy.plan import MomentMechanism
from tests.small_evidence import (
    COMMAND,
    GRID,
    PNG,
    REPORT,
    TRUNK,
    group,
    plan,
    rate,
    release,
    section,
    sections,
    tail,
)

LOOSE, STRICT = load_gates(), Gates(most_epsilon=10, least_tar=0.8)


def stopped(bad: Release, gates: Gates = LOOSE, known: Known | None = None) -> tuple[str, ...]:
    return refused(judge(bad, gates, known))


def with_figures(kind: str, **figures: Any) -> Release:
    """The good release with other figures in one section."""
    good = sections(tail())
    told = {**good[kind].figures, **figures}
    good[kind] = dataclasses.replace(good[kind], figures=told)
    return release(good)


def with_nested(kind: str, key: str, **figures: Any) -> Release:
    old = sections(tail())[kind].figures[key]
    return with_figures(kind, **{key: {**old, **figures}})


def without(kind: str, *path: str) -> Release:
    """The good release without one figure."""
    good = sections(tail())
    table = good[kind].figures
    for key in path[:-1]:
        table = table[key]
    del table[path[-1]]
    return release(good)


def test_the_good_release_passes_shipped_and_strict_gates() -> None:
    for gates in (LOOSE, STRICT):
        verdicts = check_gates(release(), gates, Known(trunk=TRUNK, shape=(4, 6)))
        assert [v.gate for v in verdicts] == list(GATES)
        assert all(v.held and v.detail for v in verdicts)


# planted bad releases -------------------------------------------------------------------------


def test_one_that_is_biased_against_a_group_is_stopped() -> None:
    biased = {"a": group(0.2), "b": group(0.01)}
    ratio = {"value": 20.0, "ci95": [15.0, 25.0]}
    assert stopped(with_figures("fairness", groups=biased, fmr_worst_to_best=ratio)) == ("groups",)
    assert stopped(with_figures("fairness", groups=biased)) == ("groups",)  # a prettier ratio
    assert stopped(with_figures("fairness", groups={"a": group(0.01)})) == ("groups",)
    assert stopped(with_figures("fairness", suppressed=["c", "d", "e"])) == ("groups",)
    nobody = {"a": group(0.01), "b": group(0.0)}  # half an error in a thousand pairs
    assert stopped(with_figures("fairness", groups=nobody)) == ("groups",)
    for strange in (None, {}, {"fmr": 0.01}, {"fmr": rate(0.01), "pairs": 0}):
        odd = {"a": group(0.01), "b": strange}
        assert stopped(with_figures("fairness", groups=odd)) == ("groups",)


def test_a_group_without_an_error_counts_as_having_half_of_one() -> None:
    told = {"a": group(0.001), "b": group(0.0, pairs=1000)}
    assert not stopped(with_figures("fairness", groups=told))


def test_one_with_a_backdoor_is_stopped() -> None:
    bad = with_figures("robustness", trigger={"value": 0.97, "baseline": 0.03})
    assert stopped(bad) == ("trigger",)
    # A baseline that was made large hides it no better than a figure that is no rate.
    hidden = with_figures("robustness", trigger={"value": 0.97, "baseline": 97.0})
    assert stopped(hidden) == ("trigger",)


def test_one_that_claims_less_epsilon_than_its_plan_costs_is_stopped() -> None:
    true = sections(tail())["statement"].figures["epsilon"]
    for claimed in (true / 2, true * 0.99, true * 1.01, true * 2):
        assert stopped(with_figures("statement", epsilon=claimed)) == ("statement",)
    assert stopped(with_figures("statement", delta=1e-3)) == ("statement",)


def test_one_whose_plan_is_not_the_one_that_ran_is_stopped() -> None:
    gentle = (MomentMechanism(kind="mean", sigma=9.0, clip=1.0, name="mean"),)
    about = About(trunk=TRUNK, tail=tail().hash)
    good, other = sections(tail()), plan(mechanisms=gentle)
    good["statement"] = statement_section(other, about, COMMAND)
    assert stopped(release(good)) == ("training",)  # two rounds ran, and it pays for one
    accepted = Known(plan=plan().digest)
    assert "statement" in stopped(release(good), LOOSE, accepted)
    assert not stopped(release(), LOOSE, accepted)


@pytest.mark.parametrize(
    "change",
    [
        {"noise": "none"},
        {"mechanisms": (MomentMechanism(kind="mean", sigma=1e-5, clip=1.0, name="mean"),)},
        {"mechanisms": (MomentMechanism(kind="mean", sigma=0.1, clip=1.0, name="mean"),)},
        {"delta": 0.5},
        {"trunk": "0" * 64},
    ],
)
def test_a_plan_without_enough_noise_or_for_another_trunk_is_stopped(change: Any) -> None:
    if change.get("noise") == "none":
        change = {**change, "mechanisms": (_silent(),)}
    terms = plan(**change)
    found = stopped(release(sections(tail(), terms=terms)))
    assert found == ("statement",)


def _silent() -> MomentMechanism:
    return MomentMechanism(kind="mean", sigma=0.0, clip=1.0, name="mean")


def test_one_without_noise_cannot_claim_a_finite_epsilon() -> None:
    terms = plan(mechanisms=(MomentMechanism(kind="mean", sigma=1e-5, clip=1, name="mean"),))
    good = sections(tail(), terms=terms)
    told = {**good["statement"].figures, "epsilon": 3.0}
    good["statement"] = dataclasses.replace(good["statement"], figures=told)
    assert stopped(release(good)) == ("statement",)


def test_one_with_masked_gradients_is_stopped() -> None:
    checks = [
        {"name": "fgsm <= pgd", "held": True, "detail": ""},
        {"name": "white box >= transfer", "held": False, "detail": "0.1 < 0.6"},
    ]
    assert stopped(with_nested("robustness", "masking", checks=checks)) == ("masking",)
    assert stopped(with_nested("robustness", "masking", checks=[])) == ("masking",)
    good = sections(tail())
    said = ("masking: white box >= transfer",)
    good["robustness"] = dataclasses.replace(good["robustness"], failed=said)
    assert stopped(release(good)) == ("checks",)


def test_one_whose_audit_found_more_than_is_claimed_is_stopped() -> None:
    assert stopped(with_figures("mechanism", lower_bound=8.2)) == ("audit",)
    for kind in ("gaussian", "one_run", "f_dp"):
        assert stopped(with_nested("mechanism", kind, lower_bound=11.0)) == ("audit",)
    # A larger claim hides nothing, and an audit that finds nothing proves nothing.
    assert stopped(with_figures("mechanism", lower_bound=11.0, claimed_epsilon=12.0)) == ("audit",)
    assert stopped(with_figures("mechanism", lower_bound=0.0)) == ("audit",)


def test_one_whose_members_are_told_apart_is_stopped() -> None:
    assert stopped(with_nested("membership", "with", empirical_epsilon=5.5)) == ("membership",)
    # A larger claim hides nothing.
    larger = with_nested("membership", "with", empirical_epsilon=11.0, epsilon=12.0)
    assert stopped(larger) == ("membership",)


@pytest.mark.parametrize("kind", ALWAYS)
def test_a_section_about_another_tail_or_trunk_is_stopped(kind: str) -> None:
    for trunk, of in ((TRUNK, "1" * 64), ("2" * 64, tail().hash)):
        about = About(trunk=trunk, tail=of, people=160)
        good = sections(tail())
        good[kind] = dataclasses.replace(good[kind], about=about)
        assert stopped(release(good)) == ("about",)


@pytest.mark.parametrize("kind", ALWAYS)
def test_a_section_that_is_missing_is_stopped(kind: str) -> None:
    good = sections(tail())
    shown = {"report.html": REPORT, **({} if kind == "inversion" else {GRID: PNG})}
    del good[kind]
    assert stopped(release(good, shown=shown), STRICT)[0] == "required"


@pytest.mark.parametrize("kind", ALWAYS)
def test_a_section_that_says_it_failed_is_stopped(kind: str) -> None:
    good = sections(tail())
    good[kind] = dataclasses.replace(good[kind], failed=("something",))
    assert stopped(release(good)) == ("checks",)


NEEDED = {
    "tar": [("verification", "tar_at_far"), ("verification", "tar_at_far", "1e-2")],
    "robust-tar": [
        ("robustness", "robust_tar"),
        *(("robustness", "robust_tar", key) for key in ("value", "ci95", "eps", "norm", "fmr")),
    ],
    "trigger": [("robustness", "trigger"), ("robustness", "trigger", "baseline")],
    "masking": [("robustness", "masking"), ("robustness", "masking", "checks")],
    "groups": [("fairness", "groups"), ("fairness", "fmr_worst_to_best")],
    "statement": [("statement", key) for key in ("epsilon", "delta", "plan", "noise_model")],
    "audit": [("mechanism", "claimed_epsilon"), ("mechanism", "lower_bound")],
    "membership": [("membership", "with"), ("membership", "with", "empirical_epsilon")],
    "training": [("training", "rounds")],
}


@pytest.mark.parametrize(
    ("gate", "path"), [(g, path) for g, all_ in NEEDED.items() for path in all_]
)
def test_a_figure_that_is_missing_fails_its_gate(gate: str, path: tuple[str, ...]) -> None:
    assert stopped(without(*path)) == (gate,)


@pytest.mark.parametrize("value", [None, "0.9", True, [], {}, -1, 2, 10**400, {"value": "x"}])
def test_a_figure_that_is_none_fails_its_gate(value: Any) -> None:
    assert stopped(with_figures("verification", tar_at_far={"1e-2": value})) == ("tar",)
    assert stopped(with_figures("robustness", trigger={"value": value, "baseline": 0})) in (
        ("trigger",),
        (),
    )
    assert "audit" in stopped(with_figures("mechanism", lower_bound=value))


# other gates ----------------------------------------------------------------------------------


def test_too_few_genuine_pairs_accepted_is_stopped() -> None:
    assert stopped(with_figures("verification", tar_at_far={"1e-2": rate(0.3)})) == ("tar",)
    wide = {"1e-2": rate(0.9, 0.2)}  # the lower end counts
    assert stopped(with_figures("verification", tar_at_far=wide), STRICT) == ("tar",)


def test_robustness_is_measured_where_it_was_asked_for() -> None:
    strict = dataclasses.replace(LOOSE, least_robust_tar=0.3)
    assert stopped(with_nested("robustness", "robust_tar", value=0.1), strict) == ("robust-tar",)
    for weak in ({"eps": 1 / 255}, {"norm": "l2"}, {"fmr": 0.1}):
        assert stopped(with_nested("robustness", "robust_tar", **weak)) == ("robust-tar",)


def test_a_tail_of_another_shape_or_out_of_bounds_is_stopped() -> None:
    fits = Known(trunk=TRUNK, shape=(4, 7))
    assert stopped(release(), LOOSE, fits) == ("wire-schema",)
    assert stopped(release(), LOOSE, Known(trunk="b" * 64)) == ("about",)
    zeros = np.zeros(4, np.float32)
    for weight in (np.full((4, 6), 1e6, np.float32), np.zeros((4, 6), np.float32)):
        of = Tail(weight, zeros + 1)
        assert stopped(release(sections(of), of)) == ("wire-schema",)


def test_rounds_that_nobody_paid_for_are_stopped() -> None:
    rounds = [{"round": n} for n in (1, 2, 3)]
    for told in (rounds, rounds[1:], [rounds[0], rounds[0]], [], [{}], "12"):
        assert stopped(with_figures("training", rounds=told)) == ("training",)
    assert not stopped(with_figures("training", rounds=rounds[:1]))  # stopped early


def test_pictures_are_named_by_a_section_about_invented_people() -> None:
    extra = {"report.html": REPORT, GRID: PNG, "somebody.png": PNG}
    assert stopped(release(shown=extra)) == ("pictures",)
    assert stopped(release(shown={"report.html": REPORT})) == ("pictures",)
    real = About(trunk=TRUNK, tail=tail().hash, faces="3" * 64, people=9, invented=False)
    with pytest.raises(ConfigError):
        section("inversion", real, {}, pictures=(Picture.of(GRID, PNG, ""),))
    good = sections(tail())
    good["inversion"] = dataclasses.replace(good["inversion"], about=real, pictures=())
    assert stopped(release(good)) == ("pictures",)


def test_the_report_shows_no_other_pictures() -> None:
    def shown(content: bytes) -> dict[str, bytes]:
        embedded = b'<img src="data:image/png;base64,' + base64.b64encode(content) + b'">'
        return {"report.html": REPORT + b'<link href="data:,">' + embedded, GRID: PNG}

    assert not stopped(release(shown=shown(PNG)))
    assert stopped(release(shown=shown(b"somebody"))) == ("pictures",)
    plain = {"report.html": b"<img src='DATA:image/svg+xml,%3Csvg'>", GRID: PNG}
    assert stopped(release(shown=plain)) == ("pictures",)


def test_evidence_of_too_few_people_is_stopped() -> None:
    good = sections(tail())
    few = dataclasses.replace(good["verification"].about, people=19)
    good["verification"] = dataclasses.replace(good["verification"], about=few)
    assert stopped(release(good)) == ("tar",)


def test_what_is_refused_is_told_by_gate_and_cause() -> None:
    bad = with_figures("robustness", trigger={"value": 0.97, "baseline": 0.03})
    with pytest.raises(ReleaseError, match=r"trigger \(a sticker lets 0.97 of impostors pass"):
        check_gates(bad, LOOSE)


# settings -------------------------------------------------------------------------------------


def test_a_limit_that_is_left_out_is_the_strict_one(tmp_path: Path) -> None:
    path = tmp_path / "gates.toml"
    path.write_text("least_tar = 0.7\n", "utf-8")
    assert load_gates(path) == Gates(least_tar=0.7)
    assert load_gates() == LOOSE


@pytest.mark.parametrize(
    "line",
    [
        "least_tar = 2",
        "most_accuracy_lost = 2",
        "most_years_lost = -1",
        "least_tar = nan",
        "most_worst_to_best = 0.5",
        "least_groups = 1",
        "most_epsilon = inf",
        'required = ["nothing"]',
        'judged_by = "mood"',
        "override = true",
    ],
)
def test_gates_that_nobody_can_mean_are_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "gates.toml"
    path.write_text(line + "\n", "utf-8")
    with pytest.raises(ConfigError):
        load_gates(path)


def test_the_strict_gates_are_nowhere_looser_than_the_shipped_ones() -> None:
    for name, value in vars_of(LOOSE).items():
        strict = vars_of(Gates())[name]
        if name.startswith(("least_", "robust_eps")) and isinstance(value, float):
            assert strict >= value - 1e-5, name
        elif name.startswith("most_") and math.isfinite(value):
            assert strict <= value, name


def vars_of(gates: Gates) -> dict[str, Any]:
    return {f.name: getattr(gates, f.name) for f in dataclasses.fields(gates)}
