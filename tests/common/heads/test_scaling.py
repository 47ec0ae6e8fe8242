import numpy as np
import pytest

from common.errors import ModelError
from common.heads.scaling import Scaling

FACES = np.random.default_rng(0).normal([5, -3, 0], [10, 0.5, 1], (500, 3)).astype(np.float32)


def test_public_faces_have_mean_nothing_and_length_one_afterwards() -> None:
    seen = Scaling.of(FACES)(FACES)
    assert seen.mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert (seen**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-3)
    assert seen.std(axis=0) == pytest.approx(3**-0.5, rel=1e-3)


def test_a_number_that_hardly_varies_is_not_blown_up() -> None:
    still = np.hstack([FACES, np.full((500, 1), 7, np.float32)])
    other = still[:1] + np.float32(0.1)
    assert abs(Scaling.of(still)(other)).max() < 2


def test_scalings_that_are_none_are_refused() -> None:
    with pytest.raises(ModelError, match="positive"):
        Scaling(np.zeros(2, np.float32), np.array([1, 0], np.float32))
    with pytest.raises(ModelError, match="finite"):
        Scaling(np.array([np.nan], np.float32), np.ones(1, np.float32))
    with pytest.raises(ModelError, match="at least two"):
        Scaling.of(FACES[:1])
    with pytest.raises(ModelError, match="must be"):
        Scaling.of(FACES)(FACES[:, :2])
