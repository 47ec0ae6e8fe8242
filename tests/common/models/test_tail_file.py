"""A tail comes out of its file as it went in, and nothing else comes out of anything."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from common.errors import ModelError
from common.models.tail import BIAS, WEIGHT, Tail
from common.models.tail_file import parse_tail, read_tail, tail_bytes

TRUNK = "ab" * 32
TAIL = Tail(np.arange(6, dtype="f4").reshape(2, 3), np.array([0.5, -1], "f4"))
GOOD = tail_bytes(TAIL, TRUNK)


def test_a_tail_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "one.tail.safetensors"
    path.write_bytes(GOOD)
    tail, trunk = read_tail(path)
    assert (tail.hash, trunk) == (TAIL.hash, TRUNK)
    assert tail_bytes(tail, trunk) == GOOD


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a safetensors"),
        (GOOD[:-1], "not a safetensors"),
        (save(TAIL.arrays()), "which trunk"),
        (save(TAIL.arrays(), metadata={"trunk": "ab"}), "which trunk"),
        (save({WEIGHT: TAIL.weight}, metadata={"trunk": TRUNK}), "a tail is"),
        (save({WEIGHT: TAIL.weight, BIAS: TAIL.bias.astype("f8")}, {"trunk": TRUNK}), "float32"),
        (
            save({WEIGHT: np.full_like(TAIL.weight, np.inf), BIAS: TAIL.bias}, {"trunk": TRUNK}),
            "finite",
        ),
    ],
)
def test_what_is_no_tail_is_refused_by_its_name(content: bytes, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        parse_tail(content, "that file")


@given(at=st.integers(0, len(GOOD) - 1), bit=st.integers(0, 7))
def test_an_altered_file_is_refused_or_another_tail(at: int, bit: int) -> None:
    broken = bytearray(GOOD)
    broken[at] ^= 1 << bit
    try:
        tail, trunk = parse_tail(bytes(broken), "that file")
    except ModelError:
        return
    assert (tail.hash, trunk) != (TAIL.hash, TRUNK) or tail_bytes(tail, trunk) == GOOD


def test_a_missing_or_a_huge_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="none"):
        read_tail(tmp_path / "none")
    (tmp_path / "huge").write_bytes(GOOD)
    monkeypatch.setattr("common.models.tail_file.MOST", 10)
    with pytest.raises(ModelError, match="too large"):
        read_tail(tmp_path / "huge")


def test_only_a_hash_names_a_trunk() -> None:
    with pytest.raises(ModelError, match="SHA-256"):
        tail_bytes(TAIL, "starter")
