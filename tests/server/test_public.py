"""What public people decide before a run is one thing for the laboratory and a federation."""

from pathlib import Path

import numpy as np
import pytest

from common.errors import DataSetError
from common.models.cache import FeatureCache
from common.models.studio import Studio
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.synthetic.generate import synthetic_faces
from server.phases import opening
from server.public import PublicCameras, open_tail, randomised, shoot_public, watched
from tests.small_home import plan
from tests.small_world import Silent, public_views


def tail() -> Tail:
    return Tail(np.eye(12, 24, dtype=np.float32), np.zeros(12, np.float32))


def test_one_public_person_is_not_enough(tmp_path: Path) -> None:
    studio = Studio(None, FeatureCache(tmp_path / "cache"), Silent())  # type: ignore[arg-type]
    with pytest.raises(DataSetError, match="at least two people"):
        shoot_public(synthetic_faces(1, 2, 1), PublicCameras(camera=randomised()), studio)


def test_a_run_opens_the_same_way_twice_with_all_that_a_pool_needs() -> None:
    first, again = (open_tail(tail(), public_views(1.0), 5) for _ in range(2))
    assert set(opening(first.arrays, plan())) == {WEIGHT, BIAS, FRAME_WEIGHT, FRAME_BIAS}
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name])
    assert first.reference.radius == again.reference.radius > 0


def test_those_who_are_watched_are_few_and_whole_people() -> None:
    views = public_views(1.0)
    features, person = watched(views)
    assert features.shape == (len(person), 24)
    for one in np.unique(person):
        assert (person == one).sum() == (views.person == one).sum()
