"""Public statistics come back as they were, or not at all."""

import dataclasses

import numpy as np
import pytest

from common.errors import ModelError
from common.moments.reference import Reference
from common.moments.storing import reference_arrays, stored_reference


def test_statistics_come_back_exactly(known: Reference) -> None:
    changed = dataclasses.replace(known, ridge=2.5, own_shrink=7.0)
    back = stored_reference({**reference_arrays(changed), "features": np.zeros(3)})
    assert back is not None
    assert back.frame.hash == changed.frame.hash
    for field in dataclasses.fields(Reference):
        if field.name != "frame":
            np.testing.assert_array_equal(getattr(back, field.name), getattr(changed, field.name))


def test_where_there_are_none_there_is_none() -> None:
    assert stored_reference({"features": np.zeros((2, 3))}) is None


@pytest.mark.parametrize("name", ["weight", "bias", "numbers", "uncentred", "within"])
@pytest.mark.parametrize("how", ["missing", "short", "nan"])
def test_statistics_that_are_not_whole_are_refused(known: Reference, name: str, how: str) -> None:
    arrays = {key: array.copy() for key, array in reference_arrays(known).items()}
    if how == "missing":
        del arrays[f"reference.{name}"]
    elif how == "short":
        arrays[f"reference.{name}"] = arrays[f"reference.{name}"][:-1]
    else:
        arrays[f"reference.{name}"].flat[0] = np.nan
    with pytest.raises((KeyError, ValueError, ModelError)):
        stored_reference(arrays)
