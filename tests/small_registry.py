"""A centre whose run r1 is over, and evidence of what it made, for tests of releases."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.evidence.bundle import REPORT as REPORT_NAME
from common.evidence.section import Section
from common.models.tail import Tail
from server.charter import load_charter
from server.commands.release import build_command
from server.commands.tail import made_by
from server.home import CentreHome
from server.monitor import find_monitor, save_public
from server.release.promoting import sign_release
from server.runs.register import open_register
from server.runs.running import Running
from tests.fakes import TRUNK
from tests.seeded_sites import SeededSites
from tests.small_centre import NOW, centre, initial, signed
from tests.small_evidence import GRID, PNG, REPORT, sections

RUN = "r1"


def finished(folder: Path, types: str = "a") -> CentreHome:
    """A centre of three sites whose run is over, with one pool a camera type."""
    home = centre(folder)
    sites = SeededSites(home=home, types=types)
    signed(home, people=10)
    rng = np.random.default_rng(1)
    save_public(home.charter(RUN), rng.standard_normal((60, 3)).astype("f4"), np.arange(60))
    key, register = open_register(home)
    charter, _, seal = load_charter(home.charter(RUN), key)
    Running(
        grid=sites.grid(),
        charter=charter,
        signed=seal,
        folder=home.run(RUN),
        register=register,
        monitor=find_monitor(home.charter(RUN)),
    ).go(initial())
    return home


def tail_of(home: CentreHome, pool: str = "a") -> Tail:
    return made_by(home, RUN).tails[pool]


def evidence(folder: Path, tail: Tail, spoilt: Mapping[str, Any] | None = None) -> Path:
    """What `mascaron-lab evidence` leaves; ``spoilt`` has other figures, by kind."""
    folder.mkdir(parents=True, exist_ok=True)
    found = sections(tail, TRUNK)
    for kind, figures in (spoilt or {}).items():
        found[kind] = changed(found[kind], figures)
    for kind, section in found.items():
        if kind not in ("statement", "training"):
            (folder / f"{kind}.json").write_text(section.to_json(), "utf-8")
    (folder / REPORT_NAME).write_bytes(REPORT)
    (folder / GRID).write_bytes(PNG)
    (folder / "resume.npz").write_bytes(b"not a part of it")
    return folder


def changed(section: Section, figures: Mapping[str, Any]) -> Section:
    plain = json.loads(json.dumps({**section.figures, **figures}))
    return dataclasses.replace(section, figures=plain)


def released(home: CentreHome, folder: Path, made: float = NOW, pool: str = "a") -> str:
    """A signed release that passes the gates, made at ``made``; its digest."""
    there = evidence(folder, tail_of(home, pool))
    told = build_command(home, RUN, there, pool, made)
    assert not told["refused_by"], told
    sign_release(home, told["release"])
    return str(told["release"])
