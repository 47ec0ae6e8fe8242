"""A gateway for each test, with keys made once a file."""

import time
from collections.abc import Iterator

import pytest

from server.home import CentreHome
from tests.small_door import home_with_keys
from tests.small_gateway import LIMITS, Centre, a_centre


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> CentreHome:
    return home_with_keys(tmp_path_factory.mktemp("centre"), time.time())


@pytest.fixture
def centre(home: CentreHome) -> Iterator[Centre]:
    with a_centre(home, LIMITS) as made:
        yield made
