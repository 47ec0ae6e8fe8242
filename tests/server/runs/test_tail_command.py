"""What a run made comes out as files that sites can stage: the tails an evaluation would ask about.

Of the released sums and public people alone.
"""

from pathlib import Path

import numpy as np
import pytest

from common.errors import CharterError, RunError
from common.models.tail_file import read_tail
from server.charter import load_charter
from server.checkpoint import read_checkpoint
from server.commands.tail import tail_command
from server.evaluating import Judge
from server.home import CentreHome
from server.monitor import find_monitor, save_public
from server.runs.register import open_register
from server.runs.running import Running
from tests.fakes import TRUNK
from tests.seeded_sites import SeededSites
from tests.small_centre import centre, initial, signed


@pytest.fixture
def done(tmp_path: Path) -> CentreHome:
    """A centre whose run r1 is over."""
    home = centre(tmp_path / "centre")
    sites = SeededSites(home=home)
    signed(home, people=10)
    rng = np.random.default_rng(1)
    save_public(home.charter("r1"), rng.standard_normal((60, 3)).astype("f4"), np.arange(60))
    key, register = open_register(home)
    charter, _, seal = load_charter(home.charter("r1"), key)
    Running(
        grid=sites.grid(),
        charter=charter,
        signed=seal,
        folder=home.run("r1"),
        register=register,
        monitor=find_monitor(home.charter("r1")),
    ).go(initial())
    return home


def test_each_pool_gets_the_tail_that_its_evaluation_would_ask_about(
    done: CentreHome, tmp_path: Path
) -> None:
    told = tail_command(done, "r1", tmp_path / "tails")
    key, _ = open_register(done)
    charter, begun, _ = load_charter(done.charter("r1"), key)
    state = read_checkpoint(done.run("r1"), charter.plan.digest)
    judge = Judge(plan=charter.plan, initial=begun, yardstick=find_monitor(done.charter("r1")))
    assert state is not None
    asked = judge.tails(state.pools)
    assert [one["pool"] for one in told["tails"]] == sorted(asked) != []
    for one in told["tails"]:
        tail, trunk = read_tail(Path(one["file"]))
        assert (tail.hash, trunk) == (one["tail"], TRUNK)
        assert tail.hash == asked[one["pool"]].hash
    assert "release stage" in told["next"]


def test_the_same_run_gives_the_same_bytes(done: CentreHome, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        tail_command(done, "r1", tmp_path / folder)
    (one,), (other,) = ((tmp_path / folder).iterdir() for folder in ("a", "b"))
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()


def test_a_run_that_never_began_has_none(tmp_path: Path) -> None:
    home = centre(tmp_path / "centre")
    with pytest.raises(CharterError):
        tail_command(home, "r1", tmp_path / "tails")
    signed(home, people=10)
    with pytest.raises(RunError, match="mascaron-admin run r1"):
        tail_command(home, "r1", tmp_path / "tails")
    assert not (tmp_path / "tails").exists()
