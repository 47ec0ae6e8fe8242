"""What the page of a sweep shows: where joining pays, along every axis, point by point."""

from collections.abc import Mapping, Sequence
from typing import Any

from simulations.points import label
from simulations.report.reading import SweepFolder
from simulations.report.records import Record, records_of
from simulations.report.run_page import made_of
from simulations.report.sweep_charts import axis_figures, heat_maps
from simulations.report.words import TOO_FEW, gains_of, many, signed


def sweep_context(sweep: SweepFolder) -> dict[str, Any]:
    """Everything the template ``sweep.html`` writes."""
    records = records_of(sweep.lines)
    skipped = [line for line in sweep.lines if line["status"] == "skipped"]
    done = len(sweep.lines) - len(skipped)
    head, beside = sweep_answer(records, measured=any(line.get("gain") for line in sweep.lines))
    return {
        "title": sweep.name,
        "missing": list(sweep.missing),
        "head": head,
        "beside": beside,
        "measured": f"{many(done, 'point')} measured · {len(skipped)} skipped",
        "maps": heat_maps(records),
        "figures": axis_figures(records),
        "points": [_point(line) for line in sweep.lines],
        "skipped": [(label(line["point"]), line.get("reason", "")) for line in skipped],
        "asked": sweep.asked,
        "made": made_of(sweep.origin),
    }


def sweep_answer(records: Sequence[Record], measured: bool = False) -> tuple[str, str]:
    """Where joining surely pays, and where most; ``measured`` if only pairs were missing."""
    if not records and measured:
        return TOO_FEW
    if not records:
        return "Nothing was measured yet.", ""
    sure = [record for record in records if record.gain.low > 0]
    lost = sum(record.gain.high < 0 for record in records)
    if not sure:
        head = "Joining is not shown to pay anywhere in this sweep."
        return head, f"Of {many(len(records), 'gain')} measured, {lost} are surely losses."
    most = max(sure, key=lambda record: record.gain.value)
    places = f"{len(sure)} of {len(records)} places"
    head = f"Joining pays at {places}, by up to {signed(most.gain.value)} points."
    beside = f"Most at {most.where}: {most.gain.words}."
    if lost:
        beside += f" At {many(lost, 'place')} it surely costs."
    return head, beside


def _point(line: Mapping[str, Any]) -> dict[str, Any]:
    gains = gains_of(line.get("gain", {}))
    return {
        "where": label(line["point"]),
        "status": line["status"],
        "reason": line.get("reason", ""),
        "gains": [(gain.arm.label, gain.words, gain.verdict) for gain in gains],
    }
