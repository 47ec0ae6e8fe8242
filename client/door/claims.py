"""One claim of one picture: is this who they are said to be? Charged, recorded, and for everybody
the same work.

Guarantee: who is unknown, erased or not to be asked about gets the answer of a stranger, after the
same work. A question counts against its caller's budget and has its row before it is answered.
Leaks: a band a question, to callers who may ask, as often as their budget allows.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from client.audit.events import Kind
from client.door import shadow
from client.door.budgets import Budgets
from client.door.callers import Caller
from client.door.decoys import Decoys
from client.door.galleries import Features, Galleries
from client.door.misses import Claim, Misses
from client.door.parts import Parts
from client.door.recording import SUBJECT, Note, Recorder
from client.door.thresholds import Band
from client.vault.identity import PersonId
from common.errors import UnknownPersonError


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Asked:
    """One question under way: what decides it, and what its row is going to say."""

    galleries: Galleries
    note: Note
    claim: Claim


class Claims:
    """All comparisons with one person; safe among threads."""

    def __init__(self, parts: Parts, recorder: Recorder) -> None:
        self._parts, self._recorder = parts, recorder
        self.budgets = Budgets(parts.log, parts.clock, recorder.actor)
        self._misses = Misses(parts.clock, parts.rules.misses, parts.rules.claims)
        self._decoys = Decoys(parts.random)

    @contextmanager
    def asked(
        self, caller: Caller, kind: Kind, picture: bytes, claimed: bytes | None = None
    ) -> Iterator[Asked]:
        """Lets the block ask once, about ``claimed`` if it is a claim, and writes its row.

        ``QueryBudgetError`` for one question too many, ``NotReadyError`` while nothing decides.
        """
        with ExitStack() as stack:
            claim = Claim()
            stack.enter_context(self.budgets.charge(caller))
            if claimed is not None:
                claim = stack.enter_context(self._misses.claim(claimed))
            note = stack.enter_context(self._recorder.row(caller, kind, picture))
            galleries = self._parts.releases.galleries
            note.reference = self._recorder.reference(galleries.lead().release)
            yield Asked(galleries, note, claim)

    def band(self, asked: Asked, claimed: PersonId, seen: Features, purpose: str | None) -> Band:
        """The band of a claim by somebody who agreed to ``purpose`` (None: to anything at all)."""
        asked.claim.band = band = self._band(asked, claimed, seen, purpose)
        asked.note.outcome = band.value
        return band

    def all_of(self, claimed: PersonId, shown: Sequence[Features]) -> bool:
        """Whether pictures that were asked about one by one are of ``claimed``, taken together:
        none of them is a no, and more than half are a match."""
        real = self._parts.releases.galleries
        if not self._comparable(claimed, real, None):
            return False
        with suppress(UnknownPersonError):
            bands = [real.verify(seen, claimed) for seen in shown]
            return Band.NO not in bands and 2 * bands.count(Band.MATCH) > len(bands)
        return False

    def _band(self, asked: Asked, claimed: PersonId, seen: Features, purpose: str | None) -> Band:
        real, note = asked.galleries, asked.note
        decoys = self._decoys.galleries(real)
        stand_in, shadowing = self._decoys.person(claimed), self._parts.rules.shadow
        if self._comparable(claimed, real, purpose):
            with suppress(UnknownPersonError):  # erased at this very moment: then like anybody else
                band = real.verify(seen, claimed)
                note.subject = self._recorder.subject(claimed)
                if shadowing:
                    self._parts.releases.observe(seen, claimed)
                return band
        decoys.verify(seen, stand_in)
        self._decoys.tag(SUBJECT)
        if shadowing:
            shadow.answers(decoys, seen, stand_in, None)
        return Band.NO

    def _comparable(self, claimed: PersonId, real: Galleries, purpose: str | None) -> bool:
        """Whether they agreed to it, and have a template where something decides."""
        covered = claimed in self._parts.vault.people(purpose=purpose, now=self._parts.clock())
        held = [
            claimed in one.gallery
            for one in (real.active, real.beside)
            if one is not None and one.calibration is not None
        ]
        return covered and any(held)
