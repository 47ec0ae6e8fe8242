import numpy as np
import pytest
import torch

from common.errors import DataSetError
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.head import PictureLabels
from common.heads.joint import HeadTraining, Lesson, train_heads
from common.heads.words import WordsHead
from tests.small_heads import TEXTS, bank

HEADS = (
    AttributesHead(names=("glasses", "hat"), shown=(50, 50), absent=(50, 50)),
    AgeHead(cuts=(30, 50, 70)),
    WordsHead(size=TEXTS, encoder="e", bank=bank()),
)
OPTIONS = HeadTraining(learning_rate=0.2, steps=120, patience=15, decays=(1e-4,))
MAP = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


def lesson(seed: int, noise: float = 0.3, pictures: int = 150) -> Lesson:
    """Pictures whose features tell two attributes, an age and a text, noisily."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((pictures, 4)).astype(np.float32)
    features = hidden @ MAP.T + noise * rng.standard_normal((pictures, 5)).astype(np.float32)
    truth = torch.from_numpy((hidden[:, :2] > 0).astype(np.int8))
    truth[::7] = -1
    words = hidden / np.linalg.norm(hidden, axis=1, keepdims=True)
    age = torch.from_numpy(45 + 15 * hidden[:, 2])
    labels = PictureLabels(attributes=truth, age=age, words=torch.from_numpy(words))
    return Lesson(features=np.asarray(features / 3, np.float32), labels=labels)


def test_every_head_learns_what_other_people_show_too() -> None:
    found = train_heads(HEADS, lesson(1), lesson(2), OPTIONS)
    unseen = lesson(3)
    seen = torch.from_numpy(unseen.features)
    for head in HEADS:
        drawn = head.arrays(5, torch.Generator().manual_seed(0))
        learnt = {n: torch.from_numpy(a) for n, a in found[head.kind].arrays.items()}
        before, after = (float(head.loss(a, seen, unseen.labels)) for a in (drawn, learnt))
        assert after < 0.8 * before


def test_what_is_kept_is_what_did_best_on_held_out_people() -> None:
    held = lesson(2)
    found = train_heads(HEADS[:1], lesson(1, noise=3, pictures=12), held, OPTIONS)["attributes"]
    learnt = {n: torch.from_numpy(a) for n, a in found.arrays.items()}
    loss = HEADS[0].loss(learnt, torch.from_numpy(held.features), held.labels)
    assert float(loss) == pytest.approx(found.loss)
    assert found.steps < OPTIONS.steps


def test_the_decay_that_does_best_is_chosen() -> None:
    options = HeadTraining(learning_rate=0.2, steps=40, decays=(1e3, 1e-4))
    found = train_heads(HEADS[:2], lesson(1), lesson(2), options)
    assert [one.decay for one in found.values()] == [1e-4, 1e-4]


def test_without_labels_a_head_cannot_be_trained() -> None:
    unlabelled = Lesson(features=lesson(2).features, labels=PictureLabels())
    for taught, held in ((unlabelled, lesson(2)), (lesson(2), unlabelled)):
        with pytest.raises(DataSetError, match="age head"):
            train_heads(HEADS[1:2], taught, held, OPTIONS)
