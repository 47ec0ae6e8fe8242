"""What words heads learn from: sentences that labels come to, and the public prompts that repel.

The prompts are drawn once and for all from the grammar, so they are the same everywhere and named
by a digest of their texts. Nobody's sentence is among them.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from common.text.encoding import TextEncoder
from common.text.grammar import sentence
from common.text.phrasing import Phrasing
from common.wire import digest

PROMPTS = 512  # of the bank that repels


def prompt_bank(encoder: TextEncoder) -> NDArray[np.float32]:
    """(M, T) unit texts that say all kinds of things: public, and the same for everybody."""
    return _bank(cast("Any", encoder))


@functools.cache
def bank_digest() -> str:
    """SHA-256 over the texts of the bank: what a plan names it by, in whatever space it lies."""
    return digest("prompts", *_prompts())


def said_of(names: Sequence[str], shown: NDArray[np.int8], years: float) -> str:
    """A sentence of what is shown (A,) and of an age; nothing where neither is known."""
    there = {name: True for name, so in zip(names, shown, strict=True) if so == 1}
    aged = None if math.isnan(years) else years
    return sentence(there, aged) if there or aged is not None else ""


def embedded(said: Sequence[str], encoder: TextEncoder) -> NDArray[np.float32]:
    """(N, T) the text of each sentence, NaN where nothing is said.

    Guarantee: a row is a function of its own sentence alone, to the bit. Each is encoded by itself,
    because in a batch its rounding depends on what else is there: on other people.
    """
    found = np.full((len(said), encoder.size), np.nan, np.float32)
    vectors = {text: encoder.encode([text])[0] for text in sorted({*said} - {""})}
    for row, text in enumerate(said):
        if text:
            found[row] = vectors[text]
    return found


@functools.lru_cache(maxsize=4)
def _bank(encoder: Any) -> NDArray[np.float32]:
    return np.asarray(encoder.encode(_prompts()), np.float32)


@functools.cache
def _prompts() -> tuple[str, ...]:
    drawn = Phrasing(np.random.default_rng([0, 23]))
    return tuple(drawn.draw().text for _ in range(PROMPTS))
