import numpy as np
import pytest
import torch

from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.head import PictureLabels
from common.heads.heads import Heads
from common.heads.judging import (
    age_figures,
    calibrate,
    even,
    even_scores,
    judge,
    line_figures,
    nearer,
)
from common.heads.scaling import Scaling
from common.heads.words import WordsHead
from tests.common.heads.test_heads_file import HEADS
from tests.small_heads import FEATURES, TEXTS, bank, labels


def test_figures_are_counted_over_what_is_labelled() -> None:
    truth = np.array([[1], [1], [0], [0], [0], [-1]], np.int8)
    scores = np.array([[2.0], [-1.0], [-3.0], [-2.0], [1.0], [9.0]])
    said = 1 / (1 + np.exp(-scores))
    found = line_figures(("hat",), scores, said, truth)
    assert found["each"]["hat"] == {
        "balanced_accuracy": pytest.approx((1 / 2 + 2 / 3) / 2, abs=1e-4),
        "f1": 0.5,
        "auc": pytest.approx(5 / 6, abs=1e-4),
        "shown": 2,
    }
    assert found["auc"] == found["each"]["hat"]["auc"]


def test_rare_attributes_of_many_pictures_are_told_where_both_sides_count_alike() -> None:
    head = AttributesHead(names=("hat",), shown=(4_000,), absent=(196_000,))
    rng = np.random.default_rng(0)
    hats = rng.random(20_000) < 0.02
    faces = (rng.standard_normal(20_000) + 2 * hats - 1).astype(np.float32)[:, None]
    weight = np.array([[2.0]], np.float32)  # the log odds of what was drawn, both sides alike
    arrays = {"heads.attributes.weight": weight, "heads.attributes.bias": even(head).astype("f4")}
    heads = Heads(
        trunk="a" * 64,
        heads=(head,),
        scaling=Scaling(np.zeros(1, np.float32), np.ones(1, np.float32)),
        arrays=arrays,
        weights={"attributes": 1.0},
        calibration={},
    )
    shown = PictureLabels(attributes=torch.from_numpy(hats[:, None].astype(np.int8)))
    assert judge(heads, faces, shown)["attributes"]["balanced_accuracy"] > 0.82  # Phi(1) = .841
    assert np.allclose(even_scores(head, arrays, faces), 2 * faces, atol=1e-5)


def test_words_are_judged_by_how_many_other_sentences_lie_farther() -> None:
    said = np.array([[1, 0], [0, 1], [0, 1], [-1, 0]], np.float32)
    read = np.array([[1, 0], [1, 0], [-0.6, 0.8], [0, -1]], np.float32)
    assert nearer(read, said).tolist() == [1.0, 0.5, 1.0, 0.75]


def test_an_attribute_that_everybody_has_is_judged_by_nothing() -> None:
    found = line_figures(("a", "b"), np.ones((3, 2)), np.ones((3, 2)), np.array([[1, -1]] * 3))
    assert found["balanced_accuracy"] is None and found["auc"] is None
    assert found["each"]["b"]["f1"] is None


def test_ages_are_judged_in_years_and_by_their_ranges() -> None:
    head = AgeHead(cuts=(30, 50))
    reached = np.array(
        [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
    )  # all between 30 and 50, most likely 40
    found = age_figures(head, reached, np.array([40, 49, np.nan]))
    assert found == {"mean_absolute_error": 4.5, "within_range": 0.5, "pictures": 2}
    assert age_figures(head, reached[:1], np.array([[30, 50]]))["mean_absolute_error"] == 0


def test_every_head_has_its_figures() -> None:
    faces = np.random.default_rng(0).standard_normal((40, FEATURES)).astype(np.float32)
    found = judge(HEADS, faces, labels(40, 2))
    assert set(found) == {"attributes", "age", "gender", "words"}
    assert found["words"]["loss"] > 0
    assert set(found["attributes"]["each"]) == {"glasses", "hat"}
    assert set(found["gender"]["each"]) == {"gender"}
    unlabelled = judge(HEADS, faces, PictureLabels())
    assert all(one == {"loss": 0} for one in unlabelled.values())


def test_ages_share_one_line_and_words_have_none() -> None:
    faces, said = np.zeros((40, FEATURES), np.float32), labels(40, 2)
    head = AgeHead()
    arrays = {
        n: a.numpy() for n, a in head.arrays(FEATURES, torch.Generator().manual_seed(0)).items()
    }
    line = calibrate(head, arrays, faces, said)
    assert line is not None and line.slope.shape == (1,)
    words = WordsHead(size=TEXTS, encoder="e", bank=bank())
    assert calibrate(words, {}, faces, said) is None
