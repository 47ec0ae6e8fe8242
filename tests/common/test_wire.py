"""Arrays survive the wire bit for bit; nothing else gets through it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from common import wire
from common.errors import WireError

ARRAYS = st.dictionaries(
    st.text(min_size=1, max_size=20),
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements={"allow_nan": False},
    ),
    max_size=4,
)


@given(arrays=ARRAYS)
def test_load_gives_back_what_dump_wrote(arrays: dict[str, np.ndarray]) -> None:
    loaded = wire.load(wire.dump(arrays))
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


@given(arrays=ARRAYS)
def test_dump_does_not_depend_on_the_order_of_names(arrays: dict[str, np.ndarray]) -> None:
    assert wire.dump(arrays) == wire.dump(dict(reversed(arrays.items())))


@given(arrays=ARRAYS, data=st.data())
def test_a_truncated_dump_is_refused(arrays: dict[str, np.ndarray], data: st.DataObject) -> None:
    content = wire.dump(arrays)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(WireError):
        wire.load(content[:cut])


@given(content=st.binary(max_size=200))
def test_garbage_is_a_wire_error_or_arrays(content: bytes) -> None:
    try:
        arrays = wire.load(content)
    except WireError:
        return
    assert wire.load(wire.dump(arrays)).keys() == arrays.keys()


@pytest.mark.parametrize("dtype", [np.int64, np.float16, object, np.complex64, "U3"])
def test_only_two_types_travel(dtype: type) -> None:
    with pytest.raises(WireError):
        wire.encode(np.zeros(2, dtype))


def test_a_tensor_whose_length_lies_is_refused() -> None:
    with pytest.raises(WireError):
        wire.decode("float32", (2, 3), b"\0" * 20)


@pytest.mark.parametrize("shape", [(0, 2**31, 2**31, 2**31), (2**31,) * 4, (0, 2**63)])
def test_a_shape_beyond_what_an_array_can_have_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(WireError):
        wire.decode("float32", shape, b"")


def test_digests_of_different_parts_differ_although_they_join_alike() -> None:
    assert wire.digest("ab", "c") != wire.digest("a", "bc")
