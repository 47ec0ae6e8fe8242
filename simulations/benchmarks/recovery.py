"""How near an attacker comes to a template, against the number of calls that are answered.

    mascaron-lab bench recovery [--people 20] [--dim 512] [--calls 100000] [--out DIR]
                                [--faces PACK --trunk FILE --public PACK --cache DIR]

One person at a time has one template in a gallery; the answers are those of a verification, from
``Gallery.best`` and ``Levels.decide``, without the budget. ``scores`` tells the score itself;
``known`` the band, to whoever has another picture of the person; ``strangers`` the band, to whoever
has none and begins at a public face that is answered ``near``; ``pictures`` the band, to whoever
shows faces as they come and cannot choose points. ``hour`` and ``day`` are ``known`` under the
budget that a caller has unless an operator says otherwise, all calls made within that time.
``claim`` is ``known`` under what is answered about one id in a day, whoever asks, ``claim_month``
in thirty: there a match is what the attacker asks for, since only others are counted as misses.

Curves are medians over people of the cosine between template and estimate; ``calls_to_90`` is
where the median reaches 0.9. Embeddings are invented, or of a pack through a trunk, with the
thresholds that they show at FMR 1e-4. ``--out`` gets recovery.json and recovery.png. The last line
on stdout is one JSON object: nothing in it is of one person.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from client.door.calibrating import NEAR, stricter
from client.door.callers import Caller, Role
from client.door.rules import DoorRules
from client.door.thresholds import Band, Levels
from client.vault.gallery import Gallery
from client.vault.identity import PersonId, TemplateId
from common.metrics.impostors import Faces, between, by_person
from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.recovery_attacks import (
    Curve,
    Limited,
    Prior,
    Rows,
    Told,
    by_bands,
    by_pictures,
    by_scores,
)

ARMS = ("scores", "known", "strangers", "pictures", "hour", "day", "claim", "claim_month")
SHIPPED = ("hour", "day", "claim", "claim_month")  # with what a site allows by itself
FMR = 1e-4
ALIKE, UNLIKE = 0.6, 0.25  # guesses of cosines: of the same person's pictures, of a near stranger
MATE = 0.66  # cosine of two pictures of an invented person
STRANGERS = 20_000  # invented ones that are public
PER_DECADE = 20  # marks of the curve
ONE = PersonId(bytes(16))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Material:
    """Unit rows: templates (P, E), another picture of each (P, E), and public faces (N, E)."""

    templates: Rows
    mates: Rows
    public: Rows
    levels: Levels


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="recovery", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--people", type=at_least(1), default=20)
    parser.add_argument("--dim", type=at_least(8), default=512)
    parser.add_argument("--calls", type=at_least(10), default=100_000)
    for name in ("--faces", "--public", "--trunk", "--cache", "--out"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args(arguments)
    real = (options.faces, options.public, options.trunk)
    if any(real) and not all(real):
        parser.error("--faces, --public and --trunk go together")
    if options.faces is None:
        material = invented(options.people, options.dim)
    else:
        from simulations.benchmarks.calibration import seen_pool

        own = seen_pool(options.faces, options.trunk, options.cache, 2)
        public = seen_pool(options.public, options.trunk, options.cache, 100)
        material = of_faces(own, public, options.people)
    report = {"bench": "recovery", "faces": "invented" if options.faces is None else "real"}
    report |= measure(material, options.calls)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "recovery.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        draw(report, options.out / "recovery.png")
    click.echo(json.dumps(report))


def invented(people: int, dim: int) -> Material:
    """Directions at random: no two people have anything in common."""
    rng = np.random.default_rng(0)
    templates, public = (_unit(rng.standard_normal((count, dim))) for count in (people, STRANGERS))
    across = rng.standard_normal((people, dim))
    across -= np.sum(across * templates, axis=1, keepdims=True) * templates
    mates = MATE * templates + np.sqrt(1 - MATE**2) * _unit(across)
    return Material(
        templates=templates, mates=mates, public=public, levels=_levels(templates, public)
    )


def of_faces(own: Faces, public: Faces, people: int) -> Material:
    """So many people of ``own`` who have two pictures; ``public`` are the attacker's."""
    pairs = [each[:2] for each in by_person(own.person) if len(each) >= 2]
    chosen = np.random.default_rng(0).permutation(len(pairs))[:people]
    rows = _unit(own.embeddings.astype(np.float64))
    templates, mates = (np.stack([rows[pairs[i][k]] for i in chosen]) for k in (0, 1))
    strangers = _unit(public.embeddings.astype(np.float64))
    return Material(
        templates=templates, mates=mates, public=strangers, levels=_levels(rows, strangers)
    )


def measure(material: Material, calls: int) -> dict[str, Any]:
    """The curves of all arms up to so many ``calls``."""
    marks = tuple(sorted({round(10 ** (i / PER_DECADE)) for i in range(_decades(calls) + 1)}))
    budgets = _budgets()
    found: dict[str, list[NDArray[np.float64]]] = {arm: [] for arm in ARMS}
    for number in range(len(material.templates)):
        for arm, curve in one(material, number, marks).items():
            found[arm].append(curve)
        for arm, name in (("hour", "hourly"), ("day", "daily")):
            last = np.searchsorted(marks, budgets[name], side="right") - 1
            found[arm].append(found["known"][-1][np.minimum(np.arange(len(marks)), last)])
        click.echo(f"{number + 1}/{len(material.templates)} people", err=True)
    median = {arm: np.median(curves, axis=0) for arm, curves in found.items()}
    report: dict[str, Any] = {
        "people": len(material.templates),
        "dim": material.templates.shape[1],
        "budget": budgets,
        "calls": marks,
        "cosine": {arm: np.round(curve, 4).tolist() for arm, curve in median.items()},
    }
    for share in (50, 90, 99):
        report[f"calls_to_{share}"] = {
            arm: _first(marks, curve, share / 100) for arm, curve in median.items()
        }
    report["at_the_end"] = {arm: round(float(curve[-1]), 4) for arm, curve in median.items()}
    return report


def one(material: Material, number: int, marks: tuple[int, ...]) -> dict[str, NDArray[np.float64]]:
    """The curves of one person."""
    template, public = material.templates[number], material.public
    gallery = Gallery(len(template), capacity=1)
    gallery.add(ONE, TemplateId(ONE), template)
    rng = np.random.default_rng(number)
    strangers = public[rng.permutation(len(public))]
    spread = public.T @ public / len(public)
    basis = np.linalg.eigh(spread)[1][:, ::-1].T

    def score(probe: Rows) -> float:
        return gallery.best(probe, ONE)

    def told(probe: Rows) -> bool:
        return material.levels.decide(score(probe)) != Band.NO

    def matched(probe: Rows) -> bool:
        return material.levels.decide(score(probe)) == Band.MATCH

    known, unknown = (Prior(spread=spread, likeness=guess) for guess in (ALIKE, UNLIKE))
    mate = material.mates[number]
    curves = {
        "scores": by_scores(score, basis, Curve(template, marks)),
        "pictures": by_pictures(told, strangers, Curve(template, marks)),
    }
    begin = Curve(template, marks)
    start = _found(told, strangers, begin)
    curves["strangers"] = (
        begin.end(None) if start is None else by_bands(told, start, unknown, begin)
    )
    curves["known"] = (
        by_bands(told, mate, known, Curve(template, marks))
        if told(mate)
        else curves["strangers"]  # that picture does not pass, so it is of no use
    )
    rules = DoorRules()
    for arm, days in (("claim", 1), ("claim_month", 30)):
        limited = Limited(
            matched if matched(mate) else told, days * rules.misses, days * rules.claims
        )
        curves[arm] = (
            by_bands(limited, mate, known, Curve(template, marks))
            if told(mate)
            else Curve(template, marks).end(mate)
        )
    return curves


def draw(report: dict[str, Any], path: Path) -> None:
    """The curves as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for arm in ARMS:
        dashed = "--" if arm in SHIPPED else "-"
        axes.plot(report["calls"], report["cosine"][arm], dashed, label=arm)
    axes.set(
        xscale="log",
        ylim=(-0.05, 1.05),
        xlabel="calls",
        ylabel="cosine of estimate and template",
        title=f"Template recovery, {report['faces']} faces, {report['dim']} numbers",
    )
    axes.legend(loc="lower right")
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(path, dpi=120)


def _found(told: Told, strangers: Rows, curve: Curve) -> Rows | None:
    """The first of ``strangers`` that is not told to be nobody."""
    for face in strangers:
        curve.ask(lambda: None)
        if told(face):
            found: Rows = face
            return found
    return None


def _budgets() -> dict[str, int]:
    """What a caller may ask in an hour and in a day, unless an operator says otherwise."""
    caller = Caller(name="attacker", roles=frozenset({Role.VERIFY}))
    return {"hourly": caller.hourly, "daily": caller.daily}


def _levels(own: Rows, public: Rows) -> Levels:
    """Thresholds of FMR against public people, as a calibration finds them."""
    faces = [Faces(rows.astype(np.float32), np.arange(len(rows))) for rows in (own, public)]
    group = between(*faces, most=FMR * NEAR)
    match, near = stricter([group], FMR), stricter([group], FMR * NEAR)
    return Levels(
        match=match,
        near=near,
        rate=FMR,
        bound=FMR,
        own_bound=FMR,
        comparisons=group.comparisons,
        people=len(own) + len(public),
    )


def _decades(calls: int) -> int:
    return int(np.floor(PER_DECADE * np.log10(calls) + 1e-9))


def _first(marks: tuple[int, ...], curve: NDArray[np.float64], least: float) -> int | None:
    return next((mark for mark, value in zip(marks, curve, strict=True) if value >= least), None)


def _unit(rows: NDArray[Any]) -> Rows:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float64)


if __name__ == "__main__":
    main(sys.argv[1:])
