"""What a site's labels and descriptions come to as sentences, and where those lie for a head.

A description is understood and said again by the grammar: what the vocabulary does not know, a
person's sex and any name in it are embedded nowhere. So is a sentence made of labels.

Guarantee: a sentence with a word of a forbidden topic, or about what the operator denies, is left
out before anything is computed from it; its picture then adds exactly 0 to a words head. It never
stops a site, so no refusal tells what is said of anybody.
Leaks: a list knows what is on it (``common.text.forbidden``); of other words nothing is kept.
Attacked by ``tests/client/agent/test_sentences.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ForbiddenError, QueryError
from common.faces.labels import MISSING
from common.heads.sentences import embedded, said_of
from common.text.denied import AGE, denied_names
from common.text.encoding import TextEncoder
from common.text.grammar import sentence
from common.text.parsing import parse


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Said:
    """What is told of ``count`` pictures, N: attributes ``shown`` (N, A) in {1, 0, MISSING} with
    the ``names`` of the vocabulary, ``years`` (N,) or NaN, N descriptions. None where nothing is.
    """

    count: int
    names: tuple[str, ...] = ()
    shown: NDArray[np.int8] | None = None
    years: NDArray[np.floating[Any]] | None = None
    texts: Sequence[str] | None = None

    def of(self, spoken: NDArray[np.bool_]) -> "Said":
        """The same of the pictures in ``spoken`` (N,), and nothing of the others."""
        shown, years = self.shown, self.years
        typed = self.texts or [""] * self.count
        return replace(
            self,
            shown=None if shown is None else np.where(spoken[:, None], shown, np.int8(MISSING)),
            years=None if years is None else np.where(spoken, years, np.nan),
            texts=[text if so else "" for text, so in zip(typed, spoken, strict=True)],
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Speech:
    """How one site speaks: the ``encoder`` it has, and words for what its policy ``denied``."""

    encoder: TextEncoder
    denied: tuple[str, ...] = ()

    def rows(self, said: Said) -> NDArray[np.float32] | None:
        """(N, T) unit rows, NaN where nothing is said: of each picture's description, or else of
        its labels. None where nothing is said of any."""
        typed = said.texts or [""] * said.count
        texts = [one if one.strip() else made
                 for one, made in zip(typed, self._made(said), strict=True)]  # fmt: skip
        again = {text: self.again(text) for text in set(texts)}
        if not any(again.values()):
            return None
        return embedded([again[text] for text in texts], self.encoder)

    def again(self, text: str) -> str:
        """What ``text`` says of anybody, in the grammar's words; nothing where it may not."""
        try:
            query = parse(text, also=self.denied) if text else None
        except (ForbiddenError, QueryError):
            return ""
        if query is None or not (query.wanted or query.age):
            return ""
        return sentence(query.wanted, query.age)

    def _made(self, said: Said) -> list[str]:
        """A sentence of each picture's labels, of those that nobody denies."""
        kept = [at for at, name in enumerate(said.names) if name not in self._silent]
        names, bare = [said.names[at] for at in kept], np.empty((said.count, 0), np.int8)
        shown = bare if said.shown is None else said.shown[:, kept]
        years = np.full(said.count, np.nan)
        if said.years is not None and AGE not in self._silent:
            years[:] = said.years
        return [said_of(names, row, float(age)) for row, age in zip(shown, years, strict=True)]

    @cached_property
    def _silent(self) -> frozenset[str]:
        return denied_names(self.denied)
