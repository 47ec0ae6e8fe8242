"""A sentence lies where it lies by itself, in whatever company: it is one person's alone."""

import functools

import numpy as np
import pytest

from common.errors import ModelError
from common.heads.sentences import embedded
from common.text.encoder import built_in
from common.text.encoding import TextEncoder
from common.text.phrasing import Phrasing
from tests.small_heads import TEXTS, Letters


@functools.cache
def sentences(count: int) -> tuple[str, ...]:
    """So many distinct ones; the first is by far the longest."""
    drawn = Phrasing(np.random.default_rng(5))
    found = {
        "glasses, a beard, a moustache, earrings, a necklace, a hat, freckles, smiling, bald": 0
    }
    while len(found) < count:
        found[drawn.draw().text] = 0
    return tuple(found)


def minilm() -> TextEncoder:
    pytest.importorskip("tokenizers")
    from common.text.minilm import open_minilm

    try:
        return open_minilm()
    except ModelError:
        pytest.skip("the weights of MiniLM are not installed")


def check(encoder: TextEncoder, count: int) -> None:
    """Every sentence of ``count`` lies, to the bit, where it lies alone."""
    said = sentences(count)
    together = embedded(said, encoder)
    moved = sum(
        embedded([text], encoder)[0].tobytes() != row.tobytes()
        for text, row in zip(said, together, strict=True)
    )
    assert moved == 0


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 257])
def test_a_sentence_lies_to_the_bit_where_it_lies_alone(count: int) -> None:
    check(built_in(), count)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 33])
def test_so_it_does_with_an_encoder_that_fills_up_to_the_longest(count: int) -> None:
    check(minilm(), count)


def test_what_is_said_twice_is_embedded_once_and_nothing_is_nowhere() -> None:
    heard: list[str] = []

    class Ears(Letters):
        def encode(self, texts):  # type: ignore[no-untyped-def]
            heard.extend(texts)
            return super().encode(texts)

    rows = embedded(["hat", "", "beard", "hat"], Ears())
    assert rows.shape == (4, TEXTS) and sorted(heard) == ["beard", "hat"]
    assert rows[0].tobytes() == rows[3].tobytes() and np.isnan(rows[1]).all()
    assert embedded(["", ""], Ears()).shape == (2, TEXTS) and len(heard) == 2
