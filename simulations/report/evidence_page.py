"""What the page of a release shows: whether it may ship, what it costs whom, what attackers get."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import ConfigError
from common.evidence.section import Section
from common.privacy.heads import GENDER, WORDS
from simulations.report.bars import Figure
from simulations.report.evidence_charts import (
    attack_figure,
    bars_figure,
    bounds_figure,
    det_figure,
    groups_figure,
)
from simulations.report.page import filled
from simulations.report.words import percent

Sections = Mapping[str, Section]

INVERTED = {"template": "stored", "update": "sent"}
ARMS = {
    "unprotected": "learnt by heart: no clip, no noise",
    "without": "as released, but without noise",
    "with": "as released",
}
TITLES = {
    "verification": "telling people apart",
    "robustness": "forged pictures",
    "mechanism": "audit of the mechanism",
    "membership": "who took part",
    "inversion": "faces from numbers",
    "attributes": "traits from numbers",
    "heads": "what heads read",
    "fairness": "groups",
    "training": "training",
    "statement": "privacy statement",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """What one gate said of the release."""

    name: str
    held: bool
    told: str


def evidence_page(sections: Sections, gates: Sequence[Gate], folder: Path) -> str:
    """The page as text; ``folder`` has the pictures of the sections.

    Raises ``ConfigError`` if a picture is not the one its section names.
    """
    return filled("evidence.html", evidence_context(sections, gates, folder))


def evidence_context(sections: Sections, gates: Sequence[Gate], folder: Path) -> dict[str, Any]:
    """Everything the template ``evidence.html`` writes."""
    head, beside = answer(sections, gates)
    first = next(iter(sections.values()))
    return {
        "title": f"Release {first.about.tail[:12]}",
        "missing": [
            f"{TITLES[name]}: {told}" for name, one in sections.items() for told in one.failed
        ],
        "head": head,
        "beside": beside,
        "tiles": _tiles(sections),
        "gates": gates,
        "about": first.about,
        "charts": _charts(sections),
        "statement": _figures(sections, "statement"),
        "membership": _membership(sections),
        "pictures": _pictures(sections, folder),
        "threat": _figures(sections, "robustness").get("threat_model"),
        "checks": (_figures(sections, "robustness").get("masking") or {}).get("checks", []),
        "rounds": _figures(sections, "training").get("rounds", []),
        "sections": [_made(name, one) for name, one in sections.items()],
        "made": {},
    }


def answer(sections: Sections, gates: Sequence[Gate]) -> tuple[str, str]:
    """The verdict in one sentence, and what to know beside it."""
    stopped = [gate for gate in gates if not gate.held]
    if not gates:
        return "Evidence that nobody has judged yet.", "Gates are judged when a release is built."
    if stopped:
        names = ", ".join(gate.name for gate in stopped)
        head = "This release does not ship."
        return head, f"{len(stopped)} of {len(gates)} gates stop it: {names}."
    people = max(one.about.people for one in sections.values())
    invented = all(one.about.invented for one in sections.values())
    whose = "invented people" if invented else "people"
    return (
        f"This release passes all {len(gates)} gates.",
        f"Measured on up to {people} {whose} none of whom took part in its training.",
    )


def _tiles(sections: Sections) -> list[tuple[str, str, str]]:
    tar = (_figures(sections, "verification").get("tar_at_far") or {}).get("1e-2")
    robust = _figures(sections, "robustness").get("robust_tar")
    ratio = _figures(sections, "fairness").get("fmr_worst_to_best")
    epsilon = _figures(sections, "statement").get("epsilon")
    found = [
        ("cam-0", percent(tar["value"]), "let in rightly at FAR 1 %") if tar else None,
        ("cam-1", percent(robust["value"]), "still let in under attack") if robust else None,
        ("cam-2", f"{epsilon:.3g}", "epsilon a person") if epsilon is not None else None,
        ("cam-3", f"{ratio['value']:.3g}", "worst group's FMR over the best's") if ratio else None,
    ]
    return [tile for tile in found if tile is not None]


def _charts(sections: Sections) -> dict[str, Figure | None]:
    robustness = _figures(sections, "robustness")
    return {
        "det": det_figure(_figures(sections, "verification")),
        "attacks": attack_figure(robustness),
        "masked": _masked(robustness),
        "bounds": bounds_figure(_figures(sections, "mechanism")),
        "inversion": _inverted(_figures(sections, "inversion")),
        "attributes": _inferred(_figures(sections, "attributes")),
        "heads": _read(_figures(sections, "heads")),
        "groups": groups_figure(_figures(sections, "fairness")),
    }


def _masked(robustness: Mapping[str, Any]) -> Figure | None:
    rows = [
        (f"{wear}, {goal}", told)
        for wear, by_goal in (robustness.get("masked") or {}).items()
        for goal, told in by_goal.items()
        if goal in ("dodge", "impersonate")
    ]
    trigger = robustness.get("trigger") or {}
    rows += [("one sticker for all", trigger.get("value"))]
    rows += [("the same, before training", trigger.get("baseline"))]
    return bars_figure(
        "What can be worn",
        "Success of attacks that a person could wear: printed glasses, a sticker on the forehead, "
        "and one sticker that makes anybody pass for anybody. The last must not rise by training: "
        "that is what a back door looks like.",
        rows,
    )


def _inverted(figures: Mapping[str, Any]) -> Figure | None:
    """The best of what each attack made of each thing it had."""
    rows = [
        (f"{INVERTED[part]}: {name.replace('_', ' ')}", _best(row))
        for part in ("template", "update")
        for protection in ("without", "with")
        for name, row in ((figures.get(part) or {}).get(protection) or {}).items()
    ]
    rows += [
        (f"knows nothing: {name.replace('_', ' ')}", _best(row))
        for name, row in (figures.get("controls") or {}).items()
    ]
    return bars_figure(
        "Faces from numbers",
        "How often a picture rebuilt from what is stored (a template) or sent (an update) is taken "
        "for the person. Embeddings and features are faces, and so they are sealed; rows that know "
        "nothing say what chance gives.",
        rows,
    )


def _inferred(figures: Mapping[str, Any]) -> Figure | None:
    rows = [
        (f"{name.replace('_', ' ')}", row["mean"])
        for protection in ("without", "with")
        for name, row in (figures.get(protection) or {}).items()
    ]
    return bars_figure(
        "Traits from numbers",
        "Balanced accuracy of probes that read glasses, beards or hair from an embedding, a stored "
        "template or an update, mean over traits; who knows nothing gets 50 %.",
        rows,
    )


def _read(figures: Mapping[str, Any]) -> Figure | None:
    """What heads read rightly, and what those read that they began as; an age has no share."""
    rows = [
        (f"{kind}: {words}", told[key])
        for kind in ("attributes", GENDER, WORDS)
        if (told := figures.get(kind)) is not None
        for key, words in (("released", "as released"), ("public", "before training"))
    ]
    age = figures.get("age")
    years = ""
    if age is not None:
        now, before = (age[key]["value"] for key in ("released", "public"))
        years = f" Ages are {now:.1f} years off on average, {before:.1f} before training."
    return bars_figure(
        "What heads read",
        "Balanced accuracy of the heads that come with the release, and of the public ones that "
        "the run began with, on people who took no part; of words, how often a picture lies nearer "
        f"to its own sentence than to another. Who guesses gets 50 %.{years}",
        rows,
    )


def _best(row: Mapping[str, Any]) -> dict[str, Any] | None:
    found = [told["type_1"] for told in row.values() if isinstance(told, dict) and "type_1" in told]
    return max(found, key=lambda told: float(told["value"]), default=None)


def _membership(sections: Sections) -> list[dict[str, Any]]:
    arms = _figures(sections, "membership")
    found = {name: told for name, told in arms.items() if isinstance(told, dict) and "auc" in told}
    names = sorted(found, key=lambda name: (name not in ARMS, [*ARMS, name].index(name), name))
    return [{"name": ARMS.get(name, name.replace("_", " ")), **found[name]} for name in names]


def _pictures(sections: Sections, folder: Path) -> list[dict[str, str]]:
    found = []
    for section in sections.values():
        for picture in section.pictures:
            content = (folder / picture.file).read_bytes()
            if hashlib.sha256(content).hexdigest() != picture.sha256:
                raise ConfigError(f"{picture.file} is not the picture that its section names")
            data = base64.b64encode(content).decode()
            found.append({"source": f"data:image/png;base64,{data}", "caption": picture.caption})
    return found


def _made(name: str, section: Section) -> dict[str, Any]:
    return {
        "name": TITLES[name],
        "command": section.command,
        "seed": section.seed,
        "minutes": section.minutes,
        "faces": section.about.faces[:12],
        "people": section.about.people,
        "figures": json.dumps(section.figures, indent=1, sort_keys=True),
    }


def _figures(sections: Sections, kind: str) -> Mapping[str, Any]:
    return sections[kind].figures if kind in sections else {}
