"""What every test shares: quiet threads, Hypothesis profiles, and real data where it exists."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "fast", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    return _present(SHARED / "data")


@pytest.fixture(scope="session")
def shared_models() -> Path:
    return _present(SHARED / "models")


def _present(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip("needs the shared faces and models, which are not part of the project")
    return folder
