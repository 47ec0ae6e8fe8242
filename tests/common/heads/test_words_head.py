import math

import numpy as np
import pytest
import torch

from common.errors import ModelError
from common.heads.head import PictureLabels
from common.heads.words import WordsHead

BANK = np.array([[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]], np.float32)
HEAD = WordsHead(size=2, encoder="e", bank=BANK, scale=3.0)
ARRAYS = {"heads.words.weight": torch.eye(2), "heads.words.bias": torch.zeros(2)}


def test_the_own_description_attracts_and_the_bank_repels() -> None:
    feature = torch.tensor([[3.0, 4.0]])  # (0.6, 0.8) of length 1
    own = torch.tensor([[0.0, -1.0]])
    loss = HEAD.loss(ARRAYS, feature, PictureLabels(words=own))
    logits = [3 * -0.8, 3 * 0.8, 3 * 0.6, 3 * -0.6]
    by_hand = math.log(sum(map(math.exp, logits))) - logits[0]
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)


def test_a_prompt_that_says_the_same_repels_nothing() -> None:
    feature = torch.tensor([[3.0, 4.0]])
    loss = HEAD.loss(ARRAYS, feature, PictureLabels(words=torch.tensor([[1.0, 0.0]])))
    logits = [3 * 0.6, 3 * 0.8, 3 * -0.6]  # without the second prompt
    by_hand = math.log(sum(map(math.exp, logits))) - logits[0]
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)


def test_embeddings_have_length_one() -> None:
    unit = HEAD.embed(ARRAYS, torch.randn(5, 2))
    assert torch.allclose(unit.norm(dim=1), torch.ones(5))


def test_learning_needs_a_bank_and_reading_does_not() -> None:
    reader = WordsHead(size=2, encoder="e")
    assert reader.embed(ARRAYS, torch.ones(1, 2)).shape == (1, 2)
    with pytest.raises(ModelError, match="bank"):
        reader.loss(ARRAYS, torch.ones(1, 2), PictureLabels(words=torch.eye(2)[:1]))


def test_banks_that_are_not_of_unit_rows_are_refused() -> None:
    with pytest.raises(ModelError, match="length 1"):
        WordsHead(size=2, encoder="e", bank=2 * BANK)
    with pytest.raises(ModelError, match="bank of prompts is"):
        WordsHead(size=3, encoder="e", bank=BANK)
    with pytest.raises(ModelError, match="scale"):
        WordsHead(size=2, encoder="e", scale=0.0)
