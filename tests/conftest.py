"""What every test shares: quiet threads, logs as they were, Hypothesis, and real data if any."""

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # where a test imports onnxruntime by itself

import pytest
from hypothesis import HealthCheck, settings

MEMORY, PLENTY = "/dev/shm", 8 * 2**30  # noqa: S108  bytes


def scratch_in_memory() -> None:
    """Files of tests lie in memory where there is plenty: they wait for disks more than they work.

    Nothing here cuts the power; what a disk may do is told to the code by ``dying_disk``.
    """
    try:
        there = os.statvfs(MEMORY)
    except OSError:
        return
    if there.f_bavail * there.f_frsize >= PLENTY and not there.f_flag & os.ST_NOEXEC:
        os.environ.setdefault("TMPDIR", MEMORY)
        tempfile.tempdir = os.environ["TMPDIR"]


scratch_in_memory()

settings.register_profile(
    "fast", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

LONGEST = {"test_lab.py", "test_kills_deployed.py"}  # a minute each
SHARED = Path(__file__).parents[2] / "shared"
ROOMS = ("client", "common", "server", "simulations")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, so that no process is left alone with one at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """What a test or a command does to a logger ends with the test: others read these logs."""
    for room in ROOMS:
        logging.getLogger(room)  # so that it is among the loggers looked at
    before = [(logger, logger.level, logger.disabled, logger.propagate) for logger in _loggers()]
    handlers = set(logging.root.handlers)
    yield
    for handler in set(logging.root.handlers) - handlers:
        if type(handler) is logging.StreamHandler:  # a command's; pytest takes its own away
            logging.root.removeHandler(handler)
    for logger, level, disabled, propagate in before:
        logger.setLevel(level)
        logger.disabled, logger.propagate = disabled, propagate


@pytest.fixture(autouse=True)
def mask_as_before() -> Iterator[None]:
    """A command that closes its process's files to others does not close those of later tests."""
    mask = os.umask(0o022)
    os.umask(mask)
    yield
    os.umask(mask)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    return _present(SHARED / "data")


@pytest.fixture(scope="session")
def shared_models() -> Path:
    return _present(SHARED / "models")


def _loggers() -> list[logging.Logger]:
    """The root logger, and those of our rooms and of Flower."""
    named = logging.root.manager.loggerDict.items()
    ours = [log for name, log in named if name.split(".")[0] in (*ROOMS, "flwr")]
    return [logging.root, *(log for log in ours if isinstance(log, logging.Logger))]


def _present(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip("needs the shared faces and models, which are not part of the project")
    return folder
