import numpy as np
import pytest

from common.errors import ModelError
from common.faces.quality import quality_of
from common.matching.pooling import pooled
from common.metrics.verification import Floats
from simulations.benchmarks.quality import PICTURES, STARTER, Material, embedder, material


def test_the_plain_mean_is_what_equal_pictures_and_power_zero_give() -> None:
    rows = np.random.default_rng(0).standard_normal((5, 16)).astype(np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    mean /= np.linalg.norm(mean)
    assert np.allclose(pooled(rows, np.full(5, 0.4)), mean, atol=1e-6)
    assert np.allclose(pooled(rows, [0.1, 0.9, 0.3, 0.2, 1], power=0), mean, atol=1e-6)


def test_the_better_picture_counts_more_and_length_does_not_count() -> None:
    east, north = [5.0, 0.0], [0.0, 0.1]
    made = pooled([east, north], [0.9, 0.3])
    assert np.allclose(made, np.array([3, 1]) / np.sqrt(10), atol=1e-6)


def test_only_worthless_pictures_still_make_a_template() -> None:
    assert np.allclose(pooled([[1.0, 0.0], [0.0, 1.0]], [0, 0]), np.sqrt([0.5, 0.5]), atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "quality"),
    [
        (np.empty((0, 4)), []),
        ([[1.0, 0.0]], [0.5, 0.5]),
        ([[1.0, 0.0]], [1.5]),
        ([[1.0, 0.0]], [float("nan")]),
        ([[1.0, 0.0], [-1.0, 0.0]], [1, 1]),
        ([[float("inf"), 0.0]], [1]),
    ],
)
def test_what_cannot_be_pooled_is_refused(rows: object, quality: object) -> None:
    with pytest.raises(ModelError):
        pooled(rows, quality)  # type: ignore[arg-type]


@pytest.mark.slow
def test_pooling_by_quality_is_no_worse_than_the_mean_and_better_than_the_best_picture() -> None:
    shown = material(30, 9300)
    embeddings = embedder(STARTER)(shown.crops)
    mean, weighted, best, highest = (
        np.mean([tar(shown, embeddings, how, seed) for seed in range(12)])
        for how in ("mean", "weighted", "best", "max")
    )
    assert weighted > mean - 0.005
    assert weighted > highest + 0.01
    assert weighted > best + 0.05


def tar(shown: Material, embeddings: Floats, how: str, seed: int) -> float:
    """TAR at FMR 1e-2 of two probes a person against a template of four pictures each."""
    rng = np.random.default_rng(seed)
    people = int(shown.person.max()) + 1
    columns, probes = [], []
    chosen = [_pictures(shown, person, rng) for person in range(people)]
    probes = np.concatenate([rows[4:] for rows in chosen])
    for rows in chosen:
        quality = np.array([quality_of(found).score for found in shown.defects[rows[:4]]])
        table = embeddings[probes] @ embeddings[rows[:4]].T  # (Q, 4)
        if how == "max":
            columns.append(table.max(axis=1))
        elif how == "best":
            columns.append(table[:, quality.argmax()])
        else:
            template = pooled(embeddings[rows[:4]], quality, 1.0 if how == "weighted" else 0.0)
            columns.append(embeddings[probes] @ template)
    scores = np.stack(columns, axis=1)
    genuine = shown.person[probes][:, None] == np.arange(people)
    return float((scores[genuine] > np.quantile(scores[~genuine], 0.99)).mean())


def _pictures(shown: Material, person: int, rng: np.random.Generator) -> np.ndarray:
    """One picture of each of the person's shots, in random order; some good, some bad."""
    shots = person * PICTURES + rng.permutation(PICTURES)
    return np.array([rng.choice(np.flatnonzero(shown.shot == shot)) for shot in shots])
