"""What heads say at the door: what is to be seen of a face, and who looks as a sentence says.

Guarantee: nobody is searched for who did not agree to `text`, and nothing forbidden is said or
asked for (``common.text.forbidden``). Every answer has its row in the audit log first, and counts
against the budget its caller has for questions about faces. Answers are words and coarse bands.
Leaks: to a caller with the role, how people look who agreed to be searched by it; that is what it
is for. A search opens the templates of all of them, one person at a time; their means are zeroed.
"""

import numpy as np
from numpy.typing import NDArray

from client.audit.events import Kind
from client.door.answers import Described, LookedFor, Said, Sureness
from client.door.budgets import Budgets
from client.door.callers import Caller
from client.door.parts import Parts
from client.door.recording import Recorder
from client.door.thresholds import Band
from client.door.words import Words
from client.vault.identity import PersonId
from client.vault.store import Vault
from common.errors import NotReadyError
from common.text.describe import Description, describe
from common.text.vocabulary import Language

PURPOSE = "text"
SURE: tuple[tuple[float, Sureness], ...] = ((0.95, "certain"), (0.85, "likely"), (0.0, "probable"))


class Describing:
    """All questions about how somebody looks; safe among threads."""

    def __init__(self, parts: Parts, recorder: Recorder, budgets: Budgets) -> None:
        self._parts, self._recorder, self._budgets = parts, recorder, budgets

    def describe(self, caller: Caller, picture: bytes, language: Language) -> Described:
        """What is to be seen of the face in ``picture``; raises what the eye does."""
        words = self._words()
        with (
            self._budgets.charge(caller),
            self._recorder.row(caller, Kind.DESCRIBE, picture) as note,
        ):
            note.reference = self._recorder.reference(words.name)
            seen = self._parts.eye.see(picture)
            try:
                readings = words.read(seen.features[words.heads.trunk][None])
            finally:
                seen.wipe()
            return told(describe(readings, language=language))

    def search(self, caller: Caller, query: str, top: int) -> LookedFor:
        """Who looks as ``query`` says.

        ``ForbiddenError`` or ``QueryError`` for what cannot be asked or answered here.
        """
        words = self._words()
        asked = words.asked(query)
        unasked = (*asked.unasked, *words.unread(asked))
        with (
            self._budgets.charge(caller),
            self._recorder.row(caller, Kind.SEARCH, query.encode()) as note,
        ):
            note.reference = self._recorder.reference(words.name)
            persons, features = faces_of(self._parts.vault, self._agreed(), words.heads.trunk)
            if not persons:
                return LookedFor(persons=(), unasked=unasked)
            try:
                ranking = words.searcher.rank(asked, words.read(features))
            finally:
                features.fill(0)
            found = [(persons[row], _band(ranking.chances[row])) for row in ranking.order]
            still = self._agreed()  # who was erased or withdrew meanwhile is not named
            kept = [one for one in found if one[1] is not Band.NO and one[0] in still][:top]
            return LookedFor(persons=tuple(kept), unasked=unasked)

    def _agreed(self) -> frozenset[PersonId]:
        return self._parts.vault.people(purpose=PURPOSE, now=self._parts.clock())

    def _words(self) -> Words:
        found = self._parts.words.now(self._parts.releases.brought)
        if found is None:
            raise NotReadyError(
                "no heads are read here: name a file as [door] heads in site.toml, or promote a "
                "release that brings some"
            )
        return found


def faces_of(
    vault: Vault, people: frozenset[PersonId], trunk: str
) -> tuple[tuple[PersonId, ...], NDArray[np.float32]]:
    """The mean feature (P, D) of the templates of each of ``people``, where they have any.

    Heads are linear, so what they say of the mean is the mean of what they say. Nobody else's
    templates are opened.
    """
    means: dict[PersonId, NDArray[np.float32]] = {}
    for person in sorted(people):  # so that ties come in one order
        held = vault.held(person, trunk)
        if held:
            means[person] = np.mean([one.feature for one in held], axis=0, dtype=np.float32)
    return tuple(means), np.array(list(means.values()), np.float32)


def told(found: Description) -> Described:
    """The same without any probability."""
    said = (Said(name=o.name, present=o.present, sureness=_sure(o.probability)) for o in found.said)
    return Described(sentence=found.sentence, said=tuple(said))


def _sure(probability: float) -> Sureness:
    return next(word for least, word in SURE if probability >= least)


def _band(chances: NDArray[np.float64]) -> Band:
    """How much of what was asked for is more likely than not; NEAR where only texts could tell."""
    if not len(chances):
        return Band.NEAR
    likely = int((chances >= 0.5).sum())
    if likely == len(chances):
        return Band.MATCH
    return Band.NEAR if 2 * likely >= len(chances) else Band.NO
