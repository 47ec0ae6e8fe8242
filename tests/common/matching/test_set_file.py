import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from common.errors import ModelError
from common.matching.set_file import parse_set, read_set, set_bytes
from common.matching.set_weights import make_weights, weights_of

TRUNK = "ab" * 32


@pytest.mark.parametrize("kind", ["attention", "recurrent"])
def test_what_was_learnt_comes_back_with_its_trunk(kind: str, tmp_path: Path) -> None:
    model = make_weights(kind, 8, 3, seed=4)  # type: ignore[arg-type]
    with torch.no_grad():
        model.power.fill_(0.7)
    content = set_bytes(model, TRUNK)
    assert content == set_bytes(model, TRUNK)
    (tmp_path / "set").write_bytes(content)
    back, trunk = read_set(tmp_path / "set")
    assert (back.kind, trunk, back.training) == (kind, TRUNK, False)
    features = np.random.default_rng(0).standard_normal((4, 8))
    quality = [0.1, 0.5, 0.9, 1.0]
    assert np.array_equal(weights_of(back, features, quality), weights_of(model, features, quality))


def told(kind: object, trunk: object) -> dict[str, str]:
    return {"pooling": json.dumps({"kind": kind, "trunk": trunk})}


def other(**changes: torch.Tensor | None) -> bytes:
    arrays = {**make_weights("attention", 8, 3).state_dict(), **changes}
    kept = {name: array.contiguous() for name, array in arrays.items() if array is not None}
    return bytes(save(kept, metadata=told("attention", TRUNK)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        other(power=None),
        other(more=torch.zeros(1)),
        other(question=torch.zeros(4)),
        other(question=torch.full((3,), torch.nan)),
        other(question=torch.zeros(3, dtype=torch.float64)),
        other(**{"seen.weight": torch.zeros(3)}),
        bytes(save(make_weights("attention", 8, 3).state_dict())),
        bytes(
            save(
                make_weights("attention", 8, 3).state_dict(),
                metadata=told("mean", TRUNK),
            )
        ),
        bytes(
            save(
                make_weights("attention", 8, 3).state_dict(),
                metadata=told("attention", "starter"),
            )
        ),
        bytes(
            save(make_weights("attention", 8, 3).state_dict(), metadata=told(["attention"], TRUNK))
        ),
    ],
)
def test_any_other_file_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError):
        parse_set(content, "there")


@given(st.data())
def test_damaged_bytes_are_weights_or_a_model_error(data: st.DataObject) -> None:
    content = bytearray(set_bytes(make_weights("attention", 4, 2), TRUNK))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_set(bytes(content), "there")
    except ModelError:
        return


def test_a_file_that_is_not_there_and_a_trunk_without_a_hash_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        read_set(tmp_path / "nothing")
    with pytest.raises(ModelError, match="SHA-256"):
        set_bytes(make_weights("recurrent", 4, 2), "starter")
