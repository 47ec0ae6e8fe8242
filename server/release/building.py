"""Puts a release together: what a run made, and the folder of evidence that was taken of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from common.errors import ReleaseError
from common.evidence.bundle import (
    HEADS,
    REPORT,
    Origin,
    Release,
    cap_of,
    make_release,
    read_section,
    with_verdict,
)
from common.evidence.claims import statement_section, training_section
from common.evidence.gates import judge
from common.evidence.limits import Gates, Known
from common.evidence.section import KINDS, About, Section
from common.models.tail import WEIGHT, Tail
from common.trust import storing
from common.trust.charter import CharterTerms
from server.checkpoint import RunState

OURS = ("statement", "training")  # kinds that come from charter and checkpoint, never from outside


@dataclass(frozen=True, kw_only=True, eq=False)
class Ground:
    """One pool of a run: who made it, by which charter (its digest), and the ``tail`` it made;
    ``heads`` is the file of those that go with it, empty where none do."""

    terms: CharterTerms
    charter: str
    state: RunState
    pool: str
    tail: Tail
    heads: bytes = b""


def known_of(
    terms: CharterTerms, initial: Mapping[str, NDArray[Any]], public: Path | None = None
) -> Known:
    """What the centre itself knows of a run, against which its releases are judged; ``public`` is
    where the heads lie that it began with, where it trains some. ``ReleaseError`` if they do not.
    """
    first, plan = initial[WEIGHT].shape, terms.plan
    began = b"" if public is None else storing.read(public)
    if began is None:
        raise ReleaseError(f"{public} is gone: the heads that {terms.run} began with")
    heads = hashlib.sha256(began).hexdigest() if began else ""
    return Known(trunk=plan.trunk, shape=(first[0], first[1]), plan=plan.digest, heads=heads)


def build_release(
    ground: Ground, evidence: Path, judged_by: tuple[Gates, Known], made: int
) -> Release:
    """The release of ``ground`` with the sections, pictures and report in ``evidence``; not signed.

    Statement and training log are made here. What the gates say of it is written into the manifest.
    Heads ship with what was measured of them: without a section of theirs they are left out. Raises
    ``ReleaseError`` if the folder has no report, or a section in it is none.
    """
    terms, tail = ground.terms, ground.tail
    found = read_sections(evidence)
    if "heads" not in found:
        ground = replace(ground, heads=b"")
    origin = Origin(federation=terms.federation, run=terms.run, pool=ground.pool, made=made)
    sections = [*found.values(), *claims_of(ground)]
    shown = read_shown(evidence, found) | ({HEADS: ground.heads} if ground.heads else {})
    release = make_release(origin, tail, terms.plan.trunk, sections, shown)
    return with_verdict(release, judge(release, *judged_by))


def claims_of(ground: Ground) -> tuple[Section, Section]:
    """What a release of ``ground`` claims of privacy, and the log of its training."""
    plan = ground.terms.plan
    about = About(trunk=plan.trunk, tail=ground.tail.hash)
    command = f"mascaron-admin release build {ground.terms.run}"
    heads = hashlib.sha256(ground.heads).hexdigest() if ground.heads else ""
    return (
        statement_section(plan, about, command, ground.charter, heads),
        training_section(ground.state.history, plan, about, command),
    )


def read_sections(folder: Path) -> dict[str, Section]:
    """The sections that `mascaron-lab evidence` wrote into ``folder``, by kind, but for ours."""
    found = {}
    for kind in KINDS:
        path = folder / f"{kind}.json"
        if kind not in OURS and path.exists():
            found[kind] = read_section(_read(path), path.name)
    if not found:
        raise ReleaseError(f"{folder} holds no evidence: `mascaron-lab evidence --out {folder}`")
    return found


def read_shown(folder: Path, sections: Mapping[str, Section]) -> dict[str, bytes]:
    """The report, and the pictures that ``sections`` name; nothing else of ``folder`` is taken."""
    named = {p.file for section in sections.values() for p in section.pictures}
    return {name: _read(folder / name) for name in (REPORT, *sorted(named))}


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > cap_of(path.name):
            raise ReleaseError(f"{path} is larger than a release may hold")
        return path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"cannot read {path}: {error.strerror}") from None
