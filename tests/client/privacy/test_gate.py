"""The gate lets through what was declared and not one byte more."""

from collections import OrderedDict, UserDict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from client.privacy.gate import Entry, Gate, release_bound
from common.errors import GateError

GATE = Gate((Entry("mean", (4,), "float64", 10.0), Entry("tail", (2, 3), "float32")))
GOOD: dict[Any, Any] = {"mean": np.ones(4), "tail": np.ones((2, 3), np.float32)}


def test_declared_arrays_pass_as_copies() -> None:
    passed = GATE.check(GOOD)
    assert list(passed) == ["mean", "tail"]
    for name, array in passed.items():
        np.testing.assert_array_equal(array, GOOD[name])
        assert array.dtype == GOOD[name].dtype
        assert not np.shares_memory(array, GOOD[name])


class Lying(dict[str, Any]):
    def items(self) -> Any:
        return {}.items()


class Array(np.ndarray[Any, Any]):
    pass


class Hostile(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("asked too much")

    def __iter__(self) -> Iterator[str]:
        return iter(["mean", "tail"])

    def __len__(self) -> int:
        return 2


class Name(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


@pytest.mark.parametrize(
    "arrays",
    [
        None, [], "mean", Hostile(), Lying(GOOD), OrderedDict(GOOD), UserDict(GOOD), {},
        {"mean": GOOD["mean"]},
        GOOD | {"faces": np.zeros(3)},
        GOOD | {7: np.zeros(3)},
        {Name("mean"): GOOD["mean"], "tail": GOOD["tail"]},
        {"Mean": GOOD["mean"], "tail": GOOD["tail"]},
    ],
)  # fmt: skip
def test_anything_but_a_plain_dict_of_exactly_the_declared_names_is_refused(arrays: Any) -> None:
    with pytest.raises(GateError):
        GATE.check(arrays)


@pytest.mark.parametrize(
    "array",
    [
        None, 1.0, "1111", b"1111", [1.0] * 4, (1.0,) * 4, np.float64(1), memoryview(b"1111"),
        np.ones(4, np.float32), np.ones(4, np.int64), np.ones(4, np.complex128),
        np.ones(4, bool), np.ones(4, object), np.array(["a"] * 4), np.array([b"a"] * 4),
        np.ones(4, ">f8"), np.ones(4, [("a", "f8")]), np.zeros(4, "M8[s]"), np.ones(4, np.float16),
        np.ones((4, 1)), np.ones((1, 4)), np.ones(3), np.ones(5), np.ones(0), np.ones(()),
        np.ma.masked_array(np.ones(4)), np.ones(4).view(Array),
        np.array([1, 1, 1, np.nan]), np.array([np.inf, 1, 1, 1]), np.array([-np.inf, 1, 1, 1]),
        np.full(4, 5.01), np.full(4, 1e200), np.full(4, -np.finfo(float).max),
    ],
)  # fmt: skip
def test_anything_but_the_declared_array_is_refused(array: Any) -> None:
    with pytest.raises(GateError):
        GATE.check(GOOD | {"mean": array})


ANYTHING = st.one_of(
    hnp.arrays(
        st.one_of(hnp.floating_dtypes(), hnp.scalar_dtypes(), st.just(np.dtype(object))),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
    ),
    hnp.arrays(np.float64, 4),
    hnp.arrays(np.float32, (2, 3)),
    st.none(),
    st.text(),
    st.floats(),
    st.lists(st.floats()),
)


@given(
    st.dictionaries(
        st.one_of(st.sampled_from(["mean", "tail"]), st.text(max_size=3), st.integers()), ANYTHING
    )
)
def test_whatever_comes_either_fits_the_declaration_or_is_refused(arrays: dict[Any, Any]) -> None:
    try:
        passed = GATE.check(arrays)
    except GateError:
        return
    assert set(passed) == set(arrays) == {"mean", "tail"}
    for entry in GATE.entries:
        array = passed[entry.name]
        assert type(array) is np.ndarray
        assert array.dtype == entry.dtype
        assert array.shape == entry.shape
        assert np.isfinite(array).all()
        np.testing.assert_array_equal(array, arrays[entry.name])
    assert np.linalg.norm(passed["mean"]) <= 10


def test_a_refusal_does_not_repeat_what_tried_to_leave() -> None:
    with pytest.raises(GateError) as caught:
        GATE.check(GOOD | {"Anna Canary": np.array([123456.0])})
    assert "Canary" not in str(caught.value)
    assert "123456" not in str(caught.value)


def test_hidden_type_metadata_does_not_pass() -> None:
    kind = np.dtype(np.float64, metadata={"person": "canary"})
    passed = GATE.check(GOOD | {"mean": np.ones(4, kind)})
    assert not passed["mean"].dtype.metadata


def test_honest_releases_are_within_their_bound() -> None:
    rng = np.random.default_rng(0)
    bound = release_bound(people=50, clip=2.0, sigma=3.0, size=500)
    noise = 6.0 * rng.normal(size=(2000, 500))
    assert (np.linalg.norm(noise, axis=1) + 50 * 2.0 < bound).all()


@pytest.mark.parametrize("dtype, bound", [("object", None), ("int64", None), ("float32", 0.0)])
def test_gates_that_would_let_through_too_much_cannot_be_built(
    dtype: str, bound: float | None
) -> None:
    with pytest.raises(ValueError, match="must be"):
        Entry("x", (1,), dtype, bound)
    with pytest.raises(ValueError, match="same name"):
        Gate((Entry("x", (1,)), Entry("x", (2,))))
