"""Which known phrases a text is made of: the longest at each place, and colours where hair is."""

import re
from collections.abc import Sequence

from common.text.lexicon import Entry, Role, lexicon, longest
from common.text.scope import Piece

_TOKEN = re.compile(r"[a-z]+|[0-9]+|[\u4e00-\u9fff]|[@,.;!?。、/&():]")
_WITHIN = (Role.OF_HAIR, Role.AND, Role.OR, Role.STOP, Role.SKIPPED, Role.NEGATION, Role.BUT)
_BEHIND = (Role.OF_HAIR, Role.AND, Role.OR, Role.SKIPPED, Role.NEGATION, Role.ANEW)


def pieces(text: str) -> list[Piece]:
    """The longest known phrase at each place of ``text``, which ``plain`` made."""
    return _of_hair(_found(text))


def _found(text: str) -> list[Piece]:
    tokens, known = tuple(_TOKEN.findall(text)), lexicon()
    found, place = [], 0
    while place < len(tokens):
        for length in range(min(longest(), len(tokens) - place), 0, -1):
            phrase = tokens[place : place + length]
            if phrase in known or length == 1:
                found.append(Piece(entry=known.get(phrase), phrase=phrase))
                place += length
                break
    return found


def _of_hair(pieces: Sequence[Piece]) -> list[Piece]:
    """Colours and shapes become attributes where they are of hair, and unknown elsewhere."""
    heads: set[int] = set()
    done = list(pieces)
    for place, piece in enumerate(pieces):
        if piece.entry is None or piece.role is not Role.OF_HAIR:
            continue
        head = _head(pieces, range(place + 1, len(pieces)), _WITHIN)
        head = _head(pieces, range(place - 1, -1, -1), _BEHIND) if head is None else head
        if head is None:
            done[place] = Piece(entry=None, phrase=piece.phrase)
        else:
            entry = Entry(role=Role.ATTRIBUTE, names=piece.entry.names)
            done[place] = Piece(entry=entry, phrase=piece.phrase, of_hair=True)
            heads.add(head)
    for place, piece in enumerate(pieces):
        if piece.role is Role.HAIR:
            of_colour = place > 0 and _is_hair(done[place - 1])
            meant = Entry(role=Role.SKIPPED) if place in heads or of_colour else None
            done[place] = Piece(entry=meant, phrase=piece.phrase)
    return done


def _head(pieces: Sequence[Piece], way: range, passed: tuple[Role, ...]) -> int | None:
    """Where the word for hair is on ``way``, if nothing else comes between."""
    for place in way:
        role = pieces[place].role
        if role is Role.HAIR:
            return place
        if role not in passed and not _is_hair(pieces[place]):
            return None
    return None


def _is_hair(piece: Piece) -> bool:
    names = piece.entry.names if piece.entry else ()
    return bool(names) and all(name.endswith("_hair") for name, _ in names)
