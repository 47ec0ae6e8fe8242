"""A Flower Grid that notes what passes through it: who was asked, who answered, bytes, seconds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from flwr.app import Message
from flwr.serverapp import Grid

from common import wire
from server.runs.passing import PassingGrid
from server.strategies.declined import NO_ANSWER


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One wave of messages. ``errors`` has the nodes that answered with an error, or not at all."""

    kind: str  # Flower's message type
    group: str
    asked: tuple[int, ...]
    errors: dict[int, str]
    seconds: float
    sent: int  # bytes of arrays, and of what is said in secure sums
    received: int


class WatchedGrid(PassingGrid):
    """Passes everything on to ``grid``; tells ``begun`` and ``done`` of every wave."""

    def __init__(
        self,
        grid: Grid,
        clock: Callable[[], float],
        begun: Callable[[str, str], None],
        done: Callable[[Exchange], None],
    ) -> None:
        self._grid, self._clock = grid, clock
        self._begun, self._done = begun, done
        self.asking: float | None = None  # seconds, at most, for questions of who takes part

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        asked = list(messages)
        kind = asked[0].metadata.message_type if asked else ""
        group = asked[0].metadata.group_id if asked else ""
        self._begun(kind, group)
        start, sent = self._clock(), sum(_array_bytes(message) for message in asked)
        if kind.startswith("query") and self.asking is not None:
            timeout = min(self.asking, self.asking if timeout is None else timeout)
        replies = list(self._grid.send_and_receive(asked, timeout=timeout))
        told = {reply.metadata.src_node_id: reply for reply in replies}
        nodes = tuple(message.metadata.dst_node_id for message in asked)
        self._done(
            Exchange(
                kind=kind,
                group=group,
                asked=nodes,
                errors={
                    node: reason for node in nodes if (reason := _fault(told.get(node))) is not None
                },
                seconds=self._clock() - start,
                sent=sent,
                received=sum(_array_bytes(reply) for reply in replies),
            )
        )
        return replies


def _fault(reply: Message | None) -> str | None:
    """Why a node did not answer as asked; a reason of ours, or Flower's code."""
    if reply is None:
        return NO_ANSWER
    if not reply.has_error():
        return None
    reason = reply.error.reason or ""
    return reason if reason in wire.REASONS else f"error {reply.error.code}"


def _array_bytes(message: Message) -> int:
    if not message.has_content():
        return 0
    arrays = sum(record.count_bytes() for record in message.content.array_records.values())
    config: Any = message.content.config_records.get(wire.CONFIG, {})
    payload = config.get(wire.PAYLOAD, b"")  # of a secure sum
    return arrays + (len(payload) if isinstance(payload, bytes) else 0)
