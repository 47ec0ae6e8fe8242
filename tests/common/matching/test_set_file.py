import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from common.errors import ModelError
from common.matching.set_file import parse_set, read_set, set_bytes
from common.matching.set_weights import make_weights

TRUNK = "ab" * 32


@pytest.mark.parametrize("kind", ["attention", "recurrent"])
def test_what_was_learnt_comes_back_with_its_trunk(kind: str, tmp_path: Path) -> None:
    model = make_weights(kind, 8, 3, seed=4)  # type: ignore[arg-type]
    with torch.no_grad():
        model.power.fill_(0.7)
    content = set_bytes(model, TRUNK)
    assert content == set_bytes(model, TRUNK)
    (tmp_path / "set").write_bytes(content)
    back = read_set(tmp_path / "set")
    assert (back.kind, back.trunk, back.feature_dim, back.size) == (kind, TRUNK, 8, 3)
    assert back.name == hashlib.sha256(content).hexdigest()
    features = np.random.default_rng(0).standard_normal((4, 8))
    quality = np.array([0.1, 0.5, 0.9, 1.0])
    with torch.no_grad():
        given = torch.from_numpy(features).float(), torch.from_numpy(quality).float()
        expected = model(given[0][None], given[1][None], torch.ones(1, 4, dtype=torch.bool))[0]
    assert np.allclose(back.shares(features, quality), expected.numpy(), atol=1e-6)


def test_another_parameter_is_another_name() -> None:
    names = set()
    for power in (0.7, 0.8):
        model = make_weights("attention", 8, 3)
        with torch.no_grad():
            model.power.fill_(power)
        names.add(parse_set(set_bytes(model, TRUNK), "there").name)
    names.add(parse_set(set_bytes(model, "cd" * 32), "there").name)
    assert len(names) == 3


def test_reading_and_weighing_need_no_torch(tmp_path: Path) -> None:
    (tmp_path / "set").write_bytes(set_bytes(make_weights("attention", 8, 3), TRUNK))
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from common.matching.set_file import read_set\n"
        f"made = read_set(Path({str(tmp_path / 'set')!r})).shares(np.ones((2, 8)), np.ones(2))\n"
        "assert abs(made.sum() - 1) < 1e-6 and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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
        set_bytes(make_weights("attention", 8, 3), TRUNK)[:-1],
        (2**63).to_bytes(8, "little") + b"{}",
        other(**{"seen.weight": torch.zeros(0, 8)}),
        other(power=torch.zeros(1)),
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
        bytes(
            save(make_weights("attention", 8, 3).state_dict(), metadata=told("recurrent", TRUNK))
        ),
        bytes(save(make_weights("attention", 8, 3).state_dict(), metadata={"pooling": "[]"})),
        bytes(save(make_weights("attention", 8, 3).state_dict(), metadata={"other": "{}"})),
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
