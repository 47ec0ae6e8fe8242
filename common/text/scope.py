"""How far a negation goes: from "without" to the end of what it lists, and no further.

An "or" and a list that ends in one stay within it, a "but", a new "with" or verb, and a comma that
begins something else end it; "and" goes on after "without a hat" and not after "no hat". Two
negations in a row cancel out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from common.text.lexicon import Entry, Phrase, Role
from common.text.words import chinese

_NAMED = (Role.ATTRIBUTE, Role.GENDER)
_JOINTS = (Role.AND, Role.OR, Role.STOP)


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A phrase of a query in its place; ``entry`` is None where it is not known."""

    entry: Entry | None
    phrase: Phrase
    of_hair: bool = False

    @property
    def role(self) -> Role | None:
        return self.entry.role if self.entry else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What one piece names, with its polarity; ``joint`` is what joins it to the one before."""

    names: tuple[tuple[str, bool], ...]
    negated: bool
    joint: Role | None


@dataclass(slots=True)
class _Negation:
    """One that is at work. ``flip`` is false where a second one cancelled it."""

    phrase: Phrase
    carries: bool  # whether an "and" goes on with it
    flip: bool = True
    covered: int = 0  # pieces it has got hold of
    strange: bool = False  # one of them is not known


class Scope:
    """Goes over the pieces of a query from left to right and says what each names.

    ``remainder`` holds the words that are not known, with the negation that is said of them.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.said: list[Said] = []
        self.remainder: list[str] = []
        self._pieces = pieces
        self._negation: _Negation | None = None
        self._joint: Role | None = Role.BUT  # nothing stands before the first
        self._anew: Phrase = ()
        for place, piece in enumerate(pieces):
            self._step(place, piece)

    def _step(self, place: int, piece: Piece) -> None:
        entry = piece.entry
        if entry is None:
            self._unknown(piece)
        elif entry.role in _NAMED:
            self._name(place, entry)
        elif entry.role is Role.NEGATION:
            self._negate(piece.phrase, entry)
        elif entry.role in _JOINTS:
            self._join(entry.role)
        elif entry.role in (Role.BUT, Role.AGE):
            if entry.role is Role.BUT or self._took_hold():
                self._negation = None
            self._joint = Role.BUT
        elif entry.role is Role.ANEW:
            self._anew = piece.phrase
            if self._took_hold() and self._joint is None:
                self._negation = None

    def _took_hold(self) -> bool:
        return self._negation is not None and self._negation.covered > 0

    def _negate(self, phrase: Phrase, entry: Entry) -> None:
        if self._negation is not None and not self._took_hold():
            self._negation.flip = not self._negation.flip
            self._negation.phrase += phrase
        else:
            self._negation = _Negation(phrase=phrase, carries=entry.carries)

    def _join(self, role: Role) -> None:
        if self._negation is not None and self._negation.strange:
            self._negation.covered += 1
        if self._joint is None or role is not Role.STOP:
            self._joint = role
            self._anew = ()

    def _unknown(self, piece: Piece) -> None:
        negation = self._negation
        if negation is not None and negation.covered == 0 and not negation.strange:
            self.remainder += negation.phrase
            negation.strange = True
        elif self._took_hold():
            self._negation = None
        self.remainder += piece.phrase

    def _name(self, place: int, entry: Entry) -> None:
        if self._took_hold() and not self._goes_on(place, entry):
            self._negation = None
        negation = self._negation
        turned = negation is not None and negation.flip
        joint = Role.BUT if self._joint is Role.STOP and self._anew else self._joint
        names = tuple((name, so is not turned) for name, so in entry.names)
        self.said.append(Said(names=names, negated=negation is not None, joint=joint))
        if negation is not None:
            negation.covered += 1
        self._joint, self._anew = None, ()

    def _goes_on(self, place: int, entry: Entry) -> bool:
        """Whether the negation at work reaches the piece at ``place`` too."""
        negation, anew = self._negation, self._anew
        if negation is None or anew == ("with",) or (anew and chinese(anew[0])):
            return False
        if self._joint is Role.OR:
            return True
        if anew or (entry.state and negation.carries):
            return False
        if self._joint is Role.AND:
            return negation.carries
        if self._joint is Role.STOP:
            return self._list_goes_on(place, negation.carries)
        return self._one_hair(place)

    def _list_goes_on(self, place: int, carries: bool) -> bool:
        """Whether what follows the comma is a list that an "or" ends."""
        closing = (Role.OR, Role.AND) if carries else (Role.OR,)
        for piece in self._pieces[place + 1 :]:
            if piece.role in closing:
                return True
            if piece.role not in (*_NAMED, Role.STOP, Role.SKIPPED):
                return False
        return False

    def _one_hair(self, place: int) -> bool:
        """Whether this piece and the one before are said of the same hair."""
        return place > 0 and all(p.of_hair for p in self._pieces[place - 1 : place + 1])
