"""The bench of texts tells a search that reads negations from one that does not."""

import json

import numpy as np
import pytest

from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.heads.heads import Readings
from common.heads.joint import HeadTraining
from common.text.encoder import built_in
from common.text.parsing import parse
from simulations.benchmarks import text, text_material
from simulations.benchmarks.text_material import SAID, Gallery, gallery_of, queries

NAMES = ("glasses", "beard", "smiling", "hat", "black_hair", "freckles")


def sharp(pictures: int = 60) -> Gallery:
    """Heads that are nearly always right, and words that lie at what they should say."""
    rng = np.random.default_rng(3)
    truth = (rng.uniform(size=(pictures, len(NAMES))) < 0.5).astype(np.int8)
    said = [
        ", ".join(n.replace("_", " ") for n, so in zip(NAMES, row, strict=True) if so)
        for row in truth
    ]
    return Gallery(
        readings=Readings(
            names=NAMES,
            attributes=np.where(truth == 1, 0.97, 0.03) + rng.uniform(-0.02, 0.02, truth.shape),
            words=built_in().encode(said),
        ),
        names=NAMES,
        truth=truth,
        age=None,
    )


def test_a_query_means_what_its_right_answers_have() -> None:
    gallery = sharp()
    for kind in SAID:
        for one in queries(gallery, kind, 30, 0):
            assert parse(one.text).wanted == one.wanted
            np.testing.assert_array_equal(one.right, gallery.right(one.wanted, None))
            assert one.right.any()
            assert kind == "plain" or not all(one.wanted.values())


def test_heads_that_are_right_find_what_is_asked_and_the_blind_do_not() -> None:
    gallery = sharp()
    plain = text.recalls(gallery, built_in(), "plain", 40)
    negated = text.recalls(gallery, built_in(), "negated", 40)
    assert plain["filter"]["recall@1"] == [1.0, 1.0, 1.0]
    assert plain["blind"]["recall@1"] == [1.0, 1.0, 1.0]
    assert negated["both"]["recall@1"][0] > 0.9
    assert negated["words"]["recall@10"][0] > negated["chance"]["recall@1"] + 0.2
    assert negated["blind"]["recall@1"][2] < 0.5
    assert negated["blind"]["over filter@1"][2] < 0


def test_a_gallery_is_read_by_heads_that_others_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_material, "TAUGHT", HeadTraining(steps=3, decays=(1e-4,)))
    rng = np.random.default_rng(0)
    people, each = 40, 2
    shown = (rng.uniform(size=(people * each, 2)) < 0.5).astype(np.int8)
    faces = FaceSet(
        source=StoredCrops(np.zeros((people * each, 112, 112, 3), np.uint8)),
        person=np.repeat(np.arange(people), each),
        names=tuple(f"person {number}" for number in range(people)),
        attributes=shown,
        attribute_names=("glasses", "hat"),
    )
    features = rng.standard_normal((people * each, 5)).astype(np.float32)
    gallery = gallery_of(faces, features, "0" * 64, built_in(), 2)
    assert gallery.names == ("glasses", "hat") and len(gallery.truth) == people
    assert gallery.readings.words is not None and gallery.readings.words.shape == (people, 64)
    assert gallery.readings.attributes is not None
    assert sorted(map(tuple, gallery.truth.tolist())) == sorted(map(tuple, shown[::each].tolist()))


def test_the_bench_prints_one_line_and_says_which_encoder_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(text, "_faces", lambda given, lab: None)
    monkeypatch.setattr(text.Lab, "features", lambda lab, faces, what: None)
    monkeypatch.setattr(text, "gallery_of", lambda *rest: sharp())
    monkeypatch.setattr(text, "DRAWS", 20)
    text.main(["--encoders", "built-in,nothing", "--queries", "10"])
    told = json.loads(capsys.readouterr().out)
    assert told["bench"] == "text" and set(told["built-in"]) == {"near", *SAID}
    assert "folder" in told["nothing"]["skipped"]
    assert told["built-in"]["near"]["glasses and no glasses"] < 0
