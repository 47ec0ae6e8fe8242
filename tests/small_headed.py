"""A small release with heads that passes all shipped gates, for tests to spoil one thing of."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from common.evidence.bundle import HEADS, Release
from common.evidence.claims import statement_section
from common.evidence.section import About, Section
from common.heads.head import Head
from common.heads.heads import Heads
from common.heads.heads_file import heads_bytes
from common.heads.planned import planned_head
from common.heads.scaling import Scaling
from common.heads.words import WordsHead
from common.models.tail import Tail
from common.privacy.heads import HeadTerms
from common.privacy.plan import GradientMechanism, PrivacyPlan
from common.text.encoding import open_encoder
from tests import small_evidence
from tests.small_evidence import COMMAND, GRID, PNG, REPORT, TRUNK, section, tail

NAMES = ("glasses", "hat")
TERMS = (
    HeadTerms(kind="attributes", weight=1.0, names=NAMES, shown=(30, 5), absent=(70, 95)),
    HeadTerms(kind="age", weight=0.5),
)


def headed_plan(terms: Sequence[HeadTerms] = TERMS, trunk: str = TRUNK) -> PrivacyPlan:
    """Two rounds of gradients that train the heads of ``terms`` with the tail."""
    steps = GradientMechanism(
        sigma=4.0, clip=1.0, rate=0.5, rounds=2, negatives=4, heads=tuple(terms)
    )
    return small_evidence.plan(trunk, mechanisms=(steps,))


def heads_of(
    seed: int, terms: Sequence[HeadTerms] = TERMS, trunk: str = TRUNK, width: int = 6
) -> Heads:
    """Drawn heads as ``terms`` have them, and words; another seed, other numbers."""
    encoder = open_encoder("built-in")
    made: list[Head] = [planned_head(one) for one in terms]
    if "words" not in (head.kind for head in made):
        made.append(WordsHead(size=encoder.size, encoder=encoder.hash))
    rng = np.random.default_rng(seed)
    shapes = {name: shape for head in made for name, shape in head.shapes(width).items()}
    return Heads(
        trunk=trunk,
        heads=tuple(made),
        scaling=Scaling(np.zeros(width, np.float32), np.ones(width, np.float32)),
        arrays={n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()},
        weights={head.kind: 1.0 for head in made},
        calibration={},
    )


PUBLIC, TRAINED = heads_of(1), heads_of(2)


def lost(kind: str, amount: float) -> dict[str, Any]:
    """Figures of a head that lost so much, with narrow intervals."""
    before = 12.0 if kind == "age" else 0.7
    now = before + amount if kind == "age" else before - amount
    told = {"released": now, "public": before, "lost": now - before if kind == "age" else amount}
    return {name: small_evidence.rate(value, 0.001) for name, value in told.items()}


def heads_section(about: About, heads: Heads = TRAINED, **figures: Any) -> Section:
    """What was measured of ``heads`` beside the public ones: nothing was lost."""
    told = {
        "file": named(heads),
        "public": named(PUBLIC),
        "attributes": lost("attributes", 0.001),
        "age": lost("age", 0.1),
        **figures,
    }
    return section("heads", about, told)


def named(heads: Heads) -> str:
    return hashlib.sha256(heads_bytes(heads)).hexdigest()


def headed_sections(
    of: Tail, heads: Heads = TRAINED, terms: PrivacyPlan | None = None, trunk: str = TRUNK
) -> dict[str, Section]:
    """All kinds, about ``of`` and ``heads``; each as good as can be."""
    plan = terms or headed_plan(trunk=trunk)
    found = small_evidence.sections(of, trunk, plan)
    about = found["verification"].about
    found["statement"] = statement_section(plan, about, COMMAND, heads=named(heads))
    found["heads"] = heads_section(about, heads)
    return found


def headed_release(
    given: dict[str, Section] | None = None, heads: Heads | bytes | None = TRAINED, **origin: Any
) -> Release:
    """A release of a tail with ``heads``, or with what else is given in their place."""
    shown = {"report.html": REPORT, GRID: PNG}
    if heads is not None:
        shown[HEADS] = heads if isinstance(heads, bytes) else heads_bytes(heads)
    of = tail()
    return small_evidence.release(given or headed_sections(of), of, shown, **origin)
