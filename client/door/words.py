"""What a door describes faces by: heads of its trunk, and the encoder of their words."""

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError
from common.heads.heads import Heads, Readings
from common.text.denied import AGE, GENDER, WORDS, denied_names, denies
from common.text.parsing import parse
from common.text.query import Query
from common.text.search import Searcher


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class Words:
    """What a door describes by: ``heads`` of its trunk, and who ranks by what they read.

    ``name`` is the SHA-256 of the file of heads. ``rest`` are of the same trunk and read what
    ``heads`` do not: a site's own, where those of a release have fewer kinds.
    """

    name: str
    heads: Heads
    searcher: Searcher
    denied: tuple[str, ...] = ()  # words for what this site's policy never says or asks for
    rest: Heads | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of all that is read."""
        return self.heads.kinds + (() if self.rest is None else self.rest.kinds)

    def read(self, features: NDArray[np.float32]) -> Readings:
        """What may be said of ``features`` (N, D): nothing of what the site denies is in it."""
        readings, denied = self._read(features), denied_names(self.denied)
        if AGE in denied:
            readings = replace(readings, age=None, age_range=None)
        if GENDER in denied:
            readings = replace(readings, female=None)
        if WORDS in denied:
            readings = replace(readings, words=None)
        if readings.attributes is None:
            return readings
        kept = [at for at, name in enumerate(readings.names) if not denies(self.denied, name)]
        return replace(
            readings,
            names=tuple(readings.names[at] for at in kept),
            attributes=readings.attributes[:, kept],
        )

    def asked(self, query: str) -> Query:
        """``query``, understood; ``ForbiddenError`` or ``QueryError`` as ``parse``."""
        return parse(query, gender="gender" in self.kinds, also=self.denied)

    def unread(self, query: Query) -> tuple[str, ...]:
        """The parts of ``query`` that no head here reads; ``QueryError`` if that is all of it."""
        nobody = np.zeros((1, self.heads.width), np.float32)
        return self.searcher.rank(query, self.read(nobody)).unread

    def _read(self, features: NDArray[np.float32]) -> Readings:
        readings = self.heads.read(features)
        if self.rest is None:
            return readings
        own = self.rest.read(features)  # of other kinds: what it tells, the former do not
        told = {one.name: getattr(own, one.name) for one in fields(own)}
        told["names"] = own.names or readings.names
        return replace(readings, **{name: v for name, v in told.items() if v is not None})


def read_words(path: Path, trunk: str, denied: tuple[str, ...] = ()) -> Words:
    """The heads in the file at ``path``, for the site's ``trunk``, less what is ``denied``.

    ``ConfigError`` for heads of another trunk, ``ModelError`` for what is no file of heads.
    """
    from common.heads.heads_file import read_heads

    heads = read_heads(path)
    if heads.trunk != trunk:
        raise ConfigError(f"{path} has heads of another trunk than this site's")
    return words_of(hashlib.sha256(path.read_bytes()).hexdigest(), heads, denied)


def words_of(
    name: str, heads: Heads, denied: tuple[str, ...] = (), rest: Heads | None = None
) -> Words:
    """``heads`` of the file called ``name``, and ``rest`` beside them, less what is ``denied``.

    ``ModelError`` where the encoder that their words were trained with is not here.
    """
    from common.text.encoding import encoder_with

    head = heads.head("words") or (None if rest is None else rest.head("words"))
    encoder = None if head is None else encoder_with(head.table()["encoder"])
    return Words(name=name, heads=heads, searcher=Searcher(encoder), denied=denied, rest=rest)
