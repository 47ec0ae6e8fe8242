"""Sums of floats differ in their last bits with their order: it is always that of the sites."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from flwr.app import Message

from server.charter import load_charter
from server.checkpoint import RunState
from server.runs.register import open_register
from server.strategies.rounds import RoundLoop
from tests.seeded_sites import SeededSites
from tests.small_centre import centre, initial, signed

Model = dict[tuple[str, str], bytes]


@pytest.mark.parametrize("late", [1, 2])
@pytest.mark.parametrize("backwards", [False, True])
def test_neither_who_answers_first_nor_the_numbers_of_nodes_are_in_the_model(
    tmp_path: Path, late: int, backwards: bool
) -> None:
    assert ended(tmp_path / "a", 0, False) == ended(tmp_path / "b", late, backwards)


def ended(folder: Path, late: int, backwards: bool) -> Model:
    """The model of five sites, ``late`` of which answer last; ``backwards``: the first site has the
    last number, as may be once the SuperLink was started again."""
    home = centre(folder)
    sites = SeededSites(home=home, count=5)
    signed(home, rounds=2, people=10)
    key, register = open_register(home)
    charter, _, seal = load_charter(home.charter("r1"), key)
    grid = sites.grid()
    if backwards:
        for node, context in grid._contexts.items():
            context.node_config["partition-id"] = 6 - node
    send = grid.send_and_receive

    def first_come(messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        replies = send(messages, timeout=timeout)
        return replies[late:] + replies[:late]

    grid.send_and_receive = first_come  # type: ignore[method-assign]
    loop = RoundLoop(grid, charter, seal, home.run("r1"), register=register)
    pools = loop.run(RunState(plan=charter.plan.digest), initial()).pools.items()
    return {
        (pool, name): array.tobytes() for pool, arrays in pools for name, array in arrays.items()
    }
