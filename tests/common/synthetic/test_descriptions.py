import dataclasses
import re

import numpy as np
import pytest

from common.faces.align import TEMPLATE
from common.faces.faceset import FaceSet
from common.synthetic.generate import numbered_person, numbered_variation, synthetic_faces
from common.synthetic.labels import ATTRIBUTES, label
from common.text.forbidden import category


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return synthetic_faces(40, 3, seed=2)


def test_every_picture_is_labelled_and_most_attributes_occur(faces: FaceSet) -> None:
    assert faces.attributes is not None
    assert faces.attributes.shape == (120, len(ATTRIBUTES))
    assert faces.attribute_names == ATTRIBUTES
    assert (faces.attributes.any(axis=0)).sum() > 0.8 * len(ATTRIBUTES)
    assert not faces.attributes.all(axis=0).any()


def test_somebody_ages_a_few_years_at_most_between_pictures(faces: FaceSet) -> None:
    assert faces.age is not None
    assert 18 <= faces.age.min() < faces.age.max() <= 80
    ages = faces.age.reshape(40, 3)
    assert np.ptp(ages, axis=1).max() <= 12
    assert np.ptp(ages, axis=1).min() > 0


def test_skin_has_one_band_and_hair_at_most_one_colour(faces: FaceSet) -> None:
    assert faces.attributes is not None
    named = dict(zip(ATTRIBUTES, faces.attributes.T.astype(int), strict=True))
    assert (named["light_skin"] + named["medium_skin"] + named["dark_skin"] == 1).all()
    colours = [named[name] for name in ATTRIBUTES if name.endswith("_hair")][:5]
    assert (np.sum(colours, axis=0) <= 1).all()


def test_the_landmarks_of_a_crop_lie_near_the_template(faces: FaceSet) -> None:
    assert faces.landmarks is not None
    off = np.linalg.norm(faces.landmarks - TEMPLATE, axis=2)
    assert np.median(off) < 5
    assert off.max() < 30


def test_descriptions_are_sentences_that_say_what_is_seen(faces: FaceSet) -> None:
    assert faces.description is not None
    assert faces.attributes is not None
    for text, truths in zip(faces.description, faces.attributes, strict=True):
        assert re.fullmatch(r"A person of about [a-z-]+( with [a-z ,-]+)?(, [a-z ]+)*\.", text)
        found = dict(zip(ATTRIBUTES, truths.tolist(), strict=True))
        assert ("sunglasses" in text) == found["sunglasses"]
        assert category(text) is None
        assert not (found["mouth_covered"] and ("beard" in text or "smiling" in text))


def test_a_description_of_one_known_picture() -> None:
    person, drawn = numbered_person(0, 0), numbered_variation(0, 0, 0)
    hair = dataclasses.replace(person.hair, colour_name="brown", grey=0.0)
    skin = dataclasses.replace(person.skin, age=0.36)
    person = dataclasses.replace(person, hair=hair, skin=skin)
    looks = dataclasses.replace(
        drawn.looks, style="short", beard="full", eyewear="glasses", hat="none", years=0.0
    )
    smile = dataclasses.replace(drawn.expression, smile=0.8, lids=1.0)
    pose = dataclasses.replace(drawn.pose, yaw=0.0)
    seen = dataclasses.replace(
        drawn, looks=looks, expression=smile, pose=pose, obstacle="none", cut=0.0
    )
    assert label(person, seen).text == (
        "A person of about forty with glasses, a beard and brown hair, smiling."
    )
    assert label(person, seen).age == pytest.approx(40.3)
