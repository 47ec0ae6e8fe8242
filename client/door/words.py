"""What a door describes faces by: heads of its trunk, and the encoder of their words."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError
from common.heads.heads import Heads, Readings
from common.text.denied import AGE, GENDER, denied_names
from common.text.parsing import parse
from common.text.query import Query
from common.text.search import Searcher
from common.text.vocabulary import canonical


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class Words:
    """What a door describes by: ``heads`` of its trunk, and who ranks by what they read.

    ``name`` is the SHA-256 of the file of heads.
    """

    name: str
    heads: Heads
    searcher: Searcher
    denied: tuple[str, ...] = ()  # words for what this site's policy never says or asks for

    def read(self, features: NDArray[np.float32]) -> Readings:
        """What may be said of ``features`` (N, D): nothing of what the site denies is in it."""
        readings, denied = self.heads.read(features), denied_names(self.denied)
        if AGE in denied:
            readings = replace(readings, age=None, age_range=None)
        if GENDER in denied:
            readings = replace(readings, female=None)
        if readings.attributes is None:
            return readings
        meant = [canonical(name) for name in readings.names]
        kept = [at for at, one in enumerate(meant) if one is None or one[0] not in denied]
        return replace(
            readings,
            names=tuple(readings.names[at] for at in kept),
            attributes=readings.attributes[:, kept],
        )

    def asked(self, query: str) -> Query:
        """``query``, understood; ``ForbiddenError`` or ``QueryError`` as ``parse``."""
        return parse(query, gender="gender" in self.heads.kinds, also=self.denied)

    def unread(self, query: Query) -> tuple[str, ...]:
        """The parts of ``query`` that no head here reads; ``QueryError`` if that is all of it."""
        nobody = np.zeros((1, len(self.heads.scaling.centre)), np.float32)
        return self.searcher.rank(query, self.read(nobody)).unread


def read_words(path: Path, trunk: str, denied: tuple[str, ...] = ()) -> Words:
    """The heads in the file at ``path``, for the site's ``trunk``, less what is ``denied``.

    ``ConfigError`` for heads of another trunk, ``ModelError`` for what is no file of heads.
    """
    from common.heads.heads_file import read_heads
    from common.text.encoding import encoder_with

    heads = read_heads(path)
    if heads.trunk != trunk:
        raise ConfigError(f"{path} has heads of another trunk than this site's")
    head = heads.head("words")
    encoder = None if head is None else encoder_with(head.table()["encoder"])
    name = hashlib.sha256(path.read_bytes()).hexdigest()
    return Words(name=name, heads=heads, searcher=Searcher(encoder), denied=denied)
