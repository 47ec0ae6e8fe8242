"""One way to read what a safetensors file says beside its arrays."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from common.models.file_header import metadata

texts = st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4)


@given(texts)
def test_what_was_written_is_read(table: dict[str, str]) -> None:
    content = save({"a": np.zeros(3, np.float32)}, metadata=table or None)
    assert metadata(content) == table


def packed(header: object) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 40, packed([1]), packed("text"), packed({"__metadata__": [1]})],
)
def test_what_is_no_header_is_an_error_that_readers_expect(content: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        metadata(content)


@given(st.binary(max_size=60))
def test_damaged_bytes_are_a_table_or_an_error_that_readers_expect(content: bytes) -> None:
    try:
        assert isinstance(metadata(content), dict)
    except (ValueError, TypeError, RecursionError):
        return
