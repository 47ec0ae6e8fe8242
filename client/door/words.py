"""What a door describes faces by: heads of its trunk, and the encoder of their words."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import ConfigError
from common.heads.heads import Heads
from common.text.query import Query
from common.text.search import Searcher


@dataclass(frozen=True, kw_only=True, eq=False, repr=False, slots=True)
class Words:
    """What a door describes by: ``heads`` of its trunk, and who ranks by what they read.

    ``name`` is the SHA-256 of the file of heads.
    """

    name: str
    heads: Heads
    searcher: Searcher

    def unread(self, query: Query) -> tuple[str, ...]:
        """The parts of ``query`` that no head here reads; ``QueryError`` if that is all of it."""
        nobody = np.zeros((1, len(self.heads.scaling.centre)), np.float32)
        return self.searcher.rank(query, self.heads.read(nobody)).unread


def read_words(path: Path, trunk: str) -> Words:
    """The heads in the file at ``path``, for the site's ``trunk``.

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
    return Words(name=name, heads=heads, searcher=Searcher(encoder))
