"""What the page of a run shows: the answer, charts, what it cost, and how it was made."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simulations.report.bars import Figure
from simulations.report.cameras import camera_strips
from simulations.report.lists import (
    FAR,
    bytes_figure,
    gain_figure,
    ladder_figure,
    sites_figure,
    spent_figure,
)
from simulations.report.palette import ARMS, PRIVATE, Arm
from simulations.report.rates import (
    arm_of,
    det_figure,
    epsilon_figure,
    epsilons_of,
    training_figure,
)
from simulations.report.reading import RunFolder
from simulations.report.words import Gain, answer, best, gains_of, many, percent, size
from simulations.results import FAR_KEYS

Summary = Mapping[str, Any]
Facts = list[tuple[str, str]]


def run_context(run: RunFolder) -> dict[str, Any]:
    """Everything the template ``run.html`` writes."""
    summary: Summary = run.summary or run.origin or {}
    shown = {
        "title": summary.get("scenario", run.name),
        "missing": list(run.missing),
        "made": made_of(run.origin),
        "strips": camera_strips(summary.get("cameras", ())),
        "settings": _settings(summary),
    }
    if run.summary is None:
        return shown | {"head": "Nothing to compare yet.", "beside": "", "charts": None}
    gains = gains_of(summary.get("gain", {}))
    head, beside = answer(gains, measured=bool(summary.get("gain")))
    arm = _shown_arm(summary, gains)
    return shown | {
        "head": head,
        "beside": beside,
        "tiles": _tiles(summary, gains),
        "measured": _measured(summary),
        "charts": _charts(summary, gains, arm),
        "left_out": list(_left_out(summary)),
        "promise": _promise(summary, arm),
        "arms": _arms(summary),
        "rows": _rows(summary, gains),
        "fars": FAR_KEYS,
    }


def made_of(origin: Mapping[str, Any] | None) -> dict[str, Any]:
    """How the folder came about, or nothing where it does not say."""
    if origin is None:
        return {}
    said = {key: origin.get(key) for key in ("command", "started", "finished")}
    return said | {"versions": sorted(origin.get("versions", {}).items())}


def _charts(summary: Summary, gains: Sequence[Gain], arm: Arm) -> dict[str, Figure | None]:
    return {
        "gain": gain_figure(summary, gains),
        "ladder": ladder_figure(summary),
        "epsilon": epsilon_figure(summary),
        "det": det_figure(summary),
        "sites": sites_figure(summary, arm),
        "spent": spent_figure(summary),
        "bytes": bytes_figure(summary),
        "training": training_figure(summary),
    }


def _left_out(summary: Summary) -> Iterator[str]:
    """Why a chart that could be expected is not there."""
    if det_figure(summary) is None:
        yield (
            "DET curves: this run kept none, or has too few pairs for one. Runs of this version "
            "keep them; measure into a new folder."
        )
    if not summary.get("bytes"):
        yield "Bytes moved: this run was made before they were kept."
    if not summary.get("cameras"):
        if summary.get("settings", {}).get("cameras") == "none":
            yield "Cameras: pictures were taken as they are, so there is none to show."
        else:
            yield "Cameras: this run was made before they were kept with it."
    if training_figure(summary) is None and _gradients(summary):
        yield "Training curves: there were gradient rounds, but no monitor kept a public score."


def _gradients(summary: Summary) -> bool:
    return bool(summary.get("settings", {}).get("gradient_share"))


def _shown_arm(summary: Summary, gains: Sequence[Gain]) -> Arm:
    """The arm of the headline; `local` where there is no private one."""
    chosen = best(gains)
    return chosen.arm if chosen else Arm("local", "0")


def _tiles(summary: Summary, gains: Sequence[Gain]) -> list[tuple[str, str, str]]:
    """(class, figure, words) of what lies between alone and all in one place."""
    rows = {arm_of(row): row["tar_at_far"].get(FAR) for row in summary["rows"]}
    wanted = [Arm("local", "0"), _shown_arm(summary, gains), Arm("upper_bound", "none")]
    told = [(arm.css, percent(rows[arm]), arm.label) for arm in wanted if arm in rows]
    return list(dict.fromkeys(told))


def _measured(summary: Summary) -> str:
    sites, all_sites = len(summary["sites"]), len(summary.get("training_people", ()))
    told = [many(all_sites or sites, "site")]
    if all_sites > sites:
        told.append(f"{sites} of them judged")
    people = sorted(summary.get("training_people", {}).values())
    if people:
        told.append(f"{people[len(people) // 2]} people at the median site")
    told += [many(summary["seeds"], "seed"), many(summary["folds"], "fold")]
    tested = max(
        (site["people"] for row in summary["rows"] for site in row["per_site"].values()), default=0
    )
    told.append(f"judged on {tested:,} people no private arm has seen")
    return " · ".join(told)


def _promise(summary: Summary, arm: Arm) -> dict[str, Any] | None:
    """The privacy statement of the arm of the headline."""
    statements = summary.get("statements", {})
    for name in dict.fromkeys([arm.name, *PRIVATE]):
        for epsilon in dict.fromkeys([arm.epsilon, *epsilons_of(summary)]):
            told = statements.get(name, {}).get(epsilon)
            if told:
                at_one, at_all = told["epsilon_if_disjoint"], told["epsilon_if_at_every_site"]
                shown = {"arm": Arm(name, epsilon).label, "at_one": size(at_one)}
                return {**told, **shown, "at_all": size(at_all)}
    return None


def _arms(summary: Summary) -> list[tuple[str, str, str]]:
    present = dict.fromkeys(row["name"] for row in summary["rows"])
    return [(Arm(n).css, Arm(n).words, Arm(n).meaning) for n in ARMS if n in present]


def _rows(summary: Summary, gains: Sequence[Gain]) -> list[dict[str, Any]]:
    """The table of all numbers."""
    words = {gain.arm: gain.words for gain in gains}
    found = []
    for row in summary["rows"]:
        arm = arm_of(row)
        rates = []
        for far in FAR_KEYS:
            ends = row["ci95"].get(far)
            told = f"{percent(ends[0])} to {percent(ends[1])}" if ends else ""
            rates.append((percent(row["tar_at_far"].get(far)), told))
        found.append({"arm": arm, "rates": rates, "gain": words.get(arm, "")})
    return found


def _settings(summary: Summary) -> Facts:
    told: dict[str, Any] = dict(summary.get("settings", {}))
    told.setdefault("delta", summary.get("delta"))
    told["entropy"] = summary.get("entropy")
    told["trunk"] = str(summary.get("trunk", ""))[:16]
    return [(key, _told(value)) for key, value in told.items() if value not in (None, "")]


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
