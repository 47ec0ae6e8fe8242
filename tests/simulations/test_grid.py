"""The in-process grid runs unmodified apps, counts bytes and survives a site that raises."""

import importlib.metadata

import numpy as np
from flwr.app import Context, Message
from flwr.serverapp import ServerApp

import simulations.flower
from simulations.grid import CLIENT_APP_FAILED, InProcessGrid
from tests.fakes import fake_site, reply


def test_a_server_app_runs_on_it_unmodified() -> None:
    seen: list[int] = []
    app = ServerApp()

    @app.main()
    def main(grid: InProcessGrid, context: Context) -> None:
        seen.extend(grid.get_node_ids())

    grid = InProcessGrid(fake_site(lambda m, a: reply(m, a)), 3, {"charter": "here"})
    app(grid, grid.server_context({"charter": "here"}))
    assert seen == [2, 3, 4]


def test_a_site_that_raises_becomes_an_error_reply_without_its_text() -> None:
    def train(message: Message, arrays: dict[str, np.ndarray]) -> Message:
        raise ValueError("a secret path")

    grid = InProcessGrid(fake_site(train), 1, {})
    [answer] = grid.send_and_receive([Message(reply_content(), 2, "train")])
    assert answer.error.code == CLIENT_APP_FAILED
    assert "secret" not in str(answer.error.reason)


def test_bytes_are_counted_in_both_directions() -> None:
    grid = InProcessGrid(fake_site(lambda m, a: reply(m, {"b": np.zeros(5, "f4")})), 2, {})
    grid.send_and_receive([Message(reply_content(), 2, "train")])
    assert grid.downloaded[2] >= 40
    assert grid.uploaded[2] >= 20
    assert grid.uploaded[3] == 0


def test_the_private_names_of_flower_belong_to_the_pinned_minor() -> None:
    """An upgrade of flwr has to look at simulations/flower.py before it may pass."""
    assert importlib.metadata.version("flwr").startswith("1.41.")
    assert simulations.flower.Run.create_empty(5).run_id == 5


def reply_content():  # type: ignore[no-untyped-def]
    from flwr.app import Array, ArrayRecord, RecordDict

    from common import wire

    return RecordDict({wire.ARRAYS: ArrayRecord({"a": Array(np.zeros(10, np.float32))})})
