"""The built-in text encoder: it reads a text word by word into the code of what it means.

Each attribute has a direction of its own (``codes``); a text lies at the sum of the directions of
what it says is there minus those of what it says is not, with two more for an age. So a negation
turns a direction round, and the same in other words or in Chinese lies at the same place. Words
are hashed by their letters: a slip of the pen stays near. Gender has no direction.

Weights: ``encoder.safetensors``, trained by `mascaron-lab text train` on ``phrasing`` alone.
"""

import functools
import hashlib
import json
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.errors import ModelError
from common.text.ages import Ages
from common.text.encoding import unit
from common.text.phrasing import years_of
from common.text.vocabulary import FEMALE, names
from common.text.words import plain

WEIGHTS = Path(__file__).with_name("encoder.safetensors")
SIZE = 64  # T
WIDTH, STATE = 64, 96
BUCKETS = 2048  # of hashed pieces of words
LONGEST = 64  # tokens of a text that are looked at
_TOKEN = re.compile(r"[a-z]+|[0-9]+|[\u4e00-\u9fff]|[,.;\u3001\u3002]")


class Network(nn.Module):
    """Tokens to a vector that is not normalised. No batch statistics, no dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces = nn.EmbeddingBag(BUCKETS, WIDTH, mode="mean")
        self.reader = nn.GRU(WIDTH, STATE, batch_first=True)
        self.out = nn.Linear(STATE, SIZE, bias=False)
        nn.init.normal_(self.pieces.weight, std=0.5)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """(N,) texts -> (N, T): the sum of what is read at each of their tokens."""
        split = [tokens(text) for text in texts]
        known = {token: 0 for row in split for token in row}
        if not known:
            return self.out.weight.new_zeros((len(texts), SIZE))
        known = {token: place for place, token in enumerate(known, 1)}
        index = torch.zeros((len(texts), max(map(len, split))), dtype=torch.long)
        for row, spoken in enumerate(split):
            index[row, : len(spoken)] = torch.tensor([known[t] for t in spoken], dtype=torch.long)
        states, _ = self.reader(self._vectors(list(known))[index])
        said: Tensor = self.out(states)
        return (said * (index > 0)[:, :, None]).sum(dim=1)

    def _vectors(self, known: Sequence[str]) -> Tensor:
        """(K + 1, W): nothing, then each token."""
        hashed = [_pieces(token) for token in known]
        offsets = np.cumsum([0, *(len(row) for row in hashed[:-1])])
        flat = torch.tensor([piece for row in hashed for piece in row])
        vectors: Tensor = self.pieces(flat, torch.from_numpy(offsets))
        return F.pad(vectors, (0, 0, 1, 0))


class CompactEncoder:
    """The network with its weights, as a ``TextEncoder``."""

    size = SIZE

    def __init__(self, network: Network, hash_: str) -> None:
        self._network, self.hash = network.eval(), hash_

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return unit(self.raw(texts))

    def understood(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """How far each text lies along one direction: what nobody knows lies between many."""
        raw = self.raw(texts)
        peaks = np.abs(raw @ codes().T).max(axis=1)
        return np.asarray(peaks / np.maximum(np.linalg.norm(raw, axis=1), 1e-6), np.float32)

    def raw(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, T) before they are brought to length 1."""
        with torch.inference_mode():
            parts = [self._network(texts[row : row + 256]) for row in range(0, len(texts), 256)]
        found = torch.cat(parts) if parts else torch.zeros((0, SIZE))
        return np.asarray(found.numpy(), np.float32)


@functools.cache
def codes() -> NDArray[np.float32]:
    """(A + 2, T): orthonormal directions of the attributes in their order, then two for an age."""
    drawn = np.random.default_rng(7).standard_normal((SIZE, len(names()) + 2))
    return np.ascontiguousarray(np.linalg.qr(drawn)[0].T, dtype=np.float32)


def meaning_code(attributes: Mapping[str, bool], age: Ages | None) -> NDArray[np.float32]:
    """(T,): where a text that says this lies, before it is brought to length 1."""
    said = np.zeros(len(names()) + 2, np.float32)
    for name, present in attributes.items():
        if name != FEMALE:
            said[names().index(name)] = 1 if present else -1
    if age is not None:
        turn = math.pi * (years_of(age) - 15) / 70
        said[-2:] = math.cos(turn), math.sin(turn)
    return np.asarray(said @ codes(), np.float32)


@functools.cache
def built_in() -> CompactEncoder:
    """The encoder with the weights that come along."""
    return read_encoder(WEIGHTS)


def encoder_bytes(network: Network, note: Mapping[str, Any]) -> bytes:
    """The weights as a file, half as wide; ``note`` says how they came about."""
    from safetensors.numpy import save

    arrays = {
        name: t.detach().numpy().astype(np.float16) for name, t in network.state_dict().items()
    }
    text = json.dumps({"names": names(), **note}, sort_keys=True)
    return bytes(save(dict(sorted(arrays.items())), metadata={"text": text}))


def read_encoder(path: Path) -> CompactEncoder:
    """The encoder in the file at ``path``; ``ModelError`` if it is not one."""
    from safetensors import SafetensorError, safe_open
    from safetensors.numpy import load

    try:
        content = path.read_bytes()
        arrays = load(content)
        with safe_open(path, "np") as file:
            named = tuple(json.loads(file.metadata()["text"])["names"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a text encoder ({type(error).__name__})") from None
    network = Network()
    shapes = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    if {name: array.shape for name, array in arrays.items()} != shapes:
        raise ModelError(f"{path}: not the arrays of this text encoder")
    if named != names():
        raise ModelError(f"{path}: for another vocabulary: train it with `mascaron-lab text train`")
    wide = {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
    network.load_state_dict(wide)
    return CompactEncoder(network, hashlib.sha256(content).hexdigest())


def tokens(text: str) -> list[str]:
    """Words, numbers, Chinese characters and marks of ``text``."""
    return _TOKEN.findall(plain(text))[:LONGEST]


@functools.lru_cache(maxsize=1 << 16)
def _pieces(token: str) -> tuple[int, ...]:
    """Buckets of a token: itself, and its runs of three letters."""
    framed = f"<{token}>"
    runs = [framed[place : place + 3] for place in range(len(framed) - 2)] if len(token) > 2 else []
    return tuple(zlib.crc32(piece.encode()) % BUCKETS for piece in (framed, *runs))
