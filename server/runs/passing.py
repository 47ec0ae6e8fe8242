"""Flower Grids around another: one passes all on, one looks for replies as soon as they may come.

Flower's own Grid looks every three seconds, which is longer than most sites take for a round.
"""

from collections.abc import Iterable
from typing import Any

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from server.clock import Clock

FIRST_PAUSE, LONGEST_PAUSE, SLOWER = 0.1, 3.0, 1.2  # seconds, and how much longer each next one is


class PassingGrid(Grid):
    """Passes everything on to ``grid``."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        return self._grid.send_and_receive(messages, timeout=timeout)

    def get_node_ids(self) -> Iterable[int]:
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return self._grid.pull_messages(message_ids)

    def set_run(self, run: Any) -> None:
        self._grid.set_run(run)

    @property
    def run(self) -> Any:
        return self._grid.run

    def create_message(  # the parameters are those of flwr's abstract method
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)


class PromptGrid(PassingGrid):
    """Looks for replies soon, then ever more seldom: what came quickly does not wait."""

    def __init__(self, grid: Grid, clock: Clock) -> None:
        super().__init__(grid)
        self._clock = clock

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """The replies to ``messages`` that are there within ``timeout`` seconds, None: all."""
        waiting = set(filter(None, self._grid.push_messages(messages)))  # None: could not be sent
        deadline = None if timeout is None else self._clock.now() + timeout
        replies: list[Message] = []
        pause = FIRST_PAUSE
        while waiting:
            found = list(self._grid.pull_messages(waiting))
            replies += found
            waiting -= {reply.metadata.reply_to_message_id for reply in found}
            left = pause if deadline is None else deadline - self._clock.now()
            if not waiting or left <= 0:
                break
            self._clock.sleep(min(pause, left))
            pause = min(SLOWER * pause, LONGEST_PAUSE)
        return replies
