"""What a text encoder is, and which one a name means.

An encoder is named by the hash of its weights: heads that read faces into the space of one cannot
be asked with texts of another.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError

BUILT_IN, MINILM = "built-in", "minilm"


class TextEncoder(Protocol):
    """Texts to unit vectors. ``hash`` is the SHA-256 of its weights, ``size`` the length T."""

    @property
    def hash(self) -> str: ...

    @property
    def size(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, T) unit rows."""

    def understood(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N,) in [0, 1]: how clearly each short text is one thing that the encoder knows."""


def open_encoder(which: str) -> TextEncoder:
    """``built-in``, ``minilm`` (extra ``[text]``), a folder with the weights of the latter, or a
    file that `mascaron-lab text train` made."""
    if which == BUILT_IN:
        from common.text.encoder import built_in

        return built_in()
    from common.text.minilm import open_minilm

    if which == MINILM:
        return open_minilm()
    place = Path(which)
    if place.is_file():
        from common.text.encoder import read_encoder

        return read_encoder(place)
    if not place.is_dir():
        raise ModelError(
            f"text encoders are {BUILT_IN}, {MINILM}, a folder with its weights, or a file of one"
        )
    return open_minilm(place)


def encoder_with(hash_: str, others: Sequence[TextEncoder] = ()) -> TextEncoder:
    """The encoder with that hash: one of ``others`` or the built-in one; ``ModelError`` if none."""
    from common.text.encoder import built_in

    for encoder in (*others, built_in()):
        if encoder.hash == hash_:
            return encoder
    raise ModelError(
        "the words head was trained with another text encoder: name it with --encoder, or train "
        "the words head again"
    )


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows (N, T) brought to length 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
