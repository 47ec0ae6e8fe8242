import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from common.errors import ModelError
from common.heads.calibration import Platt
from common.heads.heads import Heads
from common.heads.heads_file import MOST, heads_bytes, parse_heads, read_heads
from common.heads.scaling import Scaling
from tests.small_heads import FEATURES, TEXTS, all_heads


def made(seed: int = 0) -> Heads:
    """Drawn heads of all kinds, calibrated but for the words."""
    heads = tuple(all_heads())
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    shapes = {n: a for head in heads for n, a in head.arrays(FEATURES, generator).items()}
    return Heads(
        trunk="a" * 64,
        heads=heads,
        scaling=Scaling.of(rng.standard_normal((20, FEATURES)).astype(np.float32)),
        arrays={n: rng.standard_normal(a.shape).astype(np.float32) for n, a in shapes.items()},
        weights={"attributes": 2.0, "age": 1.5, "gender": 1.0, "words": 0.5},
        calibration={
            "attributes": Platt(np.array([0.5, 2.0]), np.array([0.1, -1.0])),
            "age": Platt(np.array([1.2]), np.array([0.0])),
        },
        match=Platt(np.array([20.0]), np.array([-6.0])),
    )


HEADS = made()
CONTENT = heads_bytes(HEADS)
FACES = np.random.default_rng(5).standard_normal((3, FEATURES)).astype(np.float32)


def told(content: bytes) -> dict[str, Any]:
    size = int.from_bytes(content[:8], "little")
    text = json.loads(content[8 : 8 + size])["__metadata__"]["heads"]
    described: dict[str, Any] = json.loads(text)
    return described


def rewritten(**changed: Any) -> bytes:
    """The file with other fields in its description."""
    text = json.dumps({**told(CONTENT), **changed})
    return bytes(save(load(CONTENT), metadata={"heads": text}))


def test_a_file_gives_the_same_readings_and_the_same_bytes_again(tmp_path: Path) -> None:
    path = tmp_path / "x.heads.safetensors"
    path.write_bytes(CONTENT)
    again = read_heads(path)
    assert heads_bytes(again) == CONTENT
    one, other = HEADS.read(FACES), again.read(FACES)
    for field in dataclasses.fields(one):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name))


def test_readings_are_calibrated_probabilities_ages_and_unit_embeddings() -> None:
    found = HEADS.read(FACES)
    assert found.names == ("glasses", "hat")
    seen = HEADS.scaling(FACES)
    logits = seen @ HEADS.arrays["heads.attributes.weight"].T
    logits += HEADS.arrays["heads.attributes.bias"]
    odds = logits * [0.5, 2.0] + [0.1, -1.0]
    assert found.attributes == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-6)
    assert found.age is not None and found.age_range is not None and found.female is not None
    assert (found.age_range[:, 0] < found.age).all() and (found.age < found.age_range[:, 1]).all()
    assert ((found.female > 0) & (found.female < 1)).all()
    assert found.words is not None and found.words.shape == (3, TEXTS)
    assert np.linalg.norm(found.words, axis=1) == pytest.approx(1, abs=1e-6)


def test_nothing_is_said_where_there_is_no_head() -> None:
    head = HEADS.heads[1]
    only = dataclasses.replace(
        HEADS,
        heads=(head,),
        arrays={n: HEADS.arrays[n] for n in head.shapes(FEATURES)},
        weights={"age": 1.0},
        calibration={},
    )
    found = parse_heads(heads_bytes(only), "x").read(FACES)
    assert found.age is not None
    assert (found.attributes, found.female, found.words, found.names) == (None, None, None, ())


@pytest.mark.parametrize(
    "changed",
    [
        {"schema": 2},
        {"trunk": "b"},
        {"trunk": 3},
        {"more": 1},
        {"heads": {}},
        {"heads": []},
        {"weights": {"age": 1.0}},
        {"weights": {**told(CONTENT)["weights"], "age": "1"}},
        {"weights": {**told(CONTENT)["weights"], "age": True}},
        {"calibration": {"words": {"slope": [1.0], "offset": [0.0]}, "x": {}}},
        {"calibration": {"attributes": {"slope": [1.0], "offset": [0.0]}}},
        {"calibration": {"age": {"slope": [-1.0], "offset": [0.0]}}},
        {"calibration": {"age": {"slope": [1.0]}}},
        {"match": {"slope": [1.0, 1.0], "offset": [0.0, 0.0]}},
        {"match": {"slope": [[1.0]], "offset": [0.0]}},
    ],
)
def test_a_description_with_anything_else_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"^here: "):
        parse_heads(rewritten(**changed), "here")


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("attributes", "names", ["glasses", "dark_skin"]),
        ("attributes", "names", ["glasses", "male"]),
        ("attributes", "names", ["glasses", "glasses"]),
        ("attributes", "names", ["glasses"]),
        ("attributes", "names", ["glasses", 3]),
        ("attributes", "names", "hat"),
        ("attributes", "names", ["glasses", "x" * 65]),
        ("attributes", "shown", [1, -1]),
        ("attributes", "shown", [1, True]),
        ("attributes", "beta", 1),
        ("attributes", "beta", 1.0),
        ("age", "cuts", [30, 20, 50]),
        ("age", "cuts", [30]),
        ("gender", "female", 1.5),
        ("words", "size", TEXTS + 1),
        ("words", "extra", 1),
    ],
)
def test_heads_that_are_forbidden_or_unknown_are_refused(
    kind: str, field: str, value: object
) -> None:
    heads = told(CONTENT)["heads"]
    heads[kind][field] = value
    with pytest.raises(ModelError) as refused:
        parse_heads(rewritten(heads=heads), "here")
    assert "dark" not in str(refused.value)


def test_arrays_that_are_missing_too_many_or_not_finite_are_refused() -> None:
    text = {"heads": json.dumps(told(CONTENT))}
    arrays = load(CONTENT)
    bad = np.full_like(arrays["heads.age.bias"], np.nan)
    for wrong in (
        {n: a for n, a in arrays.items() if n != "heads.age.bias"},
        {n: a for n, a in arrays.items() if n != "heads.scaling.scale"},
        arrays | {"heads.more.bias": bad},
        arrays | {"heads.age.bias": bad},
        arrays | {"heads.age.bias": bad[:1] * 0},
        arrays | {"heads.age.bias": np.zeros(bad.shape, np.float64)},
        arrays | {"heads.scaling.scale": -arrays["heads.scaling.scale"]},
    ):
        with pytest.raises(ModelError, match=r"^here: "):
            parse_heads(save(wrong, metadata=text), "here")


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, len(CONTENT) - 1), flipped=st.integers(0, 255))
def test_damaged_files_are_refused_or_differ_in_numbers_alone(cut: int, flipped: int) -> None:
    with pytest.raises(ModelError):
        parse_heads(CONTENT[:cut], "x")
    damaged = CONTENT[:cut] + bytes([flipped]) + CONTENT[cut + 1 :]
    try:
        found = parse_heads(damaged, "x")
    except ModelError:
        return
    assert found.kinds == HEADS.kinds


def test_features_of_another_trunk_are_refused() -> None:
    for wrong in (FACES[:, 1:], np.full_like(FACES, np.nan)):
        with pytest.raises(ModelError, match="features"):
            HEADS.read(wrong)


def test_files_that_are_absent_or_too_large_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        read_heads(tmp_path / "none")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MOST + 1)
    with pytest.raises(ModelError, match="too large"):
        read_heads(tmp_path / "large")


@pytest.mark.parametrize("kinds", [("age",), ("words",), ("attributes", "age", "gender", "words")])
def test_heads_so_large_that_they_read_no_number_are_refused(kinds: tuple[str, ...]) -> None:
    grown = {
        name: np.full_like(array, 3e38) if name.split(".")[1] in kinds else array
        for name, array in HEADS.arrays.items()
    }
    huge = parse_heads(heads_bytes(dataclasses.replace(HEADS, arrays=grown)), "heads")
    with pytest.raises(ModelError, match="too large"):
        huge.read(40 * FACES)
