import dataclasses

import numpy as np

from common.synthetic.people import HAIR_STYLES, Person, draw_person


def people(count: int, seed: int = 0) -> list[Person]:
    return [draw_person(np.random.default_rng([seed, i])) for i in range(count)]


def test_the_same_seed_draws_the_same_person_and_another_seed_another() -> None:
    assert people(3) == people(3)
    assert len(set(people(200))) == 200


def test_every_style_of_hair_beard_and_frame_occurs() -> None:
    crowd = people(300)
    assert {p.hair.style for p in crowd} == set(HAIR_STYLES)
    assert len({p.hair.beard for p in crowd}) == 5
    assert len({p.glasses.frame for p in crowd}) == 4
    assert 0.12 < np.mean([p.glasses.frame != "none" for p in crowd]) < 0.4


def test_faces_hold_together_for_every_person() -> None:
    for person in people(500):
        o, e, m = person.outline, person.eyes, person.mouth
        assert o.skull_y < person.hair.line_y < e.y - person.brows.above
        assert e.y < person.nose.tip_y < m.y - m.upper
        assert m.y + m.lower < o.chin_y
        assert e.spacing > e.width + 2  # the eyes do not touch
        assert person.glasses.width < e.spacing
        assert m.width < o.jaw


def test_no_two_measures_of_a_face_are_the_same_number_in_disguise() -> None:
    crowd = people(400)
    columns = {}
    for part in ("outline", "eyes", "brows", "nose", "mouth", "skin"):
        for field in dataclasses.fields(getattr(crowd[0], part)):
            values = [getattr(getattr(p, part), field.name) for p in crowd]
            if isinstance(values[0], float):
                columns[f"{part}.{field.name}"] = values
    widths = {"outline.temple", "outline.cheek", "outline.jaw"}
    names = [name for name in columns if name not in widths]
    matrix = np.corrcoef([columns[name] for name in names])
    assert np.abs(matrix - np.eye(len(names))).max() < 0.3
