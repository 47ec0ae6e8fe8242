"""Toy heads of all kinds, and what toy people's labels say."""

import numpy as np
import torch

from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.gender import GenderHead
from common.heads.head import Head, PictureLabels
from common.heads.words import WordsHead

FEATURES, TEXTS = 6, 4


def bank(rows: int = 5, seed: int = 0) -> np.ndarray:
    """(rows, TEXTS) unit prompts."""
    drawn = np.random.default_rng(seed).standard_normal((rows, TEXTS)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def all_heads() -> list[Head]:
    """One of each kind."""
    return [
        AttributesHead(names=("glasses", "hat"), shown=(30, 5), absent=(70, 95)),
        AgeHead(cuts=(30, 50, 70)),
        GenderHead(female=40, male=60),
        WordsHead(size=TEXTS, encoder="e" * 64, bank=bank()),
    ]


def labels(pictures: int, seed: int, missing: float = 0.3) -> PictureLabels:
    """What is said of a toy person: a share of it is missing."""
    rng = np.random.default_rng(seed)
    gone = rng.random((pictures, 5)) < missing
    attributes = np.where(gone[:, :2], -1, rng.integers(0, 2, (pictures, 2))).astype(np.int8)
    gender = np.where(gone[:, 2], -1, rng.integers(0, 2, pictures)).astype(np.int8)
    age = np.where(gone[:, 3], np.nan, rng.uniform(18, 80, pictures)).astype(np.float32)
    words = np.where(gone[:, 4:], np.nan, bank(pictures, seed)).astype(np.float32)
    return PictureLabels(
        attributes=torch.from_numpy(attributes),
        age=torch.from_numpy(age),
        gender=torch.from_numpy(gender),
        words=torch.from_numpy(words),
    )
