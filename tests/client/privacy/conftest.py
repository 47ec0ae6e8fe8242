"""The ledger that tests of the ledger start from: empty, open, and where it lies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from client.privacy.ledger import Ledger
from tests.small_ledger import BUDGET, KEY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path, KEY, BUDGET) as opened:
        yield opened
