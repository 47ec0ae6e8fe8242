"""Toy heads of all kinds, and what toy people's labels say."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.gender import GenderHead
from common.heads.head import Head, PictureLabels
from common.heads.words import WordsHead

FEATURES, TEXTS = 6, 4
COLUMNS = ("Eyeglasses", "No_Beard", "Pale_Skin", "headscarf", "Male", "Attractive", "hat", "shoe")


def bank(rows: int = 5, seed: int = 0) -> NDArray[np.float32]:
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


class Letters:
    """A text encoder for tests: how often each of four letters comes."""

    hash, size = "e" * 64, TEXTS

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        counts = np.array([[1 + text.count(letter) for letter in "aeio"] for text in texts])
        unit = counts / np.linalg.norm(counts, axis=1, keepdims=True)
        return np.asarray(unit, np.float32)

    def understood(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.ones(len(texts), np.float32)


def labelled_faces(people: int = 30, pictures: int = 3, seed: int = 0) -> FaceSet:
    """Grey pictures of people whose labels differ; columns of all sorts, also forbidden ones."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), pictures)
    said = rng.integers(0, 2, (len(person), len(COLUMNS))).astype(np.int8)
    said[rng.random(said.shape) < 0.1] = -1
    return FaceSet(
        source=StoredCrops(np.full((len(person), 112, 112, 3), 90, np.uint8)),
        person=person,
        names=tuple(f"p{number}" for number in range(people)),
        attributes=said,
        attribute_names=COLUMNS,
        age=np.where(
            rng.random(len(person)) < 0.1, np.nan, rng.uniform(18, 80, len(person))
        ).astype(np.float32),
    )
