"""One `serve` a home, and what it says of itself to others."""

from pathlib import Path

import pytest

from common.errors import DeploymentError
from server.commands.serve import only_one, serving
from server.home import CentreHome


def test_a_home_is_served_by_one(tmp_path: Path) -> None:
    home = CentreHome(tmp_path / "centre")
    assert serving(home) is None
    with only_one(home):
        home.state.write_text('{"pid": 5}', "utf-8")
        assert serving(home) == {"pid": 5}
        with pytest.raises(DeploymentError, match="being served already"), only_one(home):
            pass
    assert serving(home) is None  # whatever the file says
    with only_one(home):
        pass
