"""The page on sweeps shows a file that loads and names the fields that a line has."""

import re
from pathlib import Path

from simulations.points import load_sweep

PAGE = (Path(__file__).parents[2] / "docs" / "sweep.md").read_text("utf-8")


def test_the_sweep_on_the_page_loads(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert found
    path = tmp_path / "page.toml"
    path.write_text(found[1], "utf-8")
    labels = [point.label for point in load_sweep(str(path)).points]
    assert labels[0] == "sites=4, people=5"
    assert labels[-1] == "sites=64, people=5"
    assert len(labels) == 5
