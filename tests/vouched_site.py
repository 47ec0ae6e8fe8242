"""A site in a federation on paper whose centre puts releases in force, honestly or not."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from client.centre import contact
from client.centre.admission import fetch
from client.centre.releases import Fetched, fetch_releases
from client.door.vouching import Member
from client.home import SiteHome
from common.evidence.bundle import HEADS, Origin, Release, make_release
from common.evidence.history import PURPOSE, Entry, History, Step
from common.evidence.section import Section
from common.evidence.witnesses import witness_of
from common.heads.heads import Heads
from common.heads.heads_file import heads_bytes
from common.trust import storing
from common.trust.keys import SigningKey
from common.trust.signed import Signed, seal
from server.release.registry import Registry
from tests import small_evidence
from tests.paper_wire import Wire, joined
from tests.small_federation import NOW, PaperCentre, PaperSite
from tests.small_headed import headed_sections
from tests.small_releases import tail_of
from tests.small_vault import TRUNK

Sections = dict[str, Section]


class Vouched:
    """The centre, the home of site "north" with cameras at doors, and a paper site "south"."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.centre = PaperCentre(folder / "centre")
        self.wire = Wire(self.centre)
        monkeypatch.setattr(contact, "_exchange", self.wire.exchange)
        self.home = SiteHome(folder / "site")
        joined(self.home, self.centre)
        self.south = self.centre.welcome(PaperSite(name="south"))
        fetch(self.home, self.centre.clock)
        self.key = SigningKey.load(self.centre.home.centre_key)
        self.history = History(self.centre.federation)
        self.member = Member(self.home, TRUNK)

    def release(
        self,
        seed: int,
        spoil: Callable[[Sections], None] = lambda all: None,
        heads: Heads | None = None,
    ) -> Release:
        """A signed release of tail ``seed``, with ``heads``, in the centre's registry; its evidence
        is good, unless ``spoil`` changes it."""
        of = tail_of(seed)
        sections = small_evidence.sections(of, TRUNK)
        if heads is not None:
            sections = headed_sections(of, heads, trunk=TRUNK)
        spoil(sections)
        told = {"run": "spring", "pool": "door", "made": small_evidence.MADE}
        origin = Origin(federation=self.centre.federation, **told)  # type: ignore[arg-type]
        shown = {"report.html": small_evidence.REPORT, small_evidence.GRID: small_evidence.PNG}
        if heads is not None:
            shown[HEADS] = heads_bytes(heads)
        made = make_release(origin, of, TRUNK, list(sections.values()), shown).sign(self.key)
        Registry(self.centre.home).put(made)
        return made

    def longer(self, action: Any, release: Release, **told: Any) -> History:
        """The history with one step more; not put in force."""
        step = Step(action=action, release=release.digest, pool="door", **told)
        return self.history.with_step(step, self.key, int(NOW))

    def put(self, history: History) -> None:
        """Lets the centre say so, whatever it said before."""
        self.history = history
        self.centre.home.history.parent.mkdir(parents=True, exist_ok=True)
        storing.replace(self.centre.home.history, history.to_json().encode())

    def promote(self, seed: int, heads: Heads | None = None) -> Release:
        """A good release, in force."""
        made = self.release(seed, heads=heads)
        self.put(self.longer("promote", made))
        return made

    def forged(self, **told: Any) -> Signed:
        """The next entry of the history, signed although no step of that kind may be taken."""
        entry = Entry(
            federation=self.centre.federation,
            number=len(self.history.entries) + 1,
            previous=self.history.head.digest,
            time=int(NOW),
            **{"pool": "door", **told},
        )
        return seal(self.key, PURPOSE, asdict(entry))

    def shows(self, *texts: Signed) -> None:
        """Whatever is asked, the centre answers with the entries ``texts`` behind its own."""

        def lie(table: dict[str, Any]) -> None:
            if "entries" in table:
                table["entries"] += [signed.to_json() for signed in texts]
                table["number"] += len(texts)

        self.wire.change = lie

    def south_saw(self, history: History) -> None:
        """South's statement, as the centre has it."""
        signed = witness_of(history, "south", int(NOW)).sign(self.south.key)
        self.centre.home.witnesses.mkdir(parents=True, exist_ok=True)
        storing.replace(self.centre.home.witnesses / "south.json", signed.to_json().encode())

    def fetch(self) -> Fetched:
        return fetch_releases(self.home, self.centre.clock)

    def asked(self, name: str) -> list[dict[str, Any]]:
        """What the site asked under this name, question by question."""
        bodies = [json.loads(body) for sent, body in self.wire.sent if sent == name]
        return [json.loads(body["content"]) for body in bodies]


def biased(sections: Sections) -> None:
    """One group is mistaken for others sixty times as often."""
    figures = dict(sections["fairness"].figures)
    groups = {"a": {"fmr": small_evidence.rate(0.6, 0.01)}, "b": figures["groups"]["b"]}
    ratio = {"value": 60.0, "ci95": [50.0, 70.0]}
    figures |= {"groups": groups, "fmr_worst_to_best": ratio}
    sections["fairness"] = replace(sections["fairness"], figures=figures)
