"""Replies are fetched soon after they came, and a long round is not asked after all the time."""

from collections.abc import Iterable

import pytest
from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp

from server.clock import Clock
from server.runs.passing import LONGEST_PAUSE, PromptGrid
from simulations.grid import InProcessGrid


def echo() -> ClientApp:
    app = ClientApp()

    @app.query("describe")
    def describe(message: Message, context: object) -> Message:
        return Message(RecordDict(), reply_to=message)

    return app


class SlowGrid(InProcessGrid):
    """Its nodes answer at the given seconds, one each; ``looks`` are the times it was asked."""

    def __init__(self, *answers: float) -> None:
        super().__init__(echo(), len(answers), {})
        self.answers, self.now, self.looks = answers, 0.0, list[float]()
        self.clock = Clock(now=lambda: self.now, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        self.due = dict(zip(super().push_messages(messages), self.answers, strict=True))
        return list(self.due)

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        self.looks.append(self.now)
        return super().pull_messages(i for i in list(message_ids) if self.due[i] <= self.now)


def heard(grid: SlowGrid, timeout: float | None) -> list[int]:
    """The nodes whose replies came within ``timeout``."""
    asked = [Message(RecordDict(), node, "query.describe") for node in grid.get_node_ids()]
    replies = PromptGrid(grid, grid.clock).send_and_receive(asked, timeout=timeout)
    return [reply.metadata.src_node_id for reply in replies]


def test_a_quick_reply_does_not_wait() -> None:
    grid = SlowGrid(0.3, 1.0)
    assert heard(grid, 60.0) == [2, 3]
    assert grid.now < 1.4


@pytest.mark.parametrize("timeout", [None, 4000.0])
def test_a_round_of_an_hour_is_looked_after_every_few_seconds(timeout: float | None) -> None:
    grid = SlowGrid(3600.0)
    assert heard(grid, timeout) == [2]
    assert grid.now <= 3600 + LONGEST_PAUSE
    assert len(grid.looks) < 3600 / LONGEST_PAUSE + 30


def test_who_is_late_is_not_waited_for() -> None:
    grid = SlowGrid(1.0, 100.0)
    assert heard(grid, 60.0) == [2]
    assert grid.now == pytest.approx(60.0)


def test_a_message_that_could_not_be_sent_is_not_waited_for() -> None:
    class Losing(SlowGrid):
        def push_messages(self, messages: Iterable[Message]) -> list[str | None]:  # type: ignore[override]
            return [super().push_messages(messages)[0], None]

    grid = Losing(0.1, 0.1)
    assert heard(grid, 60.0) == [2]
    assert grid.now < 1.0
