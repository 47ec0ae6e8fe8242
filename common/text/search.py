"""Which faces of a gallery look as a query says: what heads are sure of, and where texts lie.

Two scores: the probability that everything asked for is so (attributes, an age, each as calibrated
heads read it), and how the faces lie along the directions of the prompts asked for. Polarity comes
from the query, never from how an encoder sees a "no".

Leaks: who is found tells what they look like. The gallery is of people who consented to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError, QueryError
from common.heads.heads import Readings
from common.text.ages import Ages
from common.text.bank import Bank, embed_bank
from common.text.chances import read_chances
from common.text.encoding import TextEncoder
from common.text.grammar import sentence
from common.text.query import Query
from common.text.vocabulary import FEMALE

UNDERSTOOD = 0.66  # of a remainder, that it counts: a slip of the pen does, a strange word not
WEIGHT = 0.5  # of the text score beside the attributes', both in standard deviations
_TINY = 1e-6
_SPREAD = 2 * 1.2815515655446004  # standard deviations between 10 % and 90 % of a normal

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Ranking:
    """Scores of N faces, higher is better, and their ``order`` (N,), best first.

    ``chances`` (N, K) are the probabilities of the K conditions that heads read, named in
    ``asked``; ``attribute`` (N,) their joint log-probability, ``text`` (N,) the mean cosine; None
    where there is nothing to score by. ``unread`` are conditions that no head here reads.
    """

    order: NDArray[np.int64]
    fused: Doubles
    chances: Doubles
    asked: tuple[str, ...]
    attribute: Doubles | None
    text: Doubles | None
    unread: tuple[str, ...]


class Searcher:
    """Ranks galleries; holds the prompts of its encoder."""

    def __init__(self, encoder: TextEncoder | None = None, bank: Bank | None = None) -> None:
        if bank is not None and (encoder is None or bank.hash != encoder.hash):
            raise ModelError("a bank of prompts goes with the encoder that embedded it")
        self._encoder = encoder
        self._bank = bank

    def rank(self, query: Query, readings: Readings) -> Ranking:
        """The faces of ``readings`` by how well they fit ``query``.

        ``QueryError`` where nothing of the query can be answered with these readings.
        """
        found, unread = _chances(query, readings)
        text = self._text(query, readings)
        if not found and text is None:
            raise QueryError("nothing of this query can be searched with these heads")
        chances = (
            np.stack(list(found.values()), axis=1) if found else np.zeros((_count(readings), 0))
        )
        attribute = np.log(np.maximum(chances, _TINY)).sum(axis=1) if found else None
        parts = [] if attribute is None else [_standard(attribute)]
        if text is not None:
            parts.append((WEIGHT if parts else 1.0) * _standard(text))
        fused = np.sum(parts, axis=0)
        return Ranking(
            order=np.argsort(-fused, kind="stable"),
            fused=fused,
            chances=chances,
            asked=tuple(found),
            attribute=attribute,
            text=text,
            unread=unread,
        )

    def target(self, query: Query) -> NDArray[np.float32]:
        """(K, T) unit directions that a face should lie along to fit ``query``."""
        encoder = self._encoder
        if encoder is None:
            raise ModelError("texts need an encoder")
        if self._bank is None:
            self._bank = embed_bank(encoder)
        wanted = [(name, so) for name, so in query.wanted.items() if name != FEMALE]
        rows = [(1 if so else -1) * self._bank.contrast(name) for name, so in wanted]
        for group in query.either:
            if FEMALE in group:
                continue  # gender has no direction, so neither has the choice
            middle = np.mean([self._bank.contrast(name) for name in group], axis=0)
            rows.append(middle / max(float(np.linalg.norm(middle)), _TINY))
        if query.age is not None:
            rows.append(encoder.encode([sentence({}, query.age)])[0])
        if query.remainder and encoder.understood([query.remainder])[0] >= UNDERSTOOD:
            rows.append(encoder.encode([query.remainder])[0])
        return (
            np.stack(rows).astype(np.float32) if rows else np.zeros((0, encoder.size), np.float32)
        )

    def _text(self, query: Query, readings: Readings) -> Doubles | None:
        """(N,) the mean cosine to what is asked for."""
        if self._encoder is None or readings.words is None:
            return None
        target = self.target(query)
        if not len(target):
            return None
        return np.asarray((readings.words @ target.T).mean(axis=1), np.float64)


def _chances(query: Query, readings: Readings) -> tuple[Mapping[str, Doubles], tuple[str, ...]]:
    """The conditions of ``query`` that are read, and those that are not."""
    read = read_chances(readings)
    found: dict[str, Doubles] = {}
    unread: list[str] = []
    for name, so in query.wanted.items():
        if name in read:
            found[name] = read[name] if so else 1 - read[name]
        else:
            unread.append(name)
    for group in query.either:
        known = [name for name in group if name in read]
        unread += [name for name in group if name not in read]
        if known:
            none = np.prod([1 - read[name] for name in known], axis=0)
            found[" or ".join(group)] = 1 - none
    if query.age is not None and readings.age is not None and readings.age_range is not None:
        found["age"] = _aged(query.age, readings.age, readings.age_range)
    elif query.age is not None:
        unread.append("age")
    return found, tuple(unread)


def _aged(wanted: Ages, age: Doubles, between: Doubles) -> Doubles:
    """(N,) probability of an age in ``wanted``, each age taken for normal around its median."""
    import torch

    spread = np.maximum((between[:, 1] - between[:, 0]) / _SPREAD, 0.5)
    low, high = (torch.from_numpy((bound - age) / spread) for bound in wanted)
    share = torch.special.ndtr(high) - torch.special.ndtr(low)
    return np.asarray(share.numpy(), np.float64)


def _standard(scores: Doubles) -> Doubles:
    """``scores`` in standard deviations of this gallery."""
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > _TINY else np.zeros_like(scores)


def _count(readings: Readings) -> int:
    for values in (readings.attributes, readings.age, readings.female, readings.words):
        if values is not None:
            return len(values)
    raise ModelError("nothing was read of anybody")
